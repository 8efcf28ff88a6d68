package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const arrivalsInsertSQL = `
insert into ops.erasure_arrivals (erasure_id, arrived_at, records)
select n.erasure_id, @now, n.count
from unnest(@ids::uuid[], @counts::bigint[]) as n (erasure_id, count)`

// countKeptOut adds rows and locks none: a transaction may land several batches, and the erasures that those come upon have no
// order.
func (db *DB) countKeptOut(ctx context.Context, tx pgx.Tx, by map[uuid.UUID]int) error {
	var ids []uuid.UUID
	var counts []int64
	for id, n := range by {
		ids, counts = append(ids, id), append(counts, int64(n))
	}
	if _, err := tx.Exec(ctx, arrivalsInsertSQL, pgx.StrictNamedArgs{"ids": ids, "counts": counts, "now": db.Now()}); err != nil {
		return fmt.Errorf("counting what was kept out: %w", err)
	}
	return nil
}

// Arrivals of an erasure that was taken back go uncounted.
const arrivalsCountSQL = `
with gone as (
  delete from ops.erasure_arrivals
  returning erasure_id, arrived_at, records
), came as (
  select erasure_id, sum(records) as records, max(arrived_at) as last
  from gone
  group by erasure_id
), locked as (
  select e.erasure_id
  from ops.erasures e
  join came using (erasure_id)
  order by e.erasure_id
  for no key update of e
)
update ops.erasures e
set kept_out = e.kept_out + came.records, last_kept_out_at = greatest(e.last_kept_out_at, came.last)
from locked
join came using (erasure_id)
where e.erasure_id = locked.erasure_id`

// countArrivals counts in each erasure what was kept out since it was last done.
func countArrivals(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, arrivalsCountSQL); err != nil {
		return fmt.Errorf("counting what was kept out: %w", err)
	}
	return nil
}
