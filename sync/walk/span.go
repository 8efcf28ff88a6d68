package walk

import (
	"context"
	"errors"

	"github.com/trunkline/trunkline/sync/tracing"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// traced is all, told as a span.
func (r *run) traced(ctx context.Context) error {
	ctx, span := r.start(ctx, tracing.Walk)
	defer span.End()
	span.Word(tracing.WalkKind, string(r.walk.Kind))
	span.Word(tracing.Lane, string(r.walk.Lane))
	err := r.all(ctx)
	word := ending(ctx, err)
	span.Word(tracing.Outcome, word)
	switch word {
	case "done", "lost", "stopped":
	default:
		span.Fail(word)
	}
	return err
}

// start begins a span that tells which walk it is of.
func (r *run) start(ctx context.Context, name tracing.Name) (context.Context, tracing.Span) {
	ctx, span := r.runner.Trace.Start(ctx, name)
	span.ID(tracing.WalkID, r.walk.ID)
	span.Word(tracing.Source, string(r.walk.Source))
	span.Word(tracing.Stream, r.walk.Stream)
	return ctx, span
}

// ending names how a run, or a part of one, ended.
func ending(ctx context.Context, err error) string {
	kind := vendorapi.KindOf(err)
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, ErrLost):
		return "lost"
	case ctx.Err() != nil:
		return "stopped"
	case errors.Is(err, ErrGuard):
		return "guard"
	case kind != 0:
		return kind.String()
	}
	return "failed"
}

// startPage begins the span of a page, which ends once the page is read. What is committed of it links to it.
func (r *run) startPage(ctx context.Context, p *page, number int) {
	p.ctx, p.span = r.start(ctx, tracing.WalkPage)
	p.span.Count(tracing.Page, number)
}

// leaveOut ends the spans of pages that nobody came to read.
func leaveOut(pages <-chan *page) {
	for p := range pages {
		p.span.Fail("stopped")
		p.span.End()
	}
}

// traceCommit begins the span of a commit.
func (w *writer) traceCommit(ctx context.Context) tracing.Span {
	_, span := w.run.start(ctx, tracing.WalkCommit)
	for _, page := range w.pages {
		span.Link(page)
	}
	span.Count(tracing.Records, len(w.batch.Records))
	span.Count(tracing.Bad, len(w.batch.Bad))
	span.Count(tracing.Pages, w.batch.Pages)
	return span
}

// tellCommit tells the span how the commit ended, and ends it.
func tellCommit(ctx context.Context, span tracing.Span, c *Committed, err error) {
	if err != nil {
		span.Fail(ending(ctx, err))
	}
	span.Count(tracing.Added, c.New)
	span.Count(tracing.Changed, c.Changed)
	span.Count(tracing.Unchanged, c.Unchanged)
	span.End()
}
