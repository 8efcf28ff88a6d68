package deliver

import (
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Bounds of the wait that a destination asks for, beside which a monthly quota lasts as long as it says (law 10).
const (
	limitedFloor    = time.Second
	limitedCeiling  = 32 * 24 * time.Hour
	limitedFallback = time.Minute
)

// maxSearches is how often one send is searched for before it counts as not taken.
const maxSearches = 2

// ended is how a request ended, with what an outcome leaves out.
type ended struct {
	pipeline.Outcome
	// after is the wait that the destination asked for, zero when none.
	after time.Duration
	// problem is the cause for the row's error, without personal data.
	problem string
	// stopped tells that we were stopped before anything was sent.
	stopped bool
	// kept tells that the vendor's package knows of no request that left.
	kept bool
}

// heard tells that the request left, and that the destination may have done more with it than turn it away.
func (o *ended) heard() bool {
	switch o.State {
	case pipeline.OutcomeNotSent, pipeline.OutcomeLimited, pipeline.OutcomeDenied:
		return false
	case pipeline.OutcomeConfirmed, pipeline.OutcomeRejected, pipeline.OutcomeUnknown:
	}
	return !o.kept
}

// afterSend is the row's next state, once a request has ended. It is the whole of law 5 for sends: what rings never goes
// back to ready by itself after an outcome that is not known.
func (s *Settings) afterSend(d *pipeline.Delivery, op Operation, o ended, now time.Time) pipeline.DeliveryChange {
	c := pipeline.DeliveryChange{
		State: pipeline.DeliveryReady, Reason: o.Reason, NotBefore: now, Attempts: d.Attempts, Resends: d.Resends,
		ExternalID: o.ExternalID, Error: o.problem,
	}
	switch o.State {
	case pipeline.OutcomeConfirmed:
		c.State = pipeline.DeliveryConfirmed
	case pipeline.OutcomeRejected:
		c.State = pipeline.DeliveryRejected
		if c.Reason == "" {
			c.Reason = "rejected"
		}
	case pipeline.OutcomeNotSent:
		if o.stopped {
			c.Attempts = max(d.Attempts-1, 0)
			if o.after > 0 {
				c.Hold, c.NotBefore = pipeline.HoldRetry, now.Add(o.after)
			}
			break
		}
		c.Hold, c.NotBefore = pipeline.HoldRetry, now.Add(s.retryWait(d.ID, d.Attempts))
	case pipeline.OutcomeLimited:
		c.Attempts = max(d.Attempts-1, 0)
		c.Hold, c.NotBefore = pipeline.HoldLimited, now.Add(limitedWait(o.after))
	case pipeline.OutcomeDenied:
		c.Hold, c.NotBefore = pipeline.HoldDenied, now.Add(s.deniedWait(o.after))
	case pipeline.OutcomeUnknown:
		return s.afterUnknown(d, op, c, now)
	default:
		c.Error = "destination's package gave an outcome that is none"
		return s.afterUnknown(d, op, c, now)
	}
	return c
}

func limitedWait(after time.Duration) time.Duration {
	if after == 0 {
		return limitedFallback
	}
	return min(max(after, limitedFloor), limitedCeiling)
}

// deniedWait is DeniedWait unless whoever refused knows when the credentials are tested next.
func (s *Settings) deniedWait(after time.Duration) time.Duration {
	if after <= 0 {
		return s.DeniedWait
	}
	return min(max(after, limitedFloor), limitedCeiling)
}

// afterUnknown is what follows when a request may have had its effect.
func (s *Settings) afterUnknown(d *pipeline.Delivery, op Operation, c pipeline.DeliveryChange, now time.Time) pipeline.DeliveryChange {
	if c.Reason == pipeline.ReasonNeedsPerson {
		c.State, c.Hold = pipeline.DeliveryUnknown, pipeline.HoldPerson
		return c
	}
	switch classOf(d, op) {
	case Repeatable, Keyed:
		// Sending twice does no harm. How long a key is good for is checked before each send.
		c.Hold, c.NotBefore = pipeline.HoldRetry, now.Add(s.retryWait(d.ID, d.Attempts))
		return c
	case Rings:
	}
	c.State = pipeline.DeliveryUnknown
	if c.Reason == "" {
		c.Reason = "unknown"
	}
	if op.Search != nil {
		c.Hold, c.NotBefore = pipeline.HoldSearch, now.Add(s.ReconcileDelay)
		return c
	}
	return s.awaitWebhook(d, c, now)
}

// awaitWebhook waits for the destination to tell by itself, and calls for a person when that has lasted long enough.
func (s *Settings) awaitWebhook(d *pipeline.Delivery, c pipeline.DeliveryChange, now time.Time) pipeline.DeliveryChange {
	c.State, c.Hold, c.NotBefore = pipeline.DeliveryUnknown, pipeline.HoldWebhook, d.SendingAt.Add(s.WebhookWait)
	if !c.NotBefore.After(now) {
		c.Hold, c.Reason, c.NotBefore = pipeline.HoldPerson, pipeline.ReasonNeedsPerson, now
	}
	return c
}

// searched is how a search ended. Its zero value is a miss.
type searched struct {
	found      bool
	externalID string
	failed     bool
	after      time.Duration
	problem    string
}

// afterSearch is the next state of an unknown delivery that was asked about. Missed twice, a delay apart, it is sent once
// more; missed twice again, or where it must not be sent again, a person decides.
func (s *Settings) afterSearch(d *pipeline.Delivery, op Operation, o searched, now time.Time) pipeline.DeliveryChange {
	c := unknownAs(d, now)
	c.Hold = pipeline.HoldSearch
	switch {
	case o.found:
		c.State, c.Reason, c.Hold, c.ExternalID = pipeline.DeliveryConfirmed, "", "", o.externalID
	case o.failed:
		c.Error = o.problem
		c.NotBefore = now.Add(max(s.searchRetryWait(d, now), o.after))
	case d.Searches+1 < maxSearches:
		c.Searches = d.Searches + 1
		c.NotBefore = now.Add(s.ReconcileDelay)
	case d.Resends == 0 && !op.NoResend:
		c.State, c.Reason, c.Hold = pipeline.DeliveryReady, pipeline.ReasonNotFound, pipeline.HoldRetry
		c.Searches, c.Resends = 0, 1
	case d.Resends == 0:
		c.Searches = d.Searches + 1
		c.Reason, c.Hold = pipeline.ReasonNotFound, pipeline.HoldPerson
	default:
		c.Searches = d.Searches + 1
		c.Reason, c.Hold = pipeline.ReasonNotFoundAfterResend, pipeline.HoldPerson
	}
	return c
}

// unknownAs leaves an unknown delivery as it is.
func unknownAs(d *pipeline.Delivery, now time.Time) pipeline.DeliveryChange {
	return pipeline.DeliveryChange{
		State: pipeline.DeliveryUnknown, Reason: d.Reason, Hold: d.Hold, NotBefore: now, Attempts: d.Attempts,
		Searches: d.Searches, Resends: d.Resends,
	}
}

// searchRetryWait grows with the time since the send, from ReconcileDelay to RetryMax.
func (s *Settings) searchRetryWait(d *pipeline.Delivery, now time.Time) time.Duration {
	wait := min(max(now.Sub(d.SendingAt)/4, s.ReconcileDelay), max(s.RetryMax, s.ReconcileDelay))
	return wait + jitter(d.ID, d.Searches, s.ReconcileDelay/5)
}
