package deliver

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Verdicts of checks that passed.
const (
	passed    = "ok"
	notNeeded = "not_needed"
)

const (
	// openingJitter spreads what waited for the same opening.
	openingJitter = time.Minute
	// noOpeningWait is the wait of a lead that no hour suits: its zone may be told meanwhile.
	noOpeningWait = time.Hour
	// busyWait is the wait for a request to the same phone that is under way, unknownWait for one whose outcome is not known.
	busyWait, unknownWait = 10 * time.Second, 30 * time.Second
	// dialJitter spreads what waits for a phone's rest.
	dialJitter = 2 * time.Second
	// operationWait is the wait for a daemon that knows an operation.
	operationWait = 10 * time.Minute
	// arrivalWait is the wait of an update for what becomes of the lead's first delivery.
	arrivalWait = 10 * time.Minute
	// ownFaultWait is the wait after a fault of our own.
	ownFaultWait = time.Minute
)

// round is one transaction's worth of decisions: phones that it has given to a delivery are busy for the next.
type round struct {
	engine *Engine
	taken  map[phoneOf]bool
}

type phoneOf struct {
	org   uuid.UUID
	phone string
}

// checked is a candidate on its way through the checks.
type checked struct {
	*pipeline.DeliveryCandidate
	op    Operation
	known bool // the operation is
	class Class
	now   time.Time
	phone string
}

// check judges a candidate: a verdict for people, and what becomes of the row unless it passed.
type check struct {
	name string
	run  func(r *round, c *checked) (verdict string, change *pipeline.DeliveryChange)
}

// checks returns all checks, in the order in which the first failure decides.
func checks() []check {
	return []check{
		{"route", (*round).route},
		{"age", (*round).age},
		{"key", (*round).key},
		{"do_not_call", (*round).doNotCall},
		{"lead", (*round).lead},
		{"difference", (*round).difference},
		{"phone", (*round).validPhone},
		{"restored", (*round).restored},
		{"call_window", (*round).callWindow},
		{"dial_cap", (*round).dialCap},
		{"phone_busy", (*round).phoneBusy},
		{"recent_call", (*round).recentCall},
	}
}

// decide runs every check on a candidate, and renders its request when all have passed. It never fails: what goes wrong
// here puts the one delivery aside.
func (r *round) decide(c *pipeline.DeliveryCandidate, now time.Time) (d pipeline.DeliveryDecision) {
	defer func() {
		if p := recover(); p != nil {
			r.engine.log.Error("checking a delivery panicked", "delivery_id", c.Delivery.ID, "destination", c.Delivery.Destination,
				"operation", c.Delivery.Operation, "panic_type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			d = pipeline.DeliveryDecision{Change: pipeline.DeliveryChange{
				State: pipeline.DeliveryReady, Hold: pipeline.HoldRetry, NotBefore: now.Add(ownFaultWait), Error: "panic in a check",
			}}
		}
	}()
	one := r.engine.prepare(c, now)
	verdicts := map[string]string{}
	var failed *pipeline.DeliveryChange
	for _, check := range checks() {
		verdict, change := check.run(r, one)
		verdicts[check.name] = verdict
		if failed == nil {
			failed = change
		}
	}
	d.Phone = one.phone
	d.Checks, _ = json.Marshal(verdicts) // texts always marshal
	if failed != nil {
		d.Change = *failed
		if d.Change.NotBefore.IsZero() {
			d.Change.NotBefore = c.Delivery.NotBefore
		}
		return d
	}
	d.Request = one.op.Render(one.view())
	d.Send, d.Dials = true, one.op.Dials
	if one.class == Rings {
		for _, phone := range append(c.Phones, one.phone) {
			r.taken[phoneOf{c.Delivery.Org, phone}] = true
		}
	}
	return d
}

// view is what the candidate's request is made of.
func (c *checked) view() View {
	return View{Delivery: c.Delivery, Lead: c.Lead, Phone: c.phone, Was: c.Was, KnownAs: c.KnownAs}
}

// prepare looks up the operation and the number.
func (e *Engine) prepare(c *pipeline.DeliveryCandidate, now time.Time) *checked {
	one := &checked{DeliveryCandidate: c, now: now}
	if destination, ok := e.destinations[c.Delivery.Destination]; ok {
		one.op, one.known = destination.Operation(c.Delivery.Operation)
		one.known = one.known && one.op.Send != nil && one.op.Render != nil
	}
	one.class = classOf(&c.Delivery, one.op)
	switch {
	case one.op.Obligation && c.Delivery.Phone != "", !c.HasLead:
		one.phone = c.Delivery.Phone
	default:
		one.phone = c.Lead.Phone
	}
	return one
}

// classOf takes the stricter one where row and operation disagree, as they may while two versions run side by side.
func classOf(d *pipeline.Delivery, op Operation) Class {
	if d.Class == Rings || op.Class == "" {
		return d.Class
	}
	return op.Class
}

func hold(what string, until time.Time) *pipeline.DeliveryChange {
	return &pipeline.DeliveryChange{State: pipeline.DeliveryReady, Hold: what, NotBefore: until}
}

func end(state pipeline.DeliveryState, reason string) *pipeline.DeliveryChange {
	return &pipeline.DeliveryChange{State: state, Reason: reason}
}

func (r *round) route(c *checked) (string, *pipeline.DeliveryChange) {
	if !c.known {
		return "unknown operation", hold(pipeline.HoldOperation, c.now.Add(operationWait))
	}
	if c.Unrouted && (c.class != Keyed || c.Delivery.FirstSentAt.IsZero()) {
		// One that may have arrived is repeated until its key tells: the lead may be there.
		return "none wants it any more", end(pipeline.DeliveryCancelled, pipeline.ReasonNoRoute)
	}
	return passed, nil
}

// age holds for whatever has a time to live; what the age rule does not bind has none. What rings ages with its lead, which
// may have turned out to be older than when it was ordered (law 7).
func (r *round) age(c *checked) (string, *pipeline.DeliveryChange) {
	switch expires := c.Delivery.ExpiresAt; {
	case expires.IsZero():
		return notNeeded, nil
	case !expires.After(c.now), c.class == Rings && c.HasLead && !c.FirstSourceTime.Add(expires.Sub(c.Delivery.SourceTime)).After(c.now):
		return pipeline.ReasonTooOld, end(pipeline.DeliveryExpired, pipeline.ReasonTooOld)
	}
	return passed, nil
}

// key refuses to send with a key that the destination may have forgotten after it once took effect.
func (r *round) key(c *checked) (string, *pipeline.DeliveryChange) {
	if c.class != Keyed || c.Delivery.FirstSentAt.IsZero() {
		return notNeeded, nil
	}
	if c.now.Before(c.Delivery.FirstSentAt.Add(r.engine.set.KeyedFor)) {
		return passed, nil
	}
	change := end(pipeline.DeliveryUnknown, pipeline.ReasonKeyExpired)
	change.Hold = pipeline.HoldPerson
	return "expired", change
}

func (r *round) doNotCall(c *checked) (string, *pipeline.DeliveryChange) {
	switch {
	case c.op.Obligation && c.class != Rings && c.Optout == "" && c.Lifted:
		// What a dialler was told cannot always be undone.
		return "lifted", end(pipeline.DeliveryCancelled, pipeline.ReasonLifted)
	case c.op.Obligation && c.class != Rings:
		return notNeeded, nil
	case c.Optout != "":
		return "opted out: " + c.Optout, end(pipeline.DeliveryCancelled, pipeline.ReasonDoNotCall)
	}
	return passed, nil
}

func (r *round) lead(c *checked) (string, *pipeline.DeliveryChange) {
	switch d := &c.Delivery; {
	case !c.HasLead && d.LeadID != uuid.Nil && !c.op.Obligation:
		return "gone", end(pipeline.DeliveryCancelled, pipeline.ReasonLeadGone)
	case c.Superseded && (c.class == Rings || c.class == Keyed && c.Delivery.FirstSentAt.IsZero()):
		return "merged into one with the same delivery", end(pipeline.DeliveryCancelled, pipeline.ReasonMerged)
	}
	return passed, nil
}

// difference ends an update that says nothing new, or that is of a lead which never got there.
func (r *round) difference(c *checked) (string, *pipeline.DeliveryChange) {
	switch {
	case c.op.Differs == nil:
		return notNeeded, nil
	case c.Was == nil && c.Arriving:
		return "the lead may be arriving", hold(pipeline.HoldRetry, c.now.Add(arrivalWait))
	case c.Was == nil:
		return "the destination does not have it from us", end(pipeline.DeliveryCancelled, pipeline.ReasonNotThere)
	case !c.op.Differs(c.view()):
		return "none", end(pipeline.DeliveryConfirmed, pipeline.ReasonNoChange)
	}
	return passed, nil
}

func (r *round) validPhone(c *checked) (string, *pipeline.DeliveryChange) {
	if c.op.NoPhone && c.class != Rings {
		return notNeeded, nil
	}
	if p := pipeline.ParsePhone(c.phone, ""); !p.Valid {
		return "none that is valid", end(pipeline.DeliveryRejected, pipeline.ReasonNoValidPhone)
	}
	return passed, nil
}

// restored asks first about what may have rung in a time that the database lost: the destination where it can be asked, else a
// person.
func (r *round) restored(c *checked) (string, *pipeline.DeliveryChange) {
	if !c.MayHaveRung {
		return passed, nil
	}
	change := end(pipeline.DeliveryUnknown, pipeline.ReasonRestored)
	change.Hold, change.NotBefore = pipeline.HoldPerson, c.now
	if c.op.Search != nil {
		change.Hold = pipeline.HoldSearch
	}
	return "may have been sent before the database lost commits", change
}

// callWindow holds what dials until the lead may be called; it never drops it (law 7).
func (r *round) callWindow(c *checked) (string, *pipeline.DeliveryChange) {
	if !c.op.Dials {
		return notNeeded, nil
	}
	if r.engine.hours.Open(c.Lead, c.now) {
		return passed, nil
	}
	next, ok := r.engine.hours.Next(c.Lead, c.now)
	if !ok {
		return "closed, no opening in sight", hold(pipeline.HoldCallWindow, c.now.Add(noOpeningWait))
	}
	return "closed", hold(pipeline.HoldCallWindow, next.Add(jitter(c.Delivery.ID, 0, openingJitter)))
}

// dialCap holds what dials until the oldest of as many dials as the rules allow is a day ago.
func (r *round) dialCap(c *checked) (string, *pipeline.DeliveryChange) {
	if !c.op.Dials {
		return notNeeded, nil
	}
	most := r.engine.hours.Cap(c.Lead)
	dials := slices.SortedFunc(slices.Values(c.Dials), func(a, b time.Time) int { return b.Compare(a) })
	if most == 0 || len(dials) < most {
		return passed, nil
	}
	free := dials[most-1].Add(pipeline.DialCapSpan)
	if !free.After(c.now) {
		return passed, nil
	}
	return fmt.Sprintf("dialled %d times in a day", len(dials)), hold(pipeline.HoldDialCap, free.Add(jitter(c.Delivery.ID, 0, openingJitter)))
}

// recentCall keeps a phone from ringing twice because two diallers, or a dialler and an agent, have the same idea.
func (r *round) recentCall(c *checked) (string, *pipeline.DeliveryChange) {
	if !c.op.Dials {
		return notNeeded, nil
	}
	if quiet := r.engine.set.DialQuiet; within(c.DialledAt, c.now, quiet) {
		last := c.DialledAt
		if last.After(c.now) {
			last = c.now // by a clock that is ahead of ours
		}
		return "was just dialled", hold(pipeline.HoldRecentCall, last.Add(quiet+jitter(c.Delivery.ID, c.Delivery.Attempts, dialJitter)))
	}
	return passed, nil
}

// phoneBusy keeps two ringing deliveries from meeting at one phone.
func (r *round) phoneBusy(c *checked) (string, *pipeline.DeliveryChange) {
	if c.class != Rings {
		return notNeeded, nil
	}
	id, set := c.Delivery.ID, &r.engine.set
	busy := c.InFlight
	for _, phone := range append(c.Phones, c.phone) {
		busy = busy || r.taken[phoneOf{c.Delivery.Org, phone}]
	}
	switch {
	case busy:
		return "a request to it is under way", hold(pipeline.HoldPhoneBusy, c.now.Add(busyWait+jitter(id, c.Delivery.Attempts, busyWait)))
	case within(c.UnknownAt, c.now, set.UnknownQuiet):
		return "may be ringing", hold(pipeline.HoldPhoneBusy, c.now.Add(unknownWait+jitter(id, c.Delivery.Attempts, unknownWait)))
	case within(c.RungAt, c.now, set.PhoneQuiet):
		return "was just rung", hold(pipeline.HoldPhoneBusy, c.RungAt.Add(set.PhoneQuiet+jitter(id, c.Delivery.Attempts, busyWait)))
	}
	return passed, nil
}

func within(at, now time.Time, span time.Duration) bool {
	return !at.IsZero() && span > 0 && now.Before(at.Add(span))
}
