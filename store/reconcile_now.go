package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const reconcileWaitSQL = `select pg_advisory_xact_lock(hashtextextended('trunkline.reconcile.' || @org::text, 0))`

const queueTakeSQL = `
delete from ops.reconcile_queue
where record_id = any(@ids)
returning record_id`

// FoldNow folds the given records in the caller's transaction, for a write whose answer shows its result, and takes them
// from the queue. The lock is the transaction's until its end.
func (r *Reconciler) FoldNow(ctx context.Context, tx pgx.Tx, org uuid.UUID, records []int64) error {
	if len(records) == 0 {
		return nil
	}
	if err := lockFold(ctx, tx, org); err != nil {
		return err
	}
	f, err := r.fold(ctx, tx, org, records)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, queueTakeSQL, pgx.StrictNamedArgs{"ids": records}); err != nil {
		return fmt.Errorf("taking folded records from the queue: %w", err)
	}
	// The commit is the caller's and all but done.
	r.tellSped(f)
	return nil
}

// lockFold waits until nobody else folds records of the organisation, and keeps them away until the transaction ends.
func lockFold(ctx context.Context, tx pgx.Tx, org uuid.UUID) error {
	if _, err := tx.Exec(ctx, reconcileWaitSQL, pgx.StrictNamedArgs{"org": org}); err != nil {
		return fmt.Errorf("taking the reconcile lock: %w", err)
	}
	return nil
}
