package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// One lock an organisation says who may fold its records. Whoever takes it alone folds by one transaction at a time, and that is
// all that a write through the API, an erasure, a repair or a short queue needs. A drain with a long queue takes a turn: its
// transactions, and nobody else's, hold the lock together, and it sees to it that no two of them touch the same leads.
const (
	foldAloneSQL    = `select pg_advisory_xact_lock(hashtextextended('trunkline.reconcile.' || @org::text, 0))`
	foldAloneTrySQL = `select pg_try_advisory_xact_lock(hashtextextended('trunkline.reconcile.' || @org::text, 0))`
	foldBesideSQL   = `select pg_advisory_xact_lock_shared(hashtextextended('trunkline.reconcile.' || @org::text, 0))`
)

// foldLock keeps others from folding records of an organisation until the transaction ends; it tells whether it may go on.
type foldLock func(ctx context.Context, tx pgx.Tx, org uuid.UUID) (got bool, err error)

// tryFold takes the lock alone where nobody has it.
func tryFold(ctx context.Context, tx pgx.Tx, org uuid.UUID) (got bool, err error) {
	if err := tx.QueryRow(ctx, foldAloneTrySQL, pgx.StrictNamedArgs{"org": org}).Scan(&got); err != nil {
		return false, fmt.Errorf("taking the reconcile lock: %w", err)
	}
	return got, nil
}

// lockFold waits until nobody else folds records of the organisation, and keeps them away until the transaction ends.
func lockFold(ctx context.Context, tx pgx.Tx, org uuid.UUID) error {
	if _, err := tx.Exec(ctx, foldAloneSQL, pgx.StrictNamedArgs{"org": org}); err != nil {
		return fmt.Errorf("taking the reconcile lock: %w", err)
	}
	return nil
}

// turn is a drain as the holder of organisations' turns.
type turn struct {
	holder uuid.UUID
	has    map[uuid.UUID]bool
}

const turnTakeSQL = `
insert into ops.reconcile_turns (org_id, holder, taken_at)
values (@org, @holder, @now)
on conflict (org_id) do update
set holder = excluded.holder, taken_at = excluded.taken_at`

// take begins a turn where nobody folds records of the organisation. It ends when somebody else takes one, which cannot be while
// a transaction of this one runs.
func (t *turn) take(ctx context.Context, db *DB, org uuid.UUID) (got bool, err error) {
	if t.has[org] {
		return true, nil
	}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if got, err = tryFold(ctx, tx, org); err != nil || !got {
			return err
		}
		_, err := tx.Exec(ctx, turnTakeSQL, pgx.StrictNamedArgs{"org": org, "holder": t.holder, "now": db.Now()})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("taking a turn at organisation %s: %w", org, err)
	}
	t.has[org] = got
	return got, nil
}

const turnHeldSQL = `
select exists (
  select
  from ops.reconcile_turns
  where org_id = @org
    and holder = @holder)`

// turnPatience is how long a drain waits behind somebody who wants the lock alone, before it leaves the organisation to later.
const turnPatience = "5s"

// turnIdle is how long a batch may wait for the one before it, whose statements may each take as long as they are allowed to.
const turnIdle = "300s"

// errTurnWaits means that a lock did not come free in time; the transaction is spoiled.
var errTurnWaits = errors.New("somebody else holds the reconcile lock")

// beside is the foldLock of a turn. It queues behind whoever waits for the lock, so that a drain keeps no write waiting for more
// than what it has begun. The turn is asked for under the lock, by a statement that sees what was committed before. The lock of
// landings, which only an erasure takes alone, is taken now too: later one batch might have it, an erasure wait for that, and the other
// batch wait behind the erasure, while the first waits for the other here, which Postgres does not see.
func (t *turn) beside(ctx context.Context, tx pgx.Tx, org uuid.UUID) (got bool, err error) {
	var batch pgx.Batch
	batch.Queue(`select set_config('lock_timeout', @patience, true)`, pgx.StrictNamedArgs{"patience": turnPatience})
	batch.Queue(foldBesideSQL, pgx.StrictNamedArgs{"org": org})
	batch.Queue(landingLockSQL, pgx.StrictNamedArgs{"org": org})
	batch.Queue(`set local lock_timeout to default`)
	batch.Queue(`select set_config('idle_in_transaction_session_timeout', @idle, true)`, pgx.StrictNamedArgs{"idle": turnIdle})
	batch.Queue(turnHeldSQL, pgx.StrictNamedArgs{"org": org, "holder": t.holder}).QueryRow(func(row pgx.Row) error { return row.Scan(&got) })
	err = tx.SendBatch(ctx, &batch).Close()
	if waited, ok := errors.AsType[*pgconn.PgError](err); ok && waited.Code == "55P03" {
		return false, errTurnWaits
	}
	if err != nil {
		return false, fmt.Errorf("taking the reconcile lock for a turn: %w", err)
	}
	return got, nil
}
