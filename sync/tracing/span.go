package tracing

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Key names what a span is told.
type Key string

// The keys there are. Those of HTTP are OpenTelemetry's.
const (
	WalkID     Key = "trunkline.walk_id"
	InboxID    Key = "trunkline.inbox_id"
	DeliveryID Key = "trunkline.delivery_id"
	JobID      Key = "trunkline.job_id"
	EndpointID Key = "trunkline.endpoint_id"
	EventID    Key = "trunkline.event_id"

	Source      Key = "trunkline.source"
	Stream      Key = "trunkline.stream"
	WalkKind    Key = "trunkline.walk_kind"
	Lane        Key = "trunkline.lane"
	Destination Key = "trunkline.destination"
	Operation   Key = "trunkline.operation"
	Queue       Key = "trunkline.queue"
	Event       Key = "trunkline.event"
	// Outcome is how it ended, Reason why, and State what a row is in since.
	Outcome Key = "trunkline.outcome"
	Reason  Key = "trunkline.reason"
	State   Key = "trunkline.state"

	Attempt Key = "trunkline.attempt"
	// Page counts from 1 within its walk, Pages those that end in a commit.
	Page      Key = "trunkline.page"
	Pages     Key = "trunkline.pages"
	Records   Key = "trunkline.records"
	Bad       Key = "trunkline.bad"
	Added     Key = "trunkline.new"
	Changed   Key = "trunkline.changed"
	Unchanged Key = "trunkline.unchanged"
	Leads     Key = "trunkline.leads"
	Calls     Key = "trunkline.calls"
	Facts     Key = "trunkline.facts"
	OptOuts   Key = "trunkline.opt_outs"
	Worked    Key = "trunkline.worked"
	// WaitedMS is how long a request waited for the account's budget, in milliseconds.
	WaitedMS Key = "trunkline.waited_ms"

	Method Key = "http.request.method"
	Route  Key = "http.route"
	Status Key = "http.response.status_code"
)

// Span is one piece of work. The zero value takes everything and tells nobody.
type Span struct {
	span trace.Span
}

// Current returns the context's span, the zero one where it has none.
func Current(ctx context.Context) Span {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return Span{span}
	}
	return Span{}
}

// On puts the span into another context.
func (s Span) On(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// ID tells an id of ours.
func (s Span) ID(key Key, id uuid.UUID) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(string(key), id.String()))
	}
}

// Count tells a number of things.
func (s Span) Count(key Key, n int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(string(key), n))
	}
}

// Word tells a word of a closed list of ours. An empty one is not told, and one that does not look like it is told as "other".
func (s Span) Word(key Key, word string) {
	if s.span != nil && word != "" {
		s.span.SetAttributes(attribute.String(string(key), plain(word)))
	}
}

// Fail marks the work as failed, for a reason of a closed list. The text of an error is no such reason: it may quote anything.
func (s Span) Fail(why string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, plain(why))
	}
}

// Link tells that the work continues others'.
func (s Span) Link(to Place) {
	if s.span != nil && to.Known() {
		s.span.AddLink(trace.Link{SpanContext: to.at})
	}
}

// Place is where the span is in its trace.
func (s Span) Place() Place {
	if s.span == nil {
		return Place{}
	}
	return Place{s.span.SpanContext()}
}

// End ends the work.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}

// EndAt ends the work as of a time.
func (s Span) EndAt(at time.Time) {
	if s.span != nil {
		s.span.End(trace.WithTimestamp(at))
	}
}

// The longest word of ours, and the most digits in one: fewer than any phone has.
const (
	longestWord = 64
	mostDigits  = 5
)

// plain is the last net: a phone, an address, a token or a sentence is no word.
func plain(word string) string {
	digits := 0
	for _, r := range word {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', strings.ContainsRune("_.-/{}$", r):
		default:
			return "other"
		}
	}
	if digits > mostDigits || len(word) > longestWord {
		return "other"
	}
	return word
}
