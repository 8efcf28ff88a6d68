package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DeliveryTally is how many deliveries of one kind are in one state: Reason is why they ended so, Hold what they wait for; either may
// be empty.
type DeliveryTally struct {
	Destination, Operation, State, Reason, Hold string
	Count                                       int
	// Oldest is when the oldest of them was ordered (UTC).
	Oldest time.Time
}

// TallySpan is how far back ended deliveries are counted. What is open is counted whatever its age.
const TallySpan = 24 * time.Hour

// Both parts follow an index: a count of all that was ever delivered would cost more each day. offset 0 keeps the planner from turning
// the second into a scan of the table, joined with the few organisations.
const deliveryTallySQL = `
select destination, operation, state, coalesce(reason, ''), coalesce(hold, ''), count(*), min(created_at)
from ops.deliveries
where state in ('ready', 'sending', 'unknown')
group by 1, 2, 3, 4, 5
union all
select d.destination, d.operation, d.state, coalesce(d.reason, ''), '', count(*), min(d.created_at)
from ops.organisations o
cross join lateral (
  select destination, operation, state, reason, created_at
  from ops.deliveries
  where org_id = o.org_id
    and created_at > @since
    and state in ('confirmed', 'rejected', 'expired', 'cancelled')
  offset 0
) d
group by 1, 2, 3, 4
order by 1, 2, 3, 4, 5`

// DeliveryTally counts the open deliveries of all organisations, and those of the last TallySpan that have ended.
func (db *DB) DeliveryTally(ctx context.Context, q Queryer) ([]DeliveryTally, error) {
	rows, err := q.Query(ctx, deliveryTallySQL, pgx.StrictNamedArgs{"since": db.Now().Add(-TallySpan)})
	if err != nil {
		return nil, fmt.Errorf("counting deliveries: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DeliveryTally])
	if err != nil {
		return nil, fmt.Errorf("counting deliveries: %w", err)
	}
	return list, nil
}
