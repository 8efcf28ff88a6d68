package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// DriftArgs asks for a look at a sample of one stream.
type DriftArgs struct {
	Org     uuid.UUID       `json:"org"`
	Account string          `json:"account"`
	Source  pipeline.Source `json:"source"`
	Stream  string          `json:"stream"`
}

// Kind implements river.JobArgs.
func (DriftArgs) Kind() string { return "drift" }

// InsertOpts implements river.JobArgsWithInsertOpts. A look that fails is not repeated: the next one is another sample.
func (DriftArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueRefetch, MaxAttempts: 1}
}

// Bounds of a look. Requests wait behind all other work of the account, so it may end with a part of its sample.
const (
	driftTurn = 90 * time.Second
	// driftWindows are how many places of the vendor's list are looked at, each over a time that holds about driftListed objects:
	// one page, of which no more than driftPage count.
	driftWindows = 3
	driftListed  = 100
	driftPage    = 1000
	// driftConfirmed is how many objects that are not here are asked for one by one.
	driftConfirmed = 20
	// driftNames is how many names of what differs are told.
	driftNames = 6
)

// Drift reads samples of stored rows again and compares them, and a few places of the vendor's list for what is not stored. It
// only reads: what it finds is kept with the command that mends it.
type Drift struct {
	DB    *store.DB
	Queue *Queue
	Log   *slog.Logger
	Now   func() time.Time
	// Fold compares with the pipeline.
	Fold *store.Reconciler
	// Sample is how many stored objects of a stream a look takes.
	Sample int
	// Entry finds a stream, false where its source is off.
	Entry func(store.StreamKey) (StreamEntry, bool)
}

// Driftable tells whether a stream can be looked at: its objects can be read one by one, and its rows can be marked as missing.
func Driftable(e StreamEntry) bool { return e.Get != nil && e.Table != nil && e.Table.Missing }

// Due makes the job of a stream, unless one is under way.
func (d *Drift) Due(key store.StreamKey) func(ctx context.Context, tx pgx.Tx, slot time.Time) error {
	return func(ctx context.Context, tx pgx.Tx, _ time.Time) error {
		going, err := d.DB.DriftGoing(ctx, tx, key)
		if err != nil || going {
			return err
		}
		return d.Queue.Insert(ctx, tx, DriftArgs(key))
	}
}

// Look takes one sample and keeps what it found. One that could not be ended tells so in the run, and counts as far as it came.
func (d *Drift) Look(ctx context.Context, key store.StreamKey) (store.DriftRun, error) {
	e, ok := d.Entry(key)
	if !ok || !Driftable(e) {
		return store.DriftRun{}, fmt.Errorf("%s cannot be looked at for drift", key)
	}
	l := &driftLook{Drift: d, key: key, entry: e, run: store.DriftRun{ID: uuid.New(), Key: key, StartedAt: d.DB.Now()}}
	until, cancel := context.WithTimeout(ctx, driftTurn)
	defer cancel()
	// What is missing weighs most and costs least: a sample that the turn is too short for does not keep it from being seen.
	err := l.listed(until)
	if err == nil {
		err = l.stored(until)
	}
	if err != nil {
		if ctx.Err() != nil || vendorapi.KindOf(err) == vendorapi.Denied {
			return l.run, err
		}
		l.run.Error = store.Loggable(err)
		if until.Err() != nil {
			l.run.Error = "the turn was over before the sample was"
		}
	}
	l.run.FinishedAt = d.DB.Now()
	slices.SortFunc(l.run.Findings, func(a, b store.DriftFinding) int {
		return strings.Compare(a.Kind+" "+a.ObjectID, b.Kind+" "+b.ObjectID)
	})
	if err := d.DB.PutDrift(ctx, &l.run); err != nil {
		return l.run, err
	}
	d.Log.InfoContext(ctx, "a sample was compared with the vendor", "source", key.Source, "stream", key.Stream, "compared", l.run.Compared, "listed", l.run.Listed,
		"missing", l.run.Count(store.DriftMissing), "extra", l.run.Count(store.DriftExtra), "stale", l.run.Count(store.DriftStale),
		"mapped_wrong", l.run.Count(store.DriftMapped), "error", l.run.Error)
	return l.run, nil
}

// looker is what the worker needs of Drift.
type looker interface {
	Look(ctx context.Context, key store.StreamKey) (store.DriftRun, error)
}

type driftWorker struct {
	river.WorkerDefaults[DriftArgs]
	drift looker
}

// Work looks once.
func (w *driftWorker) Work(ctx context.Context, job *river.Job[DriftArgs]) error {
	_, err := w.drift.Look(ctx, store.StreamKey(job.Args))
	return err
}
