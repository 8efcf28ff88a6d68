package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Whoever changes a backfill's state, or begins a window, locks the backfill first and its walks after; a commit of rows
// locks its walk alone. So nobody waits in a circle, and a state that was set holds for every claim after it.
const backfillLockSQL = `
select state
from ops.backfills
where id = @id
  and org_id = @org
for no key update`

const backfillStateSQL = `
update ops.backfills
set state = @state,
    finished_at = case when @state = 'cancelled' then @now::timestamptz end,
    error = null
where id = @id`

// change locks a backfill and lets fn decide, from its state, what becomes of it: the state it is to have, or the same one
// for no change.
func (db *DB) changeBackfill(ctx context.Context, doing string, org, id uuid.UUID, fn func(tx pgx.Tx, state BackfillState) (BackfillState, error)) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var state BackfillState
		err := tx.QueryRow(ctx, backfillLockSQL, pgx.StrictNamedArgs{"id": id, "org": org}).Scan(&state)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		next, err := fn(tx, state)
		if err != nil || next == state {
			return err
		}
		_, err = tx.Exec(ctx, backfillStateSQL, pgx.StrictNamedArgs{"id": id, "state": string(next), "now": db.Now()})
		return err
	})
	if err != nil {
		return fmt.Errorf("%s backfill %s: %w", doing, id, err)
	}
	return nil
}

// The windows at work lose their leases: their runs notice it at the next commit or renewal, and commit nothing more. A
// commit that is under way is waited for.
const backfillDropLeasesSQL = `
update ops.walks
set state = 'ready',
    lease_owner = null,
    lease_until = null
where backfill_id = @id
  and state = 'running'`

// PauseBackfill stops a backfill where it is: when it returns, no further row is committed for it. Windows keep their
// cursors. A paused one stays paused; one that has ended gives ErrBackfillEnded.
func (db *DB) PauseBackfill(ctx context.Context, org, id uuid.UUID) error {
	return db.changeBackfill(ctx, "pausing", org, id, func(tx pgx.Tx, state BackfillState) (BackfillState, error) {
		if state.Ended() {
			return state, ErrBackfillEnded
		}
		_, err := tx.Exec(ctx, backfillDropLeasesSQL, pgx.StrictNamedArgs{"id": id})
		return BackfillPaused, err
	})
}

const backfillRetryFailedSQL = `
update ops.walks
set state = 'ready',
    tries = 0,
    retry_at = null,
    finished_at = null
where backfill_id = @id
  and state = 'failed'`

// ResumeBackfill lets a paused backfill go on, and gives the failed windows of a failed one another chance. One that runs
// goes on running; one that is done or cancelled gives ErrBackfillEnded. wake makes the jobs that work on it.
func (db *DB) ResumeBackfill(ctx context.Context, org, id uuid.UUID, wake func(ctx context.Context, tx pgx.Tx, id uuid.UUID) error) error {
	return db.changeBackfill(ctx, "resuming", org, id, func(tx pgx.Tx, state BackfillState) (BackfillState, error) {
		switch state {
		case BackfillDone, BackfillCancelled:
			return state, ErrBackfillEnded
		case BackfillFailed:
			if _, err := tx.Exec(ctx, backfillRetryFailedSQL, pgx.StrictNamedArgs{"id": id}); err != nil {
				return state, err
			}
		case BackfillPlanned, BackfillRunning, BackfillPaused:
		}
		return BackfillRunning, wake(ctx, tx, id)
	})
}

const backfillCancelWalksSQL = `
update ops.walks
set state = 'cancelled',
    lease_owner = null,
    lease_until = null,
    finished_at = @now
where backfill_id = @id
  and state in ('ready', 'running')`

// CancelBackfill ends a backfill. What was read stays, and the coverage of windows that are done; the others claim none.
// A cancelled one stays cancelled; one that is done or failed gives ErrBackfillEnded.
func (db *DB) CancelBackfill(ctx context.Context, org, id uuid.UUID) error {
	return db.changeBackfill(ctx, "cancelling", org, id, func(tx pgx.Tx, state BackfillState) (BackfillState, error) {
		if state == BackfillDone || state == BackfillFailed {
			return state, ErrBackfillEnded
		}
		_, err := tx.Exec(ctx, backfillCancelWalksSQL, pgx.StrictNamedArgs{"id": id, "now": db.Now()})
		return BackfillCancelled, err
	})
}
