package deliver

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Swept is what a sweep did and found.
type Swept struct {
	// Recovered deliveries were being sent by a daemon that is gone; Expired ones were too old.
	Recovered, Expired int
	// Due names the destinations that have something to do now.
	Due []string
}

// Sweep ends what is too old, makes unknown what was being sent by a daemon that is gone, and reports the destinations to
// drain, so that a lost wake-up is made good. It is cheap: run it every few seconds, on every daemon. It does as much as it
// can when one part fails.
func (e *Engine) Sweep(ctx context.Context) (Swept, error) {
	var s Swept
	now := e.now()
	recovered, errRecover := e.store.RecoverDeliveries(ctx, now, now.Add(e.set.ReconcileDelay), e.inHand())
	for _, d := range recovered {
		e.log.Warn("delivery was interrupted while it was being sent", "delivery_id", d.ID, "destination", d.Destination,
			"operation", d.Operation)
		e.observe(d.Destination, d.Operation, *end(pipeline.DeliveryUnknown, pipeline.ReasonInterrupted))
	}
	expired, errExpire := e.store.ExpireDeliveries(ctx, now)
	for _, d := range expired {
		e.observe(d.Destination, d.Operation, *end(pipeline.DeliveryExpired, pipeline.ReasonTooOld))
	}
	due, errDue := e.store.DueDestinations(ctx, e.Destinations(), now)
	s.Recovered, s.Expired, s.Due = len(recovered), len(expired), due
	if err := errors.Join(errRecover, errExpire, errDue); err != nil {
		return s, fmt.Errorf("sweeping deliveries: %w", err)
	}
	return s, nil
}

// Recheck makes due at once what waits for something that may have changed: pipeline.HoldCallWindow when the daemon starts
// with another window, pipeline.HoldDenied when an account has new credentials. An empty destination means all.
func (e *Engine) Recheck(ctx context.Context, destination, hold string) (int64, error) {
	return e.store.RecheckDeliveries(ctx, destination, hold, e.now())
}

// Retry makes a delivery ready again by a person's order. All checks apply to it but age. Wake its destination afterwards.
func (e *Engine) Retry(ctx context.Context, id uuid.UUID) error {
	return e.store.RetryDelivery(ctx, id, e.now())
}

// Cancel ends a delivery that is ready or unknown by a person's order.
func (e *Engine) Cancel(ctx context.Context, id uuid.UUID) error {
	return e.store.CancelDelivery(ctx, id, e.now())
}

// Resolve settles an unknown outcome as confirmed or rejected by a person's word.
func (e *Engine) Resolve(ctx context.Context, id uuid.UUID, as pipeline.DeliveryState) error {
	return e.store.ResolveDelivery(ctx, id, as, e.now())
}
