// Package deliver is the outbox's state machine: it claims deliveries, runs the checks, sends, and commits what came of it.
// A wrong step here rings a person's phone, hence its rules (architecture.md laws 5, 6 and 7): sending is committed before
// the request leaves and under the locks that an opt-out's commit takes; what may have been sent is never sent again
// blindly; and what cannot be told is left to a person. It knows no vendor and no SQL.
package deliver

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Class says how often an operation may be sent.
type Class = pipeline.DeliveryClass

// The classes of operations (law 5).
const (
	Rings      = pipeline.ClassRings
	Repeatable = pipeline.ClassRepeatable
	Keyed      = pipeline.ClassKeyed
)

// View is what a request is made of: the delivery, and its lead as it is at the moment of sending.
type View struct {
	Delivery pipeline.Delivery
	// Lead has the id under which the destination knows the lead, or is to know it. Of a delivery without a lead it has the
	// phone only.
	Lead pipeline.LeadView
	// Phone is the number that the request rings or blocks, in E.164; empty only where the operation needs none.
	Phone string
	// Was is what the destination was last told of the lead, and KnownAs its own id of it; both for an operation with Differs.
	Was     *pipeline.LeadView
	KnownAs string
}

// Operation is one thing that a destination can be asked to do.
type Operation struct {
	Class Class
	// Render returns the request as a person may see it: credentials, phones and names masked.
	Render func(View) string
	// Notes returns what of the lead the destination will cut or ignore, without values; nil where nothing is.
	Notes func(View) []string
	// Send makes the request. What it returns beside an Outcome with a state is the cause, for the row's error; with a zero
	// Outcome the error is judged by its kind (vendorapi), and is an unknown outcome unless that says otherwise.
	Send func(ctx context.Context, v View) (pipeline.Outcome, error)
	// Search asks whether an earlier request took effect; nil when the destination cannot be asked. An error means that it
	// did not tell, never that there is nothing.
	Search func(ctx context.Context, v View) (found bool, externalID string, err error)
	// NoResend leaves a delivery to a person that was searched for and not found: set it where the destination does not
	// suppress duplicates, so that sending again would ring twice if the search was wrong.
	NoResend bool
	// Dials marks an operation that makes a phone ring by itself: it waits for the call window. An import that does not
	// dial need not wait.
	Dials bool
	// Obligation marks an operation that carries an opt-out to a destination, so that an opt-out does not cancel it. It has
	// no effect on an operation that rings.
	Obligation bool
	// NoPhone marks an operation whose request needs no phone.
	NoPhone bool
	// Differs makes an operation one that tells what changed of a lead which the destination was given, and says whether there
	// is anything. It is asked only where View.Was is there; without it the delivery is cancelled.
	Differs func(View) bool
}

// Destination is what a vendor's package offers. One with a budget is a Turner too.
type Destination interface {
	Name() string
	// Operation returns false for a name that it does not know.
	Operation(name string) (Operation, bool)
}

// Hours tells when a lead may be called, and how often.
type Hours interface {
	Open(lead pipeline.LeadView, at time.Time) bool
	// Next returns the earliest instant from at on, and false when none is in sight.
	Next(lead pipeline.LeadView, at time.Time) (time.Time, bool)
	// Cap is how many dials within pipeline.DialCapSpan are allowed; 0 = any number.
	Cap(lead pipeline.LeadView) int
}

// Window is one call window for everybody, read on the clocks of the zones that the lead may be in. It stands in for all rules
// of places: there is no cap.
type Window struct {
	pipeline.CallWindow
	// Places tell the zones of states; nil goes by stated zone and numbers alone.
	Places *pipeline.CallRules
}

// Open tells whether the lead may be called at an instant.
func (w Window) Open(lead pipeline.LeadView, at time.Time) bool {
	return w.CallWindow.Open(at, w.zonesOf(lead))
}

// Next returns the next instant at which the lead may be called.
func (w Window) Next(lead pipeline.LeadView, at time.Time) (time.Time, bool) {
	return w.CallWindow.Next(at, w.zonesOf(lead))
}

// Cap implements Hours.
func (w Window) Cap(pipeline.LeadView) int { return 0 }

func (w Window) zonesOf(lead pipeline.LeadView) []*time.Location {
	if w.Places != nil && !w.Always {
		return w.Places.Zones(lead)
	}
	return pipeline.LeadZones(lead.Timezone, lead.Phone, lead.SecondPhone)
}

// Store is what the engine needs from the database. Every method is one transaction.
type Store interface {
	ClaimDeliveries(ctx context.Context, c pipeline.DeliveryClaim) ([]pipeline.ClaimedDelivery, error)
	// CountDueDeliveries tells how many deliveries ClaimDeliveries would find, at most limit.
	CountDueDeliveries(ctx context.Context, destination string, now time.Time, limit int) (int, error)
	RenewDeliveries(ctx context.Context, owner uuid.UUID, ids []uuid.UUID, until time.Time) error
	ReleaseDeliveries(ctx context.Context, owner uuid.UUID, ids []uuid.UUID) error
	PutBackDelivery(ctx context.Context, owner, id uuid.UUID, notBefore time.Time, problem string) error
	BeginDeliveries(
		ctx context.Context, b pipeline.DeliveryBegin, decide func(c *pipeline.DeliveryCandidate, now time.Time) pipeline.DeliveryDecision,
	) ([]pipeline.BegunDelivery, error)
	DeliveryView(ctx context.Context, id uuid.UUID) (pipeline.DeliveryCandidate, error)
	PreviewDelivery(
		ctx context.Context, d pipeline.Delivery, decide func(c *pipeline.DeliveryCandidate, now time.Time) pipeline.DeliveryDecision,
	) error
	SettleDeliveries(ctx context.Context, ends []pipeline.DeliverySettlement) ([]bool, error)
	// DeferDeliveries puts off the account's ready deliveries, or all of the destination's when the organisation is unset.
	DeferDeliveries(ctx context.Context, d pipeline.Delivery, now, until time.Time, hold string) error
	RecoverDeliveries(ctx context.Context, now, notBefore time.Time, inHand []uuid.UUID) ([]pipeline.MovedDelivery, error)
	ExpireDeliveries(ctx context.Context, now time.Time) ([]pipeline.MovedDelivery, error)
	DueDestinations(ctx context.Context, destinations []string, now time.Time) ([]string, error)
	RecheckDeliveries(ctx context.Context, destination, hold string, now time.Time) (int64, error)
	RetryDelivery(ctx context.Context, id uuid.UUID, now time.Time) error
	CancelDelivery(ctx context.Context, id uuid.UUID, now time.Time) error
	ResolveDelivery(ctx context.Context, id uuid.UUID, as pipeline.DeliveryState, now time.Time) error
}
