package tracing

import (
	"context"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// Place is where a span is in its trace, for what comes after it elsewhere. The zero value is nowhere.
type Place struct {
	at trace.SpanContext
}

// PlaceOf returns the place of the context's span. Where nobody is told of that there is none.
func PlaceOf(ctx context.Context) Place {
	if at := trace.SpanContextFromContext(ctx); at.IsValid() && at.IsSampled() {
		return Place{at}
	}
	return Place{}
}

// Known tells whether the place is anywhere.
func (p Place) Known() bool { return p.at.IsValid() }

// Same tells whether two places are one.
func (p Place) Same(as Place) bool { return p.at.Equal(as.at) }

// On has what is begun with the context continue the trace from the place.
func (p Place) On(ctx context.Context) context.Context {
	if !p.Known() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, p.at)
}

// String writes the place as W3C's traceparent does; nowhere is an empty text.
func (p Place) String() string {
	if !p.Known() {
		return ""
	}
	return "00-" + p.at.TraceID().String() + "-" + p.at.SpanID().String() + "-" + p.at.TraceFlags().String()
}

// ParsePlace reads what String wrote; anything else is nowhere.
func ParsePlace(text string) Place {
	parts := strings.Split(text, "-")
	if len(parts) != 4 || parts[0] != "00" {
		return Place{}
	}
	traceID, err := trace.TraceIDFromHex(parts[1])
	if err != nil {
		return Place{}
	}
	spanID, err := trace.SpanIDFromHex(parts[2])
	if err != nil {
		return Place{}
	}
	flags, err := hex.DecodeString(parts[3])
	if err != nil || len(flags) != 1 {
		return Place{}
	}
	return Place{trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]), Remote: true,
	})}
}
