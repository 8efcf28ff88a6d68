package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// destinationDialedIn keeps a row a lead of what it was sent and answered.
const destinationDialedIn = "dialedin"

const dialedinLeadsUpsertSQL = `
insert into dialedin.leads (
  org_id, account_id, client_id, lead_id, delivery_id, state, campaign, detail, observed_at, changed_at)
select distinct on (d.org_id, d.account_id, d.lead_id)
  d.org_id, d.account_id, d.lead_id::text, d.external_id, d.id, d.state, d.params ->> 'campaign', last.detail, d.sending_at, @now
from ops.deliveries d
left join lateral (
  select a.detail
  from ops.delivery_attempts a
  where a.delivery_id = d.id
  order by a.attempt desc
  limit 1
) last on true
where d.id = any(@ids)
  and d.destination = @destination
  and d.operation = 'insert_lead'
  and d.lead_id is not null
  and d.sending_at is not null
order by d.org_id, d.account_id, d.lead_id, d.sending_at desc
on conflict (org_id, account_id, client_id) do update
set lead_id = coalesce(excluded.lead_id, leads.lead_id),
  delivery_id = excluded.delivery_id,
  state = excluded.state,
  campaign = coalesce(excluded.campaign, leads.campaign),
  detail = excluded.detail,
  observed_at = excluded.observed_at,
  changed_at = excluded.changed_at
where leads.observed_at <= excluded.observed_at`

// noteVendors writes down what destinations answered as the vendors' own word, in the transaction that settles.
func (db *DB) noteVendors(ctx context.Context, tx pgx.Tx, ends []pipeline.DeliverySettlement, moved []bool) error {
	if err := db.notePushed(ctx, tx, ends, moved); err != nil {
		return err
	}
	var ids []uuid.UUID
	for i := range ends {
		if moved[i] && ends[i].Delivery.Destination == destinationDialedIn {
			ids = append(ids, ends[i].Delivery.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, dialedinLeadsUpsertSQL, pgx.StrictNamedArgs{
		"ids": ids, "destination": destinationDialedIn, "now": micros(ends[0].Now),
	}); err != nil {
		return fmt.Errorf("noting %d answers of dialedin: %w", len(ids), err)
	}
	return nil
}
