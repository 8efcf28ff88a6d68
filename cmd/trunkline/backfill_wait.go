package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// How often --wait looks.
const waitInterval = 500 * time.Millisecond

// errDenied means that the vendor refused the account's credentials, so that waiting is of no use.
var errDenied = errors.New("the vendor refuses the account's credentials")

// waiting is one --wait: it looks until there is nothing more to wait for.
type waiting struct {
	p *program
	d *database
	// source is whose credentials are watched.
	source pipeline.Source
	// daemon tells whether a daemon was there at the last look; it begins as true, so that its absence is told once.
	daemon bool
	// goesOn is what is told to one who stops waiting.
	goesOn string
}

// until calls look until it says that there is an end, the operator interrupts, or the vendor refuses the credentials.
func (w *waiting) until(ctx context.Context, look func() (ended bool, err error)) error {
	ticker := time.NewTicker(waitInterval)
	defer ticker.Stop()
	for {
		ended, err := look()
		if err == nil && !ended {
			err = w.hopeful(ctx)
		}
		if err == nil && !ended {
			select {
			case <-ticker.C:
				continue
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil && !ended {
			w.p.endLine()
			return withCode(exitInterrupted, errors.New(w.goesOn))
		}
		return err
	}
}

// hopeful tells once that no daemon is there, and fails when the vendor refuses the credentials.
func (w *waiting) hopeful(ctx context.Context) error {
	alive, err := w.d.DaemonAlive(ctx)
	if err != nil {
		return err
	}
	if !alive && w.daemon {
		w.p.endLine()
		fmt.Fprintln(w.p.stderr, "no daemon is running: the work waits for one (trunkline serve)")
	}
	w.daemon = alive
	org, err := orgID(ctx, w.d, "")
	if err != nil {
		return err
	}
	budget, err := w.d.LookBudget(ctx, store.BudgetKey{Org: org, Account: store.DefaultAccount, Source: w.source})
	switch {
	case errors.Is(err, store.ErrNotFound): // no daemon has run with the account yet
		return nil
	case err != nil:
		return err
	case budget.Denied && alive:
		w.p.endLine()
		return withCode(exitDenied, fmt.Errorf("%w; %s once they are accepted", errDenied, w.goesOn))
	}
	return nil
}

// endLine ends a progress bar, so that what follows stands on a line of its own.
func (p *program) endLine() {
	if p.terminal {
		fmt.Fprint(p.stderr, "\r\x1b[K")
	}
}

// waitForBackfill shows a backfill's progress until it has ended.
func (p *program) waitForBackfill(ctx context.Context, d *database, id uuid.UUID) error {
	b, err := d.Backfill(ctx, uuid.Nil, id)
	if err != nil {
		return err
	}
	w := &waiting{p: p, d: d, source: b.Source, daemon: true, goesOn: fmt.Sprintf("the backfill goes on in the daemon: trunkline backfill show %s", id)}
	told := &toldWindows{seen: map[uuid.UUID]bool{}}
	err = w.until(ctx, func() (bool, error) {
		if b, err = d.Backfill(ctx, uuid.Nil, id); err != nil {
			return false, err
		}
		if p.terminal {
			fmt.Fprint(p.stderr, "\r\x1b[K"+progressBar(&b))
		} else if err := p.tellWindows(ctx, d, &b, told); err != nil {
			return false, err
		}
		return b.State.Ended(), nil
	})
	if err != nil {
		return err
	}
	p.endLine()
	return p.backfillEnded(&b)
}

// backfillEnded says how a backfill ended, and with which code.
func (p *program) backfillEnded(b *store.Backfill) error {
	q := &b.Progress
	fmt.Fprintf(p.stderr, "backfill %s: %d of %s, %s\n", b.State, q.Done, status.Many(q.Windows, "window", "windows"), status.Many(q.Rows, "row", "rows"))
	switch {
	case b.State == store.BackfillDone:
		return nil
	case b.State == store.BackfillFailed && q.Done > 0:
		return withCode(exitPartly, errors.New(b.Error))
	case b.State == store.BackfillFailed:
		return withCode(exitFailed, errors.New(b.Error))
	}
	return withCode(exitFailed, fmt.Errorf("the backfill is %s", b.State))
}

// progressBar is one line: windows, rows, rate and time left.
func progressBar(b *store.Backfill) string {
	const width = 30
	q := &b.Progress
	ended := q.Done + q.Failed
	full := 0
	if q.Windows > 0 {
		full = width * ended / q.Windows
	}
	failed := ""
	if q.Failed > 0 {
		failed = fmt.Sprintf(", %d failed", q.Failed)
	}
	state := ""
	if b.State != store.BackfillRunning {
		state = string(b.State) + "  "
	}
	return fmt.Sprintf("[%s%s] %s%d/%d windows%s  %d rows  %.0f rows/s  %s left",
		strings.Repeat("#", full), strings.Repeat("-", width-full), state, ended, q.Windows, failed, q.Rows, q.RowsPerSecond, timeLeft(q))
}

// toldWindows remembers which windows were told of, and the state that was.
type toldWindows struct {
	seen  map[uuid.UUID]bool
	since time.Time
	state store.BackfillState
}

// lateCommit is how much later than its own time an end of a window may become visible: the limit of one transaction.
const lateCommit = time.Minute

// tellWindows prints a line for each window that has ended since the last look, and for a change of the backfill's state.
func (p *program) tellWindows(ctx context.Context, d *database, b *store.Backfill, told *toldWindows) error {
	ended, err := d.EndedWindows(ctx, b.ID, told.since, b.Progress.Windows)
	if err != nil {
		return err
	}
	for _, w := range ended {
		if at := w.FinishedAt.Add(-lateCommit); at.After(told.since) {
			told.since = at
		}
		if told.seen[w.Walk] {
			continue
		}
		told.seen[w.Walk] = true
		span := "whole"
		if !w.Range.From.IsZero() {
			span = when(w.Range.From) + " to " + when(w.Range.To)
		}
		line := fmt.Sprintf("window %d/%d %s: %s %s, %s", len(told.seen), b.Progress.Windows, w.State, w.Stream, span, status.Many(w.Rows, "row", "rows"))
		if w.State == "failed" {
			line += ": " + w.Error
		}
		fmt.Fprintln(p.stderr, line)
	}
	if b.State == store.BackfillPaused && told.state != b.State {
		fmt.Fprintf(p.stderr, "the backfill is paused; trunkline backfill resume %s\n", b.ID)
	}
	told.state = b.State
	return nil
}
