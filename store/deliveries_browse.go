package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// DeliveryBrowse asks for deliveries of all organisations, newest first. Empty fields ask for all.
type DeliveryBrowse struct {
	// States are any of these.
	States                 []string
	Destination, Operation string
	// Reason is why it ended as it did, or what it waits for.
	Reason string
	LeadID uuid.UUID
	// Before and BeforeID are created_at and id of the last row of the page before; zero for the first page.
	Before   time.Time
	BeforeID uuid.UUID
	Limit    int
}

// Open ones are few and lie in an index of their own; they are found there and sorted.
const deliveriesBrowseOpenSQL = `
select d.id, d.destination, d.operation, d.class, d.lead_id, d.state, d.reason, d.hold, d.attempts, d.created_at, d.not_before,
  d.sending_at, d.settled_at, d.expires_at, d.external_id, d.error
from ops.deliveries d
where d.state in ('ready', 'sending', 'unknown')
  and d.state = any(@states::text[])
  and (@destination = '' or d.destination = @destination)
  and (@operation = '' or d.operation = @operation)
  and (@reason = '' or coalesce(d.reason, d.hold, '') = @reason)
  and (@lead::uuid is null or d.lead_id = @lead)
  and (@before::timestamptz is null or (d.created_at, d.id) < (@before, @before_id))
order by d.created_at desc, d.id desc
limit @limit`

// Each organisation's newest are read by its index, and merged.
const deliveriesBrowseSQL = `
select n.*
from ops.organisations o
cross join lateral (
  select d.id, d.destination, d.operation, d.class, d.lead_id, d.state, d.reason, d.hold, d.attempts, d.created_at, d.not_before,
    d.sending_at, d.settled_at, d.expires_at, d.external_id, d.error
  from ops.deliveries d
  where d.org_id = o.org_id
    and d.state = any(@states::text[])
    and (@destination = '' or d.destination = @destination)
    and (@operation = '' or d.operation = @operation)
    and (@reason = '' or coalesce(d.reason, d.hold, '') = @reason)
    and (@lead::uuid is null or d.lead_id = @lead)
    and (@before::timestamptz is null or (d.created_at, d.id) < (@before, @before_id))
  order by d.created_at desc, d.id desc
  limit @limit
) n
order by n.created_at desc, n.id desc
limit @limit`

var openDeliveryStates = []string{"ready", "sending", "unknown"}

// BrowseDeliveries returns at most Limit deliveries. It counts nothing: a table that grows for years stays cheap to look at.
func (db *DB) BrowseDeliveries(ctx context.Context, b DeliveryBrowse) ([]DeliveryRow, error) {
	states, sql := b.States, deliveriesBrowseOpenSQL
	if len(states) == 0 {
		states = []string{"ready", "sending", "unknown", "confirmed", "rejected", "expired", "cancelled"}
	}
	for _, s := range states {
		if s != openDeliveryStates[0] && s != openDeliveryStates[1] && s != openDeliveryStates[2] {
			sql = deliveriesBrowseSQL
		}
	}
	var list []DeliveryRow
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, sql, pgx.StrictNamedArgs{
			"states": states, "destination": b.Destination, "operation": b.Operation, "reason": b.Reason, "lead": uuidOrNull(b.LeadID),
			"before": timeOrNull(b.Before), "before_id": b.BeforeID, "limit": b.Limit,
		})
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[DeliveryRow])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing deliveries: %w", Quiet(err))
	}
	return list, nil
}
