package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// BackfillArgs wakes work on a backfill: the job takes one window after the other until none is left for it.
type BackfillArgs struct {
	BackfillID uuid.UUID `json:"backfill_id"`
}

// Kind implements river.JobArgs.
func (BackfillArgs) Kind() string { return "backfill" }

// InsertOpts keeps backfills out of the workers of live walks.
func (BackfillArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueBackfill, MaxAttempts: walkAttempts}
}

// WakeBackfill asks for so many workers to take up a backfill's windows.
func (q *Queue) WakeBackfill(ctx context.Context, tx pgx.Tx, id uuid.UUID, workers int) error {
	params := make([]river.InsertManyParams, workers)
	for i := range params {
		params[i] = river.InsertManyParams{Args: BackfillArgs{BackfillID: id}}
	}
	if len(params) == 0 {
		return nil
	}
	if _, err := q.client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("making backfill jobs: %w", err)
	}
	return nil
}

// backfillStore is what the worker needs of *store.DB.
type backfillStore interface {
	NextWindow(ctx context.Context, backfill uuid.UUID) (walk uuid.UUID, ok bool, err error)
	SettleBackfill(ctx context.Context, backfill uuid.UUID) error
}

type backfillWorker struct {
	river.WorkerDefaults[BackfillArgs]
	store  backfillStore
	runner walkRunner
	log    *slog.Logger
}

// windowMissesMax is how many windows in a row may be taken by somebody else before a worker leaves the rest to them.
const windowMissesMax = 8

// vendorRest is how long a worker leaves a vendor alone that is in trouble. The window rests by itself meanwhile, so another
// one is tried then.
const vendorRest = 5 * time.Second

// Work takes windows to their ends, one after the other, for a turn. So a vendor's cursors are used while they are fresh, and
// a backfill of any size is a few jobs.
func (w *backfillWorker) Work(ctx context.Context, job *river.Job[BackfillArgs]) error {
	turn, cancel := context.WithTimeout(ctx, walkTurn)
	defer cancel()
	for misses := 0; turn.Err() == nil; {
		id, ok, err := w.store.NextWindow(ctx, job.Args.BackfillID)
		if err != nil {
			return err
		}
		if !ok || misses == windowMissesMax {
			return w.store.SettleBackfill(ctx, job.Args.BackfillID)
		}
		err = w.runner.Run(turn, id)
		switch {
		case err == nil:
			misses = 0
		case errors.Is(err, walk.ErrTaken), errors.Is(err, walk.ErrLost):
			misses++
		case turn.Err() != nil:
		default:
			if err := w.failed(ctx, err); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("working on backfill %s: %w", job.Args.BackfillID, ctx.Err())
	}
	return river.JobSnooze(0)
}

// failed decides what a window's failure means for the worker: nil, and it goes on with the next window; otherwise the job's
// outcome.
func (w *backfillWorker) failed(ctx context.Context, err error) error {
	kind := vendorapi.KindOf(err)
	if kind == vendorapi.Limited || kind == vendorapi.Denied {
		return err // the whole account has to wait
	}
	w.log.WarnContext(ctx, "a window of a backfill met a problem", "error", err)
	if errors.Is(err, walk.ErrGuard) || kind == vendorapi.Refused || kind == vendorapi.Malformed || kind == vendorapi.Unknown {
		return nil
	}
	return river.JobSnooze(vendorRest)
}

// backfills wakes backfills whose windows wait, and ends those that have none left.
func (s *Sweeper) backfills(ctx context.Context, tx pgx.Tx) error {
	wakes, err := s.DB.BackfillsToWake(ctx, tx)
	if err != nil {
		return err
	}
	for _, wake := range wakes {
		if err := s.Queue.WakeBackfill(ctx, tx, wake.ID, wake.Jobs); err != nil {
			return err
		}
	}
	return nil
}
