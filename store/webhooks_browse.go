package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// WebhookBrowse asks for webhook deliveries of all organisations, newest first. Empty fields ask for all.
type WebhookBrowse struct {
	// States are any of pending, delivered and failed.
	States   []string
	Endpoint uuid.UUID
	// Before and BeforeID are created_at and id of the last row of the page before; zero for the first page.
	Before   time.Time
	BeforeID uuid.UUID
	Limit    int
}

// Each state's newest are read by its index, and merged.
const webhookBrowseSQL = `
select n.*
from unnest(@states::text[]) as s (state)
cross join lateral (
  select d.delivery_id, d.endpoint_id, d.event_id, d.event, d.state, d.attempts, d.next_at, d.created_at, d.settled_at, d.last_status,
    d.last_outcome
  from ops.webhook_deliveries d
  where d.state = s.state
    and (@endpoint::uuid is null or d.endpoint_id = @endpoint)
    and (@before::timestamptz is null or (d.created_at, d.delivery_id) < (@before, @before_id))
  order by d.created_at desc, d.delivery_id desc
  limit @limit
) n
order by n.created_at desc, n.delivery_id desc
limit @limit`

// BrowseWebhooks returns at most Limit webhook deliveries.
func (db *DB) BrowseWebhooks(ctx context.Context, b WebhookBrowse) ([]WebhookDelivery, error) {
	states := b.States
	if len(states) == 0 {
		states = []string{"pending", "failed", "delivered"}
	}
	var list []WebhookDelivery
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, webhookBrowseSQL, pgx.StrictNamedArgs{
			"states": states, "endpoint": uuidOrNull(b.Endpoint), "before": timeOrNull(b.Before), "before_id": b.BeforeID, "limit": b.Limit,
		})
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[WebhookDelivery])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing webhook deliveries: %w", Quiet(err))
	}
	return list, nil
}
