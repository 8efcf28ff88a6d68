package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// aheadBatch is how many queued records are keyed in one transaction.
const aheadBatch = 500

const queueDeepSQL = `
select exists (
  select
  from ops.reconcile_queue
  where org_id = @org
  offset @most)`

// The newest comes first, so that nothing that it does not cover is passed over.
const queueNewestSQL = `select coalesce(max(queue_id), 0) from ops.reconcile_queue where org_id = @org`

const queueKeylessSQL = `
select q.queue_id, q.record_id
from ops.reconcile_queue q
left join lateral (
  select true as keyed
  from ops.record_keys k
  where k.record_id = q.record_id
  limit 1) k on true
where q.org_id = @org
  and q.queue_id > @after
  and k.keyed is null
order by q.queue_id
limit @most`

// keyAhead writes the keys of a batch of queued records that have none, where more are queued than one fold begins with; it
// tells whether it did. A fold then finds all that is queued of a lead and folds it at once, where it would otherwise fold
// the lead anew, and read all of it again, in each batch that holds one of its calls. after is how far in its queue each
// organisation is. A record that has keys is left alone: what a change of keys brings about is for its fold to see.
func (r *Reconciler) keyAhead(ctx context.Context, org uuid.UUID, after map[uuid.UUID]int64) (keyed bool, err error) {
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		var got, deep bool
		if err := tx.QueryRow(ctx, reconcileLockSQL, pgx.StrictNamedArgs{"org": org}).Scan(&got); err != nil {
			return fmt.Errorf("taking the reconcile lock: %w", err)
		}
		if !got {
			return nil
		}
		if err := tx.QueryRow(ctx, queueDeepSQL, pgx.StrictNamedArgs{"org": org, "most": r.batchSize()}).Scan(&deep); err != nil {
			return fmt.Errorf("asking how much is queued: %w", err)
		}
		if !deep {
			return nil
		}
		var through int64
		if err := tx.QueryRow(ctx, queueNewestSQL, pgx.StrictNamedArgs{"org": org}).Scan(&through); err != nil {
			return fmt.Errorf("asking what is queued: %w", err)
		}
		begin := after[org]
		after[org] = max(begin, through)
		rows, err := tx.Query(ctx, queueKeylessSQL, pgx.StrictNamedArgs{"org": org, "after": begin, "most": aheadBatch})
		if err != nil {
			return fmt.Errorf("listing what has no keys: %w", err)
		}
		var queue, id int64
		var ids []int64
		_, err = pgx.ForEachRow(rows, []any{&queue, &id}, func() error { ids = append(ids, id); return nil })
		if err != nil {
			return fmt.Errorf("listing what has no keys: %w", err)
		}
		if len(ids) == aheadBatch {
			after[org] = queue
		}
		if len(ids) == 0 {
			return nil
		}
		keyed = true
		f := newFolded(org, r.DB.Now(), nil)
		f.shadow = true // what is wrong with a record is said when it is folded
		if err := r.tell(ctx, tx, f, ids); err != nil {
			return err
		}
		_, err = rekey(ctx, tx, f, ids)
		return err
	})
	if err != nil && ctx.Err() == nil && (!Unavailable(err) || tookTooLong(err)) {
		// The folds of these records find out which of them is at fault, and stop no others (law 13).
		r.DB.Log.WarnContext(ctx, "records cannot be keyed ahead of their fold", "org_id", org, "error", Loggable(err))
		return false, nil
	}
	return keyed, err
}

// take takes those of some records from the queue that are in it and have not been read yet: they are folded with the others.
// It has to come before they are read, for a version that lands later queues its record anew.
func (f *folded) take(ctx context.Context, tx pgx.Tx, ids []int64) ([]int64, error) {
	var unread []int64
	for _, id := range ids {
		if _, told := f.told[id]; !told {
			unread = append(unread, id)
		}
	}
	if len(unread) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, queueTakeSQL, pgx.StrictNamedArgs{"ids": unread})
	if err != nil {
		return nil, fmt.Errorf("taking what belongs together from the queue: %w", err)
	}
	taken, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("taking what belongs together from the queue: %w", err)
	}
	for _, id := range taken {
		f.seeds[id] = true
	}
	return taken, nil
}
