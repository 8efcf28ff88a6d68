package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// WebhookGauges is how webhooks out stand.
type WebhookGauges struct {
	// Active, Failing, Inactive and Disabled count endpoints by state.
	Active, Failing, Inactive, Disabled float64
	// Pending and Failed count deliveries; Oldest is for how many seconds the one that waits longest has been due.
	Pending, Failed, Oldest float64
}

const webhookGaugesSQL = `
select
  count(*) filter (where is_active and open_until is null)::double precision,
  count(*) filter (where is_active and open_until is not null)::double precision,
  count(*) filter (where not is_active and disabled_at is null)::double precision,
  count(*) filter (where not is_active and disabled_at is not null)::double precision,
  (select count(*) from ops.webhook_deliveries where state = 'pending')::double precision,
  (select count(*) from ops.webhook_deliveries where state = 'failed')::double precision,
  coalesce((
    select extract(epoch from @now::timestamptz - min(greatest(d.next_at, e.open_until)))
    from ops.webhook_deliveries d
    join ops.webhook_endpoints e on e.endpoint_id = d.endpoint_id
    where d.state = 'pending' and e.is_active and greatest(d.next_at, e.open_until) <= @now
      and not exists (
        select from ops.webhook_deliveries f
        where f.endpoint_id = d.endpoint_id and f.subject = d.subject and f.state = 'pending' and f.position < d.position)), 0)::double precision
from ops.webhook_endpoints`

// WebhookGauges reads how webhooks stand.
func (db *DB) WebhookGauges(ctx context.Context, q Queryer) (WebhookGauges, error) {
	rows, err := q.Query(ctx, webhookGaugesSQL, pgx.StrictNamedArgs{"now": db.Now()})
	if err != nil {
		return WebhookGauges{}, wrapf(err, "reading how webhooks stand")
	}
	g, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[WebhookGauges])
	return g, wrapf(err, "reading how webhooks stand")
}
