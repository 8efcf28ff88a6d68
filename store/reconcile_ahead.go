package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// aheadBatch is how many queued records are keyed in one transaction, aheadLanes how many such transactions run side by side;
// aheadWindow is how much of the queue is keyed before its folds begin, some seconds' work.
const (
	aheadBatch  = 250
	aheadLanes  = 2
	aheadWindow = 40_000
)

// ahead is the window of an organisation's queue that has been looked at: through which place, what is still to be keyed of it,
// and how much of it is still to be folded.
type ahead struct {
	after   int64
	keyless []int64
	left    int
}

// The queue is empty one moment and long the next: what asks it is planned anew each time.
const queueDeepSQL = `
select exists (
  select
  from ops.reconcile_queue
  where org_id = @org
  offset @most)`

const queueKeylessSQL = `
with looked as materialized (
  select queue_id, record_id
  from ops.reconcile_queue
  where org_id = @org
    and queue_id > @after
  order by queue_id
  limit @most
)
select count(*)::integer, coalesce(max(queue_id), @after), coalesce(array_agg(record_id order by queue_id) filter (where k.keyed is null), '{}')
from looked
left join lateral (
  select true as keyed
  from ops.record_keys r
  where r.record_id = looked.record_id
  limit 1) k on true`

// keyAhead writes the keys of some queued records that have none, where more are queued than one fold begins with; it tells
// whether it did. A fold then finds all that is queued of a lead and folds it at once, where it would otherwise fold the lead
// anew, and read all of it again, in each batch that holds one of its calls.
func (d *draining) keyAhead(ctx context.Context, org uuid.UUID) (keyed bool, err error) {
	a := d.keyed[org]
	if a == nil {
		a = &ahead{}
		d.keyed[org] = a
	}
	if len(a.keyless) == 0 {
		if deep, err := d.r.deep(ctx, org, a); err != nil || !deep {
			return false, err
		}
		// A look at the window takes a tenth of a second, and every landing has a drain begin while another one is at work.
		if got, err := d.take(ctx, d.r.DB, org); err != nil || !got {
			return false, err
		}
		if err := d.r.lookAhead(ctx, org, a); err != nil {
			return false, err
		}
	}
	if len(a.keyless) == 0 {
		return false, nil
	}
	// Two batches have to have found the same keys, or they could not tell whether they meet.
	if err := d.settle(ctx, 0); err != nil {
		return false, err
	}
	var keying errgroup.Group
	var got [aheadLanes]bool
	for lane := range got {
		ids := a.keyless[:min(aheadBatch, len(a.keyless))]
		a.keyless = a.keyless[len(ids):]
		keying.Go(func() (err error) {
			got[lane], err = d.r.keyRecords(ctx, org, d.beside, ids)
			return err
		})
	}
	err = keying.Wait()
	return slices.Contains(got[:], true), err
}

// keyRecords writes the keys of those of some records that have none. A record that has keys is left alone: what a change of keys
// brings about is for its fold to see.
func (r *Reconciler) keyRecords(ctx context.Context, org uuid.UUID, lock foldLock, ids []int64) (keyed bool, err error) {
	if len(ids) == 0 {
		return false, nil
	}
	err = r.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		defer r.shield(ctx, org, &err)
		if keyed, err = lock(ctx, tx, org); err != nil || !keyed {
			return err
		}
		// Somebody else may have folded some of them since.
		had, err := keysByRecord(ctx, tx, ids)
		if err != nil {
			return err
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return had[id] != nil })
		f := newFolded(org, r.DB.Now(), nil)
		f.shadow = true // what is wrong with a record is said when it is folded
		if err := r.tell(ctx, tx, f, ids); err != nil {
			return err
		}
		_, err = rekey(ctx, tx, f, ids)
		return err
	})
	if errors.Is(err, errTurnWaits) {
		return false, nil
	}
	if err != nil && ctx.Err() == nil && (!Unavailable(err) || TookTooLong(err)) {
		// The folds of these records find out which of them is at fault, and stop no others (law 13).
		r.DB.Log.WarnContext(ctx, "records cannot be keyed ahead of their fold", "org_id", org, "error", Loggable(err))
		return true, nil
	}
	return keyed, err
}

// deep tells whether the window before is folded and more is queued than one fold begins with.
func (r *Reconciler) deep(ctx context.Context, org uuid.UUID, a *ahead) (deep bool, err error) {
	if a.left > 0 {
		return false, nil
	}
	args := pgx.StrictNamedArgs{"org": org, "most": r.batchSize()}
	if err := r.DB.Pool.QueryRow(ctx, queueDeepSQL, planned, args).Scan(&deep); err != nil {
		return false, fmt.Errorf("asking how much is queued: %w", err)
	}
	return deep, nil
}

// lookAhead finds what has no keys in the next window of the queue.
func (r *Reconciler) lookAhead(ctx context.Context, org uuid.UUID, a *ahead) error {
	args := pgx.StrictNamedArgs{"org": org, "after": a.after, "most": aheadWindow}
	if err := r.DB.Pool.QueryRow(ctx, queueKeylessSQL, planned, args).Scan(&a.left, &a.after, &a.keyless); err != nil {
		return fmt.Errorf("listing queued records without keys: %w", err)
	}
	a.keyless = once(a.keyless) // a record is queued with each version: two lanes must not both write its keys
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

// once leaves out what was there before.
func once(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	return slices.DeleteFunc(ids, func(id int64) bool {
		had := seen[id]
		seen[id] = true
		return had
	})
}
