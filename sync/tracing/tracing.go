// Package tracing is how the daemon tells of its work as spans of OpenTelemetry. What a span can hold is counts, ids of ours and words
// of closed lists, so that no secret and nothing of a person gets into one. Without a collector there is no tracer, and a nil one costs
// nothing.
package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Name is what a span is called: one of a closed list, or a route or kind of job.
type Name string

// The spans of the four ways: a page that is polled, a post, a batch of the fold, a delivery. A webhook out is one beside them.
const (
	Walk       Name = "walk"
	WalkPage   Name = "walk.page"
	WalkFetch  Name = "walk.fetch"
	WalkDecode Name = "walk.decode"
	WalkCommit Name = "walk.commit"

	PostCommit Name = "post.commit"

	ReconcileBatch Name = "reconcile.batch"

	Delivery       Name = "delivery"
	DeliveryDecide Name = "delivery.decide"
	DeliverySend   Name = "delivery.send"
	DeliverySearch Name = "delivery.search"
	DeliverySettle Name = "delivery.settle"

	WebhookSend Name = "webhook.send"

	VendorRequest Name = "vendor.request"
)

// Kind is the part that a span has between programs.
type Kind trace.SpanKind

// Inner work is within the daemon, Served what it was asked for, Asked what it asks of others, and Taken a job from the queue.
const (
	Inner  = Kind(trace.SpanKindInternal)
	Served = Kind(trace.SpanKindServer)
	Asked  = Kind(trace.SpanKindClient)
	Taken  = Kind(trace.SpanKindConsumer)
)

// Tracer begins spans. A nil one begins none.
type Tracer struct {
	tracer trace.Tracer
}

// scope names who made the spans.
const scope = "github.com/trunkline/trunkline"

// New makes a tracer of a provider of OpenTelemetry's.
func New(provider trace.TracerProvider) *Tracer {
	return &Tracer{tracer: provider.Tracer(scope)}
}

// On tells whether there is anybody to tell.
func (t *Tracer) On() bool { return t != nil }

// Start begins a span under the context's, and returns the context that carries it.
func (t *Tracer) Start(ctx context.Context, name Name) (context.Context, Span) {
	return t.StartAs(ctx, Inner, name)
}

// StartAs is Start for a span of another kind.
func (t *Tracer) StartAs(ctx context.Context, kind Kind, name Name) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, string(name), trace.WithSpanKind(trace.SpanKind(kind)))
	return ctx, Span{span}
}

// StartAt is Start for work that began at a time.
func (t *Tracer) StartAt(ctx context.Context, name Name, at time.Time) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, string(name), trace.WithTimestamp(at))
	return ctx, Span{span}
}

// StartAfter begins a span in a trace of its own, which follows from another one.
func (t *Tracer) StartAfter(ctx context.Context, kind Kind, name Name, before Place) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKind(kind)), trace.WithNewRoot()}
	if before.Known() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: before.at}))
	}
	ctx, span := t.tracer.Start(ctx, string(name), options...)
	return ctx, Span{span}
}
