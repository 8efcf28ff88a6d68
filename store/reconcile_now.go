package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

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
