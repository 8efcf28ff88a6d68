package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/sync/walk"
)

// walkTurn is how long one job works on a walk before it lets others have the worker: a long walk is many short jobs, so
// that a stop or a kill never loses more than a page.
const walkTurn = 90 * time.Second

// walkRunner is what the worker needs of walk.Runner.
type walkRunner interface {
	Run(ctx context.Context, walkID uuid.UUID) error
}

type walkWorker struct {
	river.WorkerDefaults[WalkArgs]
	runner walkRunner
}

// Work goes on with the walk for a turn.
func (w *walkWorker) Work(ctx context.Context, job *river.Job[WalkArgs]) error {
	turn, cancel := context.WithTimeout(ctx, walkTurn)
	defer cancel()
	err := w.runner.Run(turn, job.Args.WalkID)
	switch {
	case err == nil, errors.Is(err, walk.ErrTaken), errors.Is(err, walk.ErrLost):
		return nil
	case errors.Is(err, walk.ErrGuard):
		// The walk has failed and says so in its row; trying the same again would end the same way.
		return river.JobCancel(err)
	case turn.Err() != nil && ctx.Err() == nil:
		return river.JobSnooze(0)
	}
	return err
}
