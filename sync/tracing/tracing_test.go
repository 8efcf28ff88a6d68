package tracing

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestOffCostsNothing is alone at its time, since it counts the process's allocations.
func TestOffCostsNothing(t *testing.T) {
	ctx, id, now := t.Context(), uuid.New(), time.Now()
	var off *Tracer
	allocations := testing.AllocsPerRun(100, func() {
		inner, span := off.Start(ctx, Walk)
		_, asked := off.StartAs(span.On(inner), Asked, VendorRequest)
		_, late := off.StartAt(ctx, Delivery, now)
		span.ID(WalkID, id)
		span.Word(Source, "ipscape")
		span.Count(Records, 1000)
		span.Fail("failed")
		span.Link(PlaceOf(inner))
		Current(inner).Count(Worked, 1)
		asked.End()
		late.EndAt(now)
		if off.On() || inner != ctx || span.Place().Known() {
			t.Error("a tracer that is off began a span")
		}
		span.End()
	})
	if allocations > 0 {
		t.Errorf("%v allocations while nothing is traced", allocations)
	}
}

// traced returns a tracer, and what it has told.
func traced(t *testing.T) (*Tracer, func() tracetest.SpanStubs) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(kept), sdk.WithSampler(sdk.AlwaysSample()))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return New(provider), kept.GetSpans
}

// TestOnlyWords: whatever a caller hands over by mistake, no span holds it.
func TestOnlyWords(t *testing.T) {
	t.Parallel()
	tracer, told := traced(t)
	mistakes := []string{
		"+12127360001", "2127360001", "555-0100-22", "jane@example.com", "Jane Doe", "Straße", "https://x.example/?token=a", "a=b", "sbxips123456789",
		strings.Repeat("a", 65), "x\ny", "lw_live 1",
	}
	for _, mistake := range mistakes {
		_, span := tracer.Start(t.Context(), Walk)
		span.Word(Reason, mistake)
		span.Fail(mistake)
		span.End()
	}
	for _, s := range told() {
		if len(s.Attributes) != 1 || s.Attributes[0].Value.AsString() != "other" || s.Status.Description != "other" {
			t.Errorf("a span holds %v, %+v", s.Attributes, s.Status)
		}
	}
	before := len(told())
	if before != len(mistakes) {
		t.Errorf("%d spans of %d were told", before, len(mistakes))
	}
	for _, word := range []string{"ipscape", "dial_attempts", "duplicate_phone", "/v1/dialer/convoso/{orgToken}/{$}", "deliver_dialedin", "GET"} {
		_, span := tracer.Start(t.Context(), Walk)
		span.Word(Reason, word)
		span.Word(State, "")
		span.End()
		if got := told()[before]; len(got.Attributes) != 1 || got.Attributes[0].Value.AsString() != word || got.Status.Code != codes.Unset {
			t.Errorf("%s was told as %v", word, got.Attributes)
		}
		before++
	}
}

// TestPlace carries a place as text, as a job does, and goes on from there; what is no place is none.
func TestPlace(t *testing.T) {
	t.Parallel()
	tracer, told := traced(t)
	ctx, first := tracer.Start(t.Context(), PostCommit)
	text := PlaceOf(ctx).String()
	first.End()
	_, child := tracer.StartAs(ParsePlace(text).On(context.Background()), Taken, "job inbox")
	child.End()
	_, later := tracer.StartAfter(ctx, Taken, "job inbox", ParsePlace(text))
	later.End()
	spans := told()
	if spans[1].Parent.SpanID() != spans[0].SpanContext.SpanID() || spans[1].SpanContext.TraceID() != spans[0].SpanContext.TraceID() {
		t.Errorf("the job %v does not go on from %v", spans[1].Parent, spans[0].SpanContext)
	}
	if s := spans[2]; s.Parent.IsValid() || s.SpanContext.TraceID() == spans[0].SpanContext.TraceID() ||
		len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != spans[0].SpanContext.SpanID() {
		t.Errorf("a later run has parent %v and links %v", s.Parent, s.Links)
	}
	for _, bad := range []string{
		"", "00", "00-x-y-01", "01" + text[2:], text + "-", text[:len(text)-1], text[:3] + strings.Repeat("0", 32) + text[35:], strings.ToUpper(text) + "ZZ",
	} {
		if place := ParsePlace(bad); place.Known() {
			t.Errorf("%q is taken for a place", bad)
		}
	}
	if (Place{}).String() != "" || PlaceOf(context.Background()).Known() {
		t.Error("nowhere is somewhere")
	}
}

// TestNotSampled: what nobody will see is not carried either.
func TestNotSampled(t *testing.T) {
	t.Parallel()
	provider := sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample()))
	ctx, span := New(provider).Start(t.Context(), Walk)
	defer span.End()
	if PlaceOf(ctx).Known() {
		t.Error("a span that is not sampled has a place")
	}
}
