package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrWalkTaken means that a walk cannot be claimed: another run has its lease, or it has ended.
var ErrWalkTaken = errors.New("walk is taken or has ended")

// ErrWalkLost means that the walk is no longer this run's: its lease ran out and somebody else took it, or an operator
// stopped it. Nothing of the run may be committed any more.
var ErrWalkLost = errors.New("walk is no longer ours")

// The start never moves up: what a whole read has not seen is judged from it, by whichever daemon's clock was behind.
const walkClaimSQL = `
update ops.walks
set state = 'running',
    lease_owner = @owner,
    lease_until = clock_timestamp() + make_interval(secs => @lease),
    started_at = least(started_at, @now)
where id = @id
  and backfill_id is null
  and (state = 'ready' or state = 'running' and lease_until < clock_timestamp())
returning` + walkColumns

// ClaimWalk takes a walk's lease, or fails with ErrWalkTaken. owner must be new for every run: a run that lost its lease
// and a later one of the same daemon must not take each other's commits for their own. A window of a backfill counts as
// taken also while it rests after a problem, while its backfill does not run, and while BackfillAtOnce others are at work.
func (db *DB) ClaimWalk(ctx context.Context, id, owner uuid.UUID, lease time.Duration) (Walk, error) {
	args := pgx.StrictNamedArgs{"id": id, "owner": owner, "lease": lease.Seconds(), "now": db.Now()}
	var w Walk
	err := db.onConn(ctx, func(q Queryer) (err error) {
		w, err = oneWalk(ctx, q, walkClaimSQL, args)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		w, err = db.claimWindow(ctx, args)
	}
	if errors.Is(err, ErrNotFound) {
		return Walk{}, fmt.Errorf("claiming walk %s: %w", id, ErrWalkTaken)
	}
	if err != nil {
		return Walk{}, fmt.Errorf("claiming walk %s: %w", id, err)
	}
	return w, nil
}

const walkRenewSQL = `
update ops.walks
set lease_until = clock_timestamp() + make_interval(secs => @lease)
where id = @id
  and lease_owner = @owner
  and state = 'running'`

// RenewWalk prolongs the lease, or fails with ErrWalkLost.
func (db *DB) RenewWalk(ctx context.Context, id, owner uuid.UUID, lease time.Duration) error {
	return db.fencedExec(ctx, "renewing the lease of", walkRenewSQL, id, owner, lease)
}

func (db *DB) fencedExec(ctx context.Context, doing, sql string, id, owner uuid.UUID, lease time.Duration) error {
	var rows int64
	err := db.onConn(ctx, func(q Queryer) error {
		tag, err := q.Exec(ctx, sql, pgx.StrictNamedArgs{"id": id, "owner": owner, "lease": lease.Seconds()})
		rows = tag.RowsAffected()
		return err
	})
	return fenced(rows, err, doing, id)
}

func fenced(rows int64, err error, doing string, id uuid.UUID) error {
	if err == nil && rows == 0 {
		err = ErrWalkLost
	}
	if err != nil {
		return fmt.Errorf("%s walk %s: %w", doing, id, err)
	}
	return nil
}

const walkReleaseSQL = `
update ops.walks
set state = 'ready',
    lease_owner = null,
    lease_until = null
where id = @id
  and lease_owner = @owner
  and state = 'running'
returning` + walkColumns

// ReleaseWalk gives a walk back, to be gone on with from its cursor. A problem, where there is one, shows as the stream's
// last error and lets the stream rest for a moment; at a window of a backfill it shows there, and only the window rests.
func (db *DB) ReleaseWalk(ctx context.Context, id, owner uuid.UUID, problem string) error {
	return db.endRun(ctx, "releasing", walkReleaseSQL, pgx.StrictNamedArgs{"id": id, "owner": owner}, problem)
}

const walkFailSQL = `
update ops.walks
set state = 'failed',
    cursor = case when @keep_cursor then cursor else '' end,
    lease_owner = null,
    lease_until = null,
    finished_at = @now,
    error = @error
where id = @id
  and lease_owner = @owner
  and state = 'running'
returning` + walkColumns

// FailWalk ends a walk without coverage (law 8) and notes the problem at its stream. A window of a backfill is tried again,
// a bounded number of times.
func (db *DB) FailWalk(ctx context.Context, id, owner uuid.UUID, problem string, keepCursor bool) error {
	return db.endRun(ctx, "failing", walkFailSQL, pgx.StrictNamedArgs{
		"id": id, "owner": owner, "keep_cursor": keepCursor, "now": db.Now(), "error": cleanText(problem, maxWalkError),
	}, problem)
}

func (db *DB) endRun(ctx context.Context, doing, sql string, args pgx.StrictNamedArgs, problem string) error {
	id, _ := args["id"].(uuid.UUID)
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		w, err := oneWalk(ctx, tx, sql, args)
		if errors.Is(err, ErrNotFound) {
			return ErrWalkLost
		}
		if err != nil || problem == "" {
			return err
		}
		if w.Backfill != uuid.Nil {
			return db.windowFailed(ctx, tx, w.ID, problem, w.State == "failed")
		}
		return streamFailed(ctx, tx, w.Key, problem, db.Now())
	})
	return fenced(1, err, doing, id)
}

const walkRestartSQL = `
update ops.walks
set cursor = '',
    restarts = restarts + 1,
    lease_until = clock_timestamp() + make_interval(secs => @lease)
where id = @id
  and lease_owner = @owner
  and state = 'running'`

// RestartWalk lets a walk begin its window again, after the vendor refused its cursor.
func (db *DB) RestartWalk(ctx context.Context, id, owner uuid.UUID, lease time.Duration) error {
	return db.fencedExec(ctx, "restarting", walkRestartSQL, id, owner, lease)
}
