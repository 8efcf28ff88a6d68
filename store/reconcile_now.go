package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Records are looked for one by one: where nobody has counted the queue yet, Postgres reads all of it for a list of them.
const queueTakeSQL = `
delete from ops.reconcile_queue
where ctid = any(array(
  select q.ctid
  from unnest(@ids::bigint[]) as n (record_id)
  cross join lateral (
    select ctid
    from ops.reconcile_queue
    where record_id = n.record_id
    offset 0) q))
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
