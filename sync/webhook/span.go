package webhook

import (
	"context"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
)

// startSend begins the span of one request: its ids and the event's name. Where it goes is its owner's text and is not told.
func (e *Engine) startSend(ctx context.Context, s *pipeline.WebhookSend) (context.Context, tracing.Span) {
	ctx, span := e.cfg.Trace.StartAs(ctx, tracing.Asked, tracing.WebhookSend)
	span.ID(tracing.DeliveryID, s.DeliveryID)
	span.ID(tracing.EndpointID, s.EndpointID)
	span.ID(tracing.EventID, s.EventID)
	span.Word(tracing.Event, s.Event)
	span.Count(tracing.Attempt, s.Attempts+1)
	return ctx, span
}

// endSend tells what the request came to.
func endSend(span tracing.Span, r Result) {
	span.Word(tracing.Outcome, r.Outcome)
	if r.Status > 0 {
		span.Count(tracing.Status, r.Status)
	}
	if !r.Delivered() {
		span.Fail(r.Outcome)
	}
	span.End()
}
