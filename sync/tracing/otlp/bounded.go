package otlp

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// complainEvery bounds what the log hears of a collector that is away.
const complainEvery = time.Minute

// bounded tells the log of failures, at most once a minute, and of the end of them.
type bounded struct {
	sdk.SpanExporter
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	told   bool
	toldAt time.Time
	lost   int
}

// ExportSpans implements sdk.SpanExporter. It never returns an error: there is nobody above who could do something.
func (b *bounded) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := b.SpanExporter.ExportSpans(ctx, spans)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch now := b.now(); {
	case err == nil && b.told:
		b.log.Info("traces reach the collector again", "spans_lost", b.lost)
		b.told, b.lost = false, 0
	case err != nil:
		if b.lost += len(spans); b.toldAt.IsZero() || now.Sub(b.toldAt) >= complainEvery {
			b.log.Warn("traces do not reach the collector", "error", reason(err), "spans_lost", b.lost)
			b.told, b.toldAt = true, now
		}
	}
	return nil
}
