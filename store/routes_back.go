package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// backSlack is how much later than a route something may have been cancelled without having seen it: clocks of daemons differ, and
	// a route is committed a moment after its time. What is taken up again waits as long, so that it is taken up once for each route.
	backSlack = 30 * time.Second
	// backBatch is how many deliveries are taken up again in one transaction.
	backBatch = 200
)

// First deliveries that no route wanted when they came due, whose route is back: one of the settings that were there before, for which
// the lead was young enough (law 7). A route that a person makes takes younger leads only, and so does one that was not there. The lead
// is still young, and nobody ordered another delivery meanwhile. A route's condition is asked when the delivery comes due.
const routesBackFindSQL = `
select d.id, d.org_id, d.lead_id, d.destination
from ops.deliveries d
where d.org_id in (select r.org_id from ops.routes r where r.removed_at is null)
  and d.state = 'cancelled'
  and d.reason = 'no_route'
  and d.created_at > @young
  and d.source_time > @young
  and d.dedupe = d.lead_id::text
  and (d.expires_at > @now or d.expires_at is null and d.class = 'keyed')
  and exists (
    select
    from ops.routes r
    join ops.routes was
      on was.org_id = r.org_id and was.destination = r.destination and was.condition = r.condition and was.origin = r.origin
    where r.org_id = d.org_id
      and r.destination = d.destination
      and r.origin = 'environment'
      and r.removed_at is null
      and r.created_at > d.settled_at - @slack::interval
      and was.removed_at is not null
      and date_trunc('second', was.created_at) <= d.source_time)
  and not exists (
    select
    from ops.deliveries e
    where e.org_id = d.org_id
      and e.lead_id = d.lead_id
      and e.destination = d.destination
      and e.operation = d.operation
      and e.id <> d.id
      and (e.created_at > d.settled_at or e.state not in ('rejected', 'expired', 'cancelled')))
order by d.id
limit @most`

const routesBackSQL = `
with locked as (
  select d.id, d.destination
  from ops.deliveries d
  where d.id = any(@ids)
    and d.state = 'cancelled'
    and d.reason = 'no_route'
  order by d.id
  for update
)
update ops.deliveries d
set state = 'ready',
  reason = null,
  hold = null,
  settled_at = null,
  not_before = @not_before
from locked
where d.id = locked.id
returning locked.destination`

// ReviveUnrouted makes ready again what was cancelled for want of a route, where that is back: a daemon that was started
// once with another TRUNKLINE_PUSH must not cost a lead. All checks apply anew when it comes due. It returns how many there were.
func (r *Reconciler) ReviveUnrouted(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := r.DB.InTx(ctx, func(tx pgx.Tx) error {
			var err error
			n, err = r.reviveBatch(ctx, tx)
			return err
		})
		total += n
		if err != nil {
			return total, fmt.Errorf("taking up deliveries whose route is back: %w", Quiet(err))
		}
		if n < backBatch {
			return total, nil
		}
	}
}

func (r *Reconciler) reviveBatch(ctx context.Context, tx pgx.Tx) (int, error) {
	now := r.DB.Now()
	args := pgx.StrictNamedArgs{"now": now, "young": now.Add(-r.MaxAge), "slack": backSlack, "most": backBatch}
	found, locks, err := findUnrouted(ctx, tx, args)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	// A person who pushes one of the leads this moment waits, or is seen by the second look.
	if err := LockSuppressions(ctx, tx, locks); err != nil {
		return 0, err
	}
	again, _, err := findUnrouted(ctx, tx, args)
	if err != nil {
		return 0, err
	}
	var ids []uuid.UUID
	for id := range again {
		if found[id] {
			ids = append(ids, id)
		}
	}
	rows, err := tx.Query(ctx, routesBackSQL, pgx.StrictNamedArgs{"ids": ids, "not_before": now.Add(backSlack)})
	if err != nil {
		return 0, err
	}
	destinations, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(destinations) == 0 || r.Wake == nil {
		return len(destinations), err
	}
	return len(destinations), r.Wake(ctx, tx, destinations)
}

func findUnrouted(ctx context.Context, tx pgx.Tx, args pgx.StrictNamedArgs) (found map[uuid.UUID]bool, locks []string, err error) {
	rows, err := tx.Query(ctx, routesBackFindSQL, args)
	if err != nil {
		return nil, nil, err
	}
	found = map[uuid.UUID]bool{}
	var id, org, lead uuid.UUID
	var destination string
	_, err = pgx.ForEachRow(rows, []any{&id, &org, &lead, &destination}, func() error {
		found[id] = true
		locks = append(locks, pushLockKey(org, lead, destination))
		return nil
	})
	return found, locks, err
}
