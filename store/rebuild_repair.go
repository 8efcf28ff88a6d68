package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// errUnsettled means that something of a region is still to be folded, which is not a repair's business.
var errUnsettled = errors.New("a record waits to be folded")

// repairBatch is from how many records a repair folds at a time.
const repairBatch = 500

// Repair folds anew what a comparison found to differ, in place and a region at a time: ids stay, no webhook goes out, and
// nothing is ordered but do-not-call (law 7). Others fold between its batches. It returns from how many records nothing could
// be folded, because they belong with some that wait for their turn, or cannot be folded. Compare tells what it came to.
func (r *Reconciler) Repair(ctx context.Context, org uuid.UUID, c Comparison, progress func(done, total int)) (left int, err error) {
	quiet := *r
	quiet.repairing, quiet.WakeWebhooks = true, nil
	for from := 0; from < len(c.seeds); from += repairBatch {
		n, err := quiet.repair(ctx, org, c.seeds[from:min(from+repairBatch, len(c.seeds))])
		left += n
		if err != nil {
			return left, fmt.Errorf("repairing the pipeline of organisation %s: %w", org, err)
		}
		if progress != nil {
			progress(min(from+repairBatch, len(c.seeds)), len(c.seeds))
		}
	}
	if !c.surplus {
		return left, nil
	}
	return left, quiet.removeSurplus(ctx, org)
}

// repair folds a batch, in ever smaller parts where it does not go.
func (r *Reconciler) repair(ctx context.Context, org uuid.UUID, seeds []int64) (left int, err error) {
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := lockFold(ctx, tx, org); err != nil {
			return err
		}
		_, err := r.fold(ctx, tx, org, seeds)
		return err
	})
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil, Unavailable(err) && !TookTooLong(err), errors.Is(err, errWake):
		return 0, err
	case len(seeds) == 1:
		if !errors.Is(err, errUnsettled) {
			r.DB.Log.WarnContext(ctx, "what belongs to a record cannot be folded anew", "record_id", seeds[0], "error", Loggable(err))
		}
		return 1, nil
	}
	half := len(seeds) / 2
	a, err := r.repair(ctx, org, seeds[:half])
	if err != nil {
		return a, err
	}
	b, err := r.repair(ctx, org, seeds[half:])
	return a + b, err
}

const queuedOfSQL = `
select exists (
  select
  from ops.reconcile_queue
  where org_id = @org and record_id = any(@ids))`

// refuseUnsettled ends a repair of what the queue still holds: it is folded by its turn, which may push it.
func (r *Reconciler) refuseUnsettled(ctx context.Context, tx pgx.Tx, f *folded) error {
	ids := make([]int64, 0, len(f.region.records))
	for id := range f.region.records {
		ids = append(ids, id)
	}
	var queued bool
	if err := tx.QueryRow(ctx, queuedOfSQL, pgx.StrictNamedArgs{"org": f.org, "ids": ids}).Scan(&queued); err != nil {
		return fmt.Errorf("asking what waits to be folded: %w", err)
	}
	if queued {
		return errUnsettled
	}
	return nil
}

const leadsKeylessDeleteSQL = `
delete from pipeline.leads l
where l.org_id = @org
  and not exists (
    select
    from pipeline.lead_keys k
    join ops.record_keys r
      on r.org_id = k.org_id and r.kind = k.kind and r.account_id = k.account_id and r.value = k.value and r.role = 'lead'
    where k.org_id = l.org_id and k.lead_id = l.lead_id)`

// removeSurplus removes what no record tells, judged anew under the lock, and matches agents anew.
func (r *Reconciler) removeSurplus(ctx context.Context, org uuid.UUID) error {
	return r.DB.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, compareTimeoutsSQL); err != nil {
			return err
		}
		if err := lockFold(ctx, tx, org); err != nil {
			return err
		}
		args := pgx.StrictNamedArgs{"org": org}
		if _, err := tx.Exec(ctx, leadsKeylessDeleteSQL, args); err != nil {
			return fmt.Errorf("removing leads that no record tells: %w", err)
		}
		for _, s := range surplusRows() {
			if _, err := tx.Exec(ctx, s.remove, args); err != nil {
				return fmt.Errorf("removing rows of %s that no record tells: %w", s.table, err)
			}
		}
		return matchPeople(ctx, tx, org)
	})
}
