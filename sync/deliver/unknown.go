package deliver

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
)

// lookInto deals with a claimed delivery whose outcome is unknown: it asks the destination where that is possible, and
// waits or calls for a person where it is not.
func (d *drain) lookInto(ctx context.Context, turn *turn, id uuid.UUID) {
	e := d.engine
	if ctx.Err() != nil || e.quiesced() {
		d.letGo(ctx, id)
		return
	}
	read, cancel := lasting(ctx)
	c, err := e.store.DeliveryView(read, id)
	cancel()
	if err != nil {
		d.setAside(ctx, id, err)
		return
	}
	if c.Delivery.State != pipeline.DeliveryUnknown {
		return // somebody settled it meanwhile
	}
	span := e.startDelivery(ctx, &c.Delivery, e.clock())
	defer span.End()
	end := pipeline.DeliverySettlement{Kind: pipeline.AttemptSearch, Delivery: c.Delivery, Owner: e.owner, StartedAt: e.now()}
	op, known := e.prepareUnknown(&c)
	switch {
	case !known:
		end.Change = unknownAs(&c.Delivery, e.now().Add(operationWait))
	case classOf(&c.Delivery, op) != Rings:
		change := unknownAs(&c.Delivery, e.now())
		change.State = pipeline.DeliveryReady
		end.Change = e.set.afterUnknown(&c.Delivery, op, change, e.now())
	case op.Search == nil:
		end.Change = e.set.awaitWebhook(&c.Delivery, unknownAs(&c.Delivery, e.now()), e.now())
	default:
		asking, asked := e.trace.Start(span.On(turn.on(ctx)), tracing.DeliverySearch)
		o := e.search(asking, op, View{Delivery: c.Delivery, Lead: c.Lead, Phone: c.Delivery.Phone})
		asked.Word(tracing.Outcome, o.outcome())
		asked.End()
		if o.failed && ctx.Err() != nil {
			d.letGo(ctx, id) // we broke it off ourselves
			return
		}
		end.Outcome, end.Detail = o.outcome(), o.problem
		end.Change = e.set.afterSearch(&c.Delivery, op, o, e.now())
	}
	end.Now = e.now()
	if d.settle(span.On(ctx), span, end) {
		e.observe(c.Delivery.Destination, c.Delivery.Operation, end.Change)
	}
}

func (e *Engine) prepareUnknown(c *pipeline.DeliveryCandidate) (Operation, bool) {
	one := e.prepare(c, time.Time{})
	return one.op, one.known
}

// outcome names the search's end in its attempt's row.
func (o searched) outcome() string {
	switch {
	case o.failed:
		return "failed"
	case o.found:
		return "found"
	}
	return "missed"
}

// letGo gives back a delivery that is to be looked into later.
func (d *drain) letGo(ctx context.Context, id uuid.UUID) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := d.engine.store.ReleaseDeliveries(ctx, d.engine.owner, []uuid.UUID{id}); err != nil {
		d.fail(err)
	}
}

// setAside gives back a delivery that our side could not deal with.
func (d *drain) setAside(ctx context.Context, id uuid.UUID, cause error) {
	e := d.engine
	e.log.Error("delivery could not be dealt with", "delivery_id", id, "error", cause)
	d.fault(cause)
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := e.store.PutBackDelivery(ctx, e.owner, id, e.now().Add(ownFaultWait), "could not be dealt with"); err != nil {
		d.fail(err)
	}
}
