package jobs

import (
	"context"
	"errors"

	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/tracing"
)

// drain works until there is nothing left to do, or until its turn is over and store.ErrMore says so. It tells how much it did.
type drain interface {
	Drain(ctx context.Context) (int, error)
}

// turn drains once. The job comes back at once while there is more to do.
func turn(ctx context.Context, d drain) error {
	n, err := d.Drain(ctx)
	tracing.Current(ctx).Count(tracing.Worked, n)
	if errors.Is(err, store.ErrMore) {
		return river.JobSnooze(0)
	}
	return err
}

type reconcileWorker struct {
	river.WorkerDefaults[ReconcileArgs]
	drain drain
}

// Work folds what is queued.
func (w *reconcileWorker) Work(ctx context.Context, _ *river.Job[ReconcileArgs]) error {
	return turn(ctx, w.drain)
}

type inboxWorker struct {
	river.WorkerDefaults[InboxArgs]
	drain drain
}

// Work reads the posts that wait.
func (w *inboxWorker) Work(ctx context.Context, _ *river.Job[InboxArgs]) error {
	return turn(ctx, w.drain)
}

// deliverer is what the worker needs of deliver.Engine.
type deliverer interface {
	Drain(ctx context.Context, destination string) (int, error)
}

type deliverWorker struct {
	river.WorkerDefaults[DeliverArgs]
	engine deliverer
}

// Work sends what is due at the destination.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[DeliverArgs]) error {
	n, err := w.engine.Drain(ctx, job.Args.Destination)
	tracing.Current(ctx).Count(tracing.Worked, n)
	return err
}

// upkeeper keeps the database in shape.
type upkeeper interface {
	Upkeep(ctx context.Context) error
}

type upkeepWorker struct {
	river.WorkerDefaults[UpkeepArgs]
	store upkeeper
}

// Work makes and drops partitions.
func (w *upkeepWorker) Work(ctx context.Context, _ *river.Job[UpkeepArgs]) error {
	return w.store.Upkeep(ctx)
}
