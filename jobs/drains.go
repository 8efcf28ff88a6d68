package jobs

import (
	"context"

	"github.com/riverqueue/river"
)

// drain works until there is nothing left to do, and says how much it did.
type drain interface {
	Drain(ctx context.Context) (int, error)
}

type reconcileWorker struct {
	river.WorkerDefaults[ReconcileArgs]
	drain drain
}

// Work folds what is queued.
func (w *reconcileWorker) Work(ctx context.Context, _ *river.Job[ReconcileArgs]) error {
	_, err := w.drain.Drain(ctx)
	return err
}

type inboxWorker struct {
	river.WorkerDefaults[InboxArgs]
	drain drain
}

// Work reads the posts that wait.
func (w *inboxWorker) Work(ctx context.Context, _ *river.Job[InboxArgs]) error {
	_, err := w.drain.Drain(ctx)
	return err
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
	_, err := w.engine.Drain(ctx, job.Args.Destination)
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
