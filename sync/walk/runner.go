package walk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// The lease: a killed daemon's walk can be taken over after leaseFor; three renewals may fail before that.
const (
	leaseFor   = 20 * time.Second
	renewEvery = 6 * time.Second
	// settleLimit bounds the last words about a run, which outlive a stop.
	settleLimit = 10 * time.Second
)

// Runner runs walks. Its fields are set once, before use; it is safe for concurrent use.
type Runner struct {
	Store Store
	// Streams finds the stream that a walk reads; false when its account is not configured here.
	Streams func(Walk) (*Stream, bool)
	Now     func() time.Time
	Log     *slog.Logger
	// Observe is told of every commit; it may be nil.
	Observe func(w Walk, c Committed, bad int)
	// Trace may be nil.
	Trace *tracing.Tracer

	mu    sync.Mutex
	skews map[clockKey]time.Duration
}

// clockKey is whose clock a vendor's time is.
type clockKey struct {
	org     uuid.UUID
	account string
	source  pipeline.Source
}

// VendorNow is the vendor's time now, reckoned from its last answer; zero when this process has had none.
func (r *Runner) VendorNow(org uuid.UUID, account string, source pipeline.Source) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	skew, known := r.skews[clockKey{org, account, source}]
	if !known {
		return time.Time{}
	}
	return r.Now().Add(skew).UTC()
}

// Run claims a walk and works on it until it ends, fails, or ctx ends. A run that stops early commits the whole pages it
// has and gives the walk back; the next run goes on from there. It returns nil when the walk is done, ErrTaken when there
// is nothing to do, ErrLost when the lease was lost, and otherwise why the run ended: a vendorapi.Error of kind Limited or
// Denied says how long to wait, and any error that leaves the walk ready is worth another run.
func (r *Runner) Run(ctx context.Context, walkID uuid.UUID) error {
	id := uuid.Must(uuid.NewV7())
	w, err := r.Store.Claim(ctx, walkID, id, leaseFor)
	if err != nil {
		return err
	}
	run := &run{runner: r, id: id, walk: w, log: r.Log.With(
		"walk_id", w.ID, "source", string(w.Source), "stream", w.Stream, "kind", string(w.Kind))}
	var ok bool
	if run.stream, ok = r.Streams(w); !ok {
		err = fmt.Errorf("walk %s: stream %s.%s of account %s is not configured here", w.ID, w.Source, w.Stream, w.Account)
		return run.release(ctx, err, err)
	}
	return run.traced(ctx)
}

// run is one Run.
type run struct {
	runner *Runner
	id     uuid.UUID
	walk   Walk
	stream *Stream
	log    *slog.Logger
	// from and to are the bounds asked for, the same for every page of a run.
	from, to time.Time
	// narrowed is the walk's window as the vendor's clock allows it, nil while it is as ordered; empty tells that nothing
	// of it is left.
	narrowed *Window
	empty    bool
	// rows and outside count rows with a filter time, and those of them outside the bounds; only the mapper touches them.
	rows, outside int
	warned        bool
}

func (r *run) now() time.Time { return r.runner.Now().UTC() }

// all runs passes over the window: one, or two when the vendor refuses the cursor.
func (r *run) all(ctx context.Context) error {
	if r.walk.Window != nil {
		r.from, r.to = r.walk.Window.bounds()
	}
	leased, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var renewing sync.WaitGroup
	renewing.Go(func() { r.renew(leased, stop) })
	defer renewing.Wait()
	defer stop(nil)
	for {
		err := r.pass(leased)
		if err == nil {
			return nil
		}
		if cause := context.Cause(leased); errors.Is(cause, ErrLost) {
			err = cause
		}
		if !r.cursorRefused(err) || ctx.Err() != nil {
			return r.end(ctx, err)
		}
		if r.walk.Restarts > 0 {
			return r.end(ctx, fmt.Errorf("%w: the cursor was refused again after a restart: %w", ErrGuard, err))
		}
		r.log.Warn("vendor refused the cursor; the window begins again")
		if err := r.runner.Store.Restart(ctx, r.walk.ID, r.id, leaseFor); err != nil {
			return r.end(ctx, err)
		}
		r.walk.Restarts++
		r.walk.Cursor = ""
	}
}

// cursorRefused asks the stream about an error that ended a pass. The first page has no cursor that could be refused.
func (r *run) cursorRefused(err error) bool {
	return r.walk.Cursor != "" && r.stream.CursorRefused != nil && r.stream.CursorRefused(err)
}

// pass reads from the walk's cursor to the end of the list.
func (r *run) pass(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f := &fetcher{
		run: r, guard: newCursors(r.walk.Cursor, r.walk.Pages, r.stream.MaxPages),
		out: make(chan *page, pagesAhead), slots: make(chan struct{}, fetchesAtOnce),
	}
	m := &mapper{run: r, out: make(chan *part, 1), seen: newObjects()}
	w := &writer{run: r}
	var stages sync.WaitGroup
	cursor := r.walk.Cursor
	stages.Go(func() { f.start(ctx, cursor) })
	stages.Go(func() {
		m.start(ctx, f.out)
		// Whatever is still being fetched after an error is of no use.
		stop(nil)
	})
	err := w.start(ctx, m.out, stop)
	stages.Wait()
	leaveOut(f.out)
	if err != nil {
		return err
	}
	return m.err
}

// renew keeps the lease until ctx ends. A renewal that fails otherwise than by a lost lease is tried again; a lease that
// runs out meanwhile is noticed by the next commit.
func (r *run) renew(ctx context.Context, stop func(error)) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.renewOnce(ctx)
		if errors.Is(err, ErrLost) {
			stop(err)
			return
		}
		if err != nil && ctx.Err() == nil {
			r.log.Warn("lease of a walk could not be renewed", "error", err)
		}
	}
}

func (r *run) renewOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewEvery)
	defer cancel()
	return r.runner.Store.Renew(ctx, r.walk.ID, r.id, leaseFor)
}

// end settles a walk whose run did not reach the end of the list.
func (r *run) end(ctx context.Context, err error) error {
	if errors.Is(err, ErrLost) {
		r.log.Info("walk is no longer ours; the run ends")
		return err
	}
	if ctx.Err() != nil {
		return r.release(ctx, nil, fmt.Errorf("walk %s was stopped: %w", r.walk.ID, context.Cause(ctx)))
	}
	out := fmt.Errorf("walk %s of %s.%s: %w", r.walk.ID, r.walk.Source, r.walk.Stream, err)
	if errors.Is(err, ErrGuard) {
		return r.fail(ctx, err, false, out)
	}
	switch vendorapi.KindOf(err) {
	case vendorapi.Refused, vendorapi.Malformed, vendorapi.Unknown:
		return r.fail(ctx, err, true, out)
	case vendorapi.Limited:
		return r.release(ctx, nil, out) // a wait, not a fault
	case vendorapi.Transient, vendorapi.Denied:
	}
	return r.release(ctx, err, out)
}

func (r *run) release(ctx context.Context, problem, out error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if err := r.runner.Store.Release(ctx, r.walk.ID, r.id, problem); err != nil {
		r.log.Warn("walk could not be released; its lease runs out", "error", err)
	}
	return out
}

func (r *run) fail(ctx context.Context, problem error, keepCursor bool, out error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if err := r.runner.Store.Fail(ctx, r.walk.ID, r.id, problem, keepCursor); err != nil {
		return errors.Join(out, err)
	}
	return out
}
