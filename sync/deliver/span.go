package deliver

import (
	"context"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
)

// startDelivery begins the span of one delivery's turn.
func (e *Engine) startDelivery(ctx context.Context, d *pipeline.Delivery, at time.Time) tracing.Span {
	_, span := e.trace.StartAt(ctx, tracing.Delivery, at)
	span.ID(tracing.DeliveryID, d.ID)
	span.Word(tracing.Destination, d.Destination)
	span.Word(tracing.Operation, d.Operation)
	span.Count(tracing.Attempt, d.Attempts)
	return span
}

// decided begins the span of a delivery with the decision about it, which was made with others' in one transaction.
func (e *Engine) decided(ctx context.Context, one *pipeline.BegunDelivery, from, to time.Time) tracing.Span {
	span := e.startDelivery(ctx, &one.Delivery, from)
	_, decide := e.trace.StartAt(span.On(ctx), tracing.DeliveryDecide, from)
	outcome := "send"
	if !one.Decision.Send {
		outcome = string(one.Decision.Change.State)
	}
	decide.Word(tracing.Outcome, outcome)
	decide.EndAt(to)
	return span
}

// settle commits how a request ended, and ends the delivery's span; it tells whether the row moved.
func (d *drain) settle(ctx context.Context, span tracing.Span, end pipeline.DeliverySettlement) bool {
	_, settling := d.engine.trace.Start(ctx, tracing.DeliverySettle)
	moved := d.settler.commit(end)
	if !moved {
		settling.Word(tracing.Outcome, "not_moved")
	}
	settling.End()
	tellEnd(span, end.Change)
	return moved
}

// tellEnd tells a delivery's span what became of it, and ends it.
func tellEnd(span tracing.Span, change pipeline.DeliveryChange) {
	span.Word(tracing.State, string(change.State))
	switch {
	case change.State == pipeline.DeliveryReady && change.Hold != "":
		span.Word(tracing.Reason, change.Hold)
	default:
		span.Word(tracing.Reason, change.Reason)
	}
	if change.State == pipeline.DeliveryUnknown {
		span.Fail("unknown")
	}
	span.End()
}
