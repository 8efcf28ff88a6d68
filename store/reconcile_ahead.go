package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// aheadBatch is how many queued records are keyed in one transaction, aheadWindow how much of the queue is looked at for them.
const (
	aheadBatch  = 250
	aheadWindow = 20_000
)

// ahead is how far an organisation's queue has been looked at in this turn, and what was found there without keys.
type ahead struct {
	after   int64
	keyless []int64
}

// The queue is empty one moment and long the next: what asks it is planned anew each time.
const queueDeepSQL = `
select exists (
  select
  from ops.reconcile_queue
  where org_id = @org
  offset @most)`

// The window ends where it is full, else at the end of the queue.
const queueKeylessSQL = `
with looked as materialized (
  select queue_id, record_id
  from ops.reconcile_queue
  where org_id = @org
    and queue_id > @after
  order by queue_id
  limit @most
)
select max(queue_id), coalesce(array_agg(record_id order by queue_id) filter (where k.keyed is null), '{}')
from looked
left join lateral (
  select true as keyed
  from ops.record_keys r
  where r.record_id = looked.record_id
  limit 1) k on true`

// keyAhead writes the keys of a batch of queued records that have none, where more are queued than one fold begins with; it
// tells whether it did. A fold then finds all that is queued of a lead and folds it at once, where it would otherwise fold
// the lead anew, and read all of it again, in each batch that holds one of its calls. A record that has keys is left alone:
// what a change of keys brings about is for its fold to see.
func (r *Reconciler) keyAhead(ctx context.Context, org uuid.UUID, a *ahead) (keyed bool, err error) {
	if len(a.keyless) == 0 {
		if err := r.lookAhead(ctx, org, a); err != nil {
			return false, err
		}
	}
	ids := a.keyless[:min(aheadBatch, len(a.keyless))]
	if len(ids) == 0 {
		return false, nil
	}
	a.keyless = a.keyless[len(ids):]
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		var got bool
		if err := tx.QueryRow(ctx, reconcileLockSQL, pgx.StrictNamedArgs{"org": org}).Scan(&got); err != nil {
			return fmt.Errorf("taking the reconcile lock: %w", err)
		}
		if !got {
			return nil
		}
		f := newFolded(org, r.DB.Now(), nil)
		f.shadow = true // what is wrong with a record is said when it is folded
		if err := r.tell(ctx, tx, f, ids); err != nil {
			return err
		}
		_, err := rekey(ctx, tx, f, ids)
		return err
	})
	if err != nil && ctx.Err() == nil && (!Unavailable(err) || tookTooLong(err)) {
		// The folds of these records find out which of them is at fault, and stop no others (law 13).
		r.DB.Log.WarnContext(ctx, "records cannot be keyed ahead of their fold", "org_id", org, "error", Loggable(err))
		return true, nil
	}
	return true, err
}

// lookAhead finds queued records without keys, a window of the queue at a time.
func (r *Reconciler) lookAhead(ctx context.Context, org uuid.UUID, a *ahead) error {
	var deep bool
	if err := r.DB.Pool.QueryRow(ctx, queueDeepSQL, planned, pgx.StrictNamedArgs{"org": org, "most": r.batchSize()}).Scan(&deep); err != nil {
		return fmt.Errorf("asking how much is queued: %w", err)
	}
	for deep && len(a.keyless) == 0 {
		var last *int64
		args := pgx.StrictNamedArgs{"org": org, "after": a.after, "most": aheadWindow}
		if err := r.DB.Pool.QueryRow(ctx, queueKeylessSQL, planned, args).Scan(&last, &a.keyless); err != nil {
			return fmt.Errorf("listing queued records without keys: %w", err)
		}
		if last == nil {
			return nil
		}
		a.after = *last
	}
	return nil
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
	rows, err := tx.Query(ctx, queueTakeSQL, planned, pgx.StrictNamedArgs{"ids": unread})
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
