package walk

import (
	"context"
	"time"

	"github.com/trunkline/trunkline/sync/tracing"
)

// When a batch is committed: after so many rows or bytes, or so long after its first page came.
const (
	batchRows  = 1500
	batchBytes = 16 << 20
	batchWait  = 250 * time.Millisecond
	// commitLimit bounds one transaction; the lease is renewed beside it.
	commitLimit = 30 * time.Second
)

// writer gathers parts and commits them.
type writer struct {
	run   *run
	batch Batch
	bytes int
	parts int
	// pages are where the spans are of what is in the batch.
	pages []tracing.Place
}

// start writes until parts end, and returns the first failure of a commit. Parts that come after it are dropped; the
// stages before are stopped by then.
func (w *writer) start(ctx context.Context, parts <-chan *part, stop func(error)) error {
	w.reset()
	timer := time.NewTimer(batchWait)
	timer.Stop()
	defer timer.Stop()
	var failed error
	commit := func() {
		timer.Stop()
		if failed == nil && w.parts > 0 {
			if failed = w.commit(ctx); failed != nil {
				stop(failed)
			}
		}
		w.reset()
	}
	for {
		select {
		case p, ok := <-parts:
			if !ok {
				commit() // what a gentle stop or an error leaves behind are whole pages
				return failed
			}
			if w.parts == 0 {
				timer.Reset(batchWait)
			}
			w.add(p)
			if !p.whole || p.last || len(w.batch.Records)+len(w.batch.Bad) >= batchRows || w.bytes >= batchBytes {
				commit()
			}
		case <-timer.C:
			commit()
		}
	}
}

func (w *writer) reset() {
	r := w.run
	w.batch = Batch{Walk: r.walk, Run: r.id, Lease: leaseFor, Bump: r.walk.Window == nil}
	w.bytes, w.parts, w.pages = 0, 0, w.pages[:0]
}

func (w *writer) add(p *part) {
	b := &w.batch
	w.parts++
	w.bytes += p.bytes
	if b.Records == nil {
		b.Records = p.records
	} else {
		b.Records = append(b.Records, p.records...)
	}
	b.Bad = append(b.Bad, p.bad...)
	b.Cursor = p.cursor
	if n := len(w.pages); p.page.Known() && (n == 0 || !w.pages[n-1].Same(p.page)) {
		w.pages = append(w.pages, p.page)
	}
	if p.whole {
		b.Pages++
	}
	w.run.narrow(p.limit)
	b.Window = w.run.narrowed
	if p.last {
		b.Done, b.Cut = true, p.cut
		b.Covers = w.run.covers()
	}
}

// commit ignores the end of ctx: a transaction that has begun is quicker to finish than to repeat, and the store would
// close its connection.
func (w *writer) commit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	span := w.traceCommit(ctx)
	c, err := w.run.runner.Store.Commit(span.On(ctx), w.batch)
	tellCommit(ctx, span, &c, err)
	if err != nil {
		return err
	}
	w.run.committed(&w.batch, c)
	return nil
}
