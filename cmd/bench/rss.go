package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// rssBench compares the memory of a daemon that reads and folds a long history with that of one that reads a shorter one.
// One pair is enough: the greatest memory does not stray with the machine's load as a time does.
func rssBench(ctx context.Context, l *lab) ([]row, error) {
	figure := row{figure: fmt.Sprintf("peak RSS of a daemon, backfill of %s rows", number(float64(l.rssRows))), must: 64, stretch: 48, atMost: true, unit: "MB"}
	d, err := l.dataset(ctx)
	if err != nil {
		return nil, err
	}
	short := l.rssRows / 10
	got, err := interleave(ctx, 1, l.backfillSide(d, short), l.backfillSide(d, l.rssRows))
	if errors.Is(err, errNoProc) {
		figure.note = "not measured: " + err.Error()
		return []row{figure}, nil
	}
	if err != nil {
		return nil, err
	}
	figure.value = got[1][0].median()
	against := row{figure: figure.figure + " ÷ a shorter one", unit: "MB", yardstick: number(float64(short)) + " rows", must: 1.1, stretch: 1.1, atMost: true}
	return []row{figure, against.against(got[1][0], got[0][0])}, nil
}

// backfillSide has a daemon read all that a vendor holds, waits until everything is folded, and tells its peak memory.
func (l *lab) backfillSide(d *dataset, rows int) side {
	return l.on(emptyTemplate, func(ctx context.Context, b *base) (_ []float64, err error) {
		addr, stop, err := serve(ctx, newVendor(d.activities, rows, 100, 0))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		program, err := l.program(ctx)
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(l.dir, b.name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the daemon's directory: %w", err)
		}
		daemon, err := startDaemon(ctx, program, dir, b.environment(dir, addr))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, daemon.stop()) }()
		// The vendor pays no heed to a window when it repeats its items, so there is one.
		from, window := time.Now().Add(-2*span).UTC().Format(time.RFC3339), (3 * span).String()
		if err := daemon.run(ctx, "backfill", "start", "ipscape", "activities", "--from", from, "--window", window, "--wait"); err != nil {
			return nil, err
		}
		folded := func() (bool, error) {
			var left bool
			err := b.Pool.QueryRow(ctx, `select exists (select from ops.reconcile_queue)`).Scan(&left)
			return !left, err
		}
		if err := until(ctx, time.Hour, folded); err != nil {
			return nil, fmt.Errorf("waiting for the fold: %w", err)
		}
		if err := holds(ctx, b.DB, rows); err != nil {
			return nil, err
		}
		peak, err := daemon.peakRSS()
		return []float64{peak}, err
	})
}
