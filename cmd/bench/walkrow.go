package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/gate"
	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// walker is everything of a daemon that a walk of activities takes.
type walker struct {
	db     *store.DB
	runner *walk.Runner
	stream *walk.Stream
	key    store.StreamKey
}

// newWalker makes a walker whose account has a budget of rate requests a second, 0 for no limit.
func newWalker(ctx context.Context, db *store.DB, queue *jobs.Queue, vendorAddr string, rate float64, log *slog.Logger) (*walker, error) {
	org, err := db.EnsureDefault(ctx)
	if err != nil {
		return nil, err
	}
	g, err := gate.New(ctx, db, gate.Config{
		Key:  store.BudgetKey{Org: org.ID, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE},
		Rate: rate, CredentialHash: []byte("bench"), Now: time.Now, Log: log,
	})
	if err != nil {
		return nil, err
	}
	client, err := ipscape.NewClient(ipscape.Config{BaseURL: "http://" + vendorAddr, Token: "bench"},
		vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: log, Gate: g})
	if err != nil {
		return nil, err
	}
	entry := jobs.IPSCAPE(jobs.IPSCAPEConfig{Client: client, Settings: settings(), Start: 2 * span})[0]
	w := &walker{
		db: db, stream: entry.Stream,
		key: store.StreamKey{Org: org.ID, Account: store.DefaultAccount, Source: entry.Stream.Source, Stream: entry.Stream.Name},
	}
	w.runner = &walk.Runner{
		Store: &walkstore.Store{
			DB:      db,
			Table:   func(pipeline.Source, string) *store.TypedTable { return entry.Table },
			Enqueue: func(ctx context.Context, tx pgx.Tx, _ int) error { return queue.WakeReconcile(ctx, tx) },
		},
		Streams: func(walk.Walk) (*walk.Stream, bool) { return entry.Stream, true },
		Now:     time.Now, Log: log,
	}
	return w, nil
}

// walk reads the windows side by side and returns how long that took.
func (w *walker) walk(ctx context.Context, kind walk.Kind, lane vendorapi.Lane, windows []store.TimeRange) (time.Duration, error) {
	orders := make([]store.Walk, len(windows))
	err := w.db.InTx(ctx, func(tx pgx.Tx) error {
		if err := w.db.EnsureStream(ctx, tx, w.key, string(w.stream.Capability)); err != nil {
			return err
		}
		for i := range windows {
			var err error
			orders[i], err = w.db.CreateWalk(ctx, tx, store.NewWalk{Key: w.key, Kind: string(kind), Lane: string(lane), Window: &windows[i]})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	started := time.Now()
	group, running := errgroup.WithContext(ctx)
	for i := range orders {
		group.Go(func() error { return w.runner.Run(running, orders[i].ID) })
	}
	err = group.Wait()
	return time.Since(started), err
}

// holds checks that a walk left what it should.
func holds(ctx context.Context, db *store.DB, want int) error {
	var records, rows, covered int
	err := db.Pool.QueryRow(ctx, `select (select count(*) from ops.records), (select count(*) from ipscape.activities),
		(select count(*) from ops.streams where covered <> '{}')`).Scan(&records, &rows, &covered)
	if err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	if records != want || rows != want || covered != 1 {
		return fmt.Errorf("walk left %d records, %d rows and %d covered streams, want %d, %d and 1", records, rows, covered, want, want)
	}
	return nil
}

// wholeWindow holds every item.
func wholeWindow(items []item) store.TimeRange {
	return store.TimeRange{From: items[0].FilterTime.Add(-time.Second), To: items[len(items)-1].FilterTime.Add(time.Second)}
}

// walkBench measures a first load and an unchanged re-read with pages of a size.
func walkBench(page int) func(context.Context, *lab) ([]row, error) {
	return func(ctx context.Context, l *lab) (_ []row, err error) {
		d, err := l.dataset(ctx)
		if err != nil {
			return nil, err
		}
		addr, stop, err := serve(ctx, newVendor(d.activities, len(d.activities), page, 0))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		window := []store.TimeRange{wholeWindow(d.activities)}
		walkSide := l.on(emptyTemplate, func(ctx context.Context, b *base) ([]float64, error) {
			w, err := newWalker(ctx, b.DB, b.queue, addr, 0, l.log)
			if err != nil {
				return nil, err
			}
			first, err := w.walk(ctx, walk.Live, vendorapi.Live, window)
			if err != nil {
				return nil, err
			}
			again, err := w.walk(ctx, walk.Rescan, vendorapi.Reread, window)
			if err != nil {
				return nil, err
			}
			n := len(d.activities)
			return []float64{perSecond(n, first), perSecond(n, again)}, holds(ctx, b.DB, n)
		})
		got, err := interleave(ctx, l.pairs, l.copySide(d.activitiesForCopy()), walkSide)
		if err != nil {
			return nil, err
		}
		base := row{unit: "rows/s", yardstick: "COPY of the same rows", must: 0.55, stretch: 0.8}
		first, again := base, base
		first.figure = fmt.Sprintf("walk, first load, %d a page", page)
		again.figure = fmt.Sprintf("walk, unchanged re-read, %d a page", page)
		again.must, again.stretch = 2, 5
		return []row{first.against(got[1][0], got[0][0]), again.against(got[1][1], got[0][0])}, nil
	}
}
