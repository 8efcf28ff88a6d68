package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// The row is moved only while it stands at this very request: sending_at is new for each. A request that was given up for
// interrupted may still tell how it ended. What the destination said is noted in any case.
const deliverySettleSendSQL = `
with moved as (
  update ops.deliveries d
  set state = @state,
    reason = nullif(@reason, ''),
    hold = nullif(@hold, ''),
    not_before = @not_before,
    attempts = @attempts,
    searches = @searches,
    resends = @resends,
    external_id = coalesce(nullif(@external_id, ''), d.external_id),
    error = nullif(@error, ''),
    settled_at = @settled_at,
    lease_owner = null,
    lease_until = null
  where d.id = @id
    and d.sending_at = @sending_at
    and (d.state = 'sending' or d.state = 'unknown' and d.reason = 'interrupted')
  returning d.id
),
noted as (
  update ops.delivery_attempts a
  set outcome = @outcome,
    detail = nullif(@detail, ''),
    finished_at = @now
  where a.delivery_id = @id
    and a.attempt = @attempt
)
select count(*) from moved`

const deliverySettleSearchSQL = `
with moved as (
  update ops.deliveries d
  set state = @state,
    reason = nullif(@reason, ''),
    hold = nullif(@hold, ''),
    not_before = @not_before,
    attempts = @attempts,
    searches = @searches,
    resends = @resends,
    external_id = coalesce(nullif(@external_id, ''), d.external_id),
    error = nullif(@error, ''),
    settled_at = @settled_at,
    lease_owner = null,
    lease_until = null
  where d.id = @id
    and d.sending_at = @sending_at
    and d.state = 'unknown'
    and d.lease_owner = @owner
    and d.searches = @searches_before
  returning d.id
),
noted as (
  insert into ops.delivery_attempts (delivery_id, attempt, kind, daemon_id, outcome, detail, started_at, finished_at)
  select d.id,
    (select coalesce(max(a.attempt), 0) + 1 from ops.delivery_attempts a where a.delivery_id = d.id),
    'search', @owner, @outcome, nullif(@detail, ''), @started_at, @now
  from ops.deliveries d
  where d.id = @id and @outcome <> ''
  on conflict (delivery_id, attempt) do nothing
)
select count(*) from moved`

// SettleDeliveries commits the ends of requests, all or none, and tells for each whether the row was still at its request.
func (db *DB) SettleDeliveries(ctx context.Context, ends []pipeline.DeliverySettlement) ([]bool, error) {
	moved := make([]bool, len(ends))
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for i := range ends {
			queueSettle(batch, &ends[i])
		}
		results := tx.SendBatch(ctx, batch)
		for i := range ends {
			var n int
			if err := results.QueryRow().Scan(&n); err != nil {
				_ = results.Close()
				return fmt.Errorf("delivery %s: %w", ends[i].Delivery.ID, err)
			}
			moved[i] = n > 0
		}
		if err := results.Close(); err != nil {
			return err
		}
		return noteVendors(ctx, tx, ends, moved)
	})
	if err != nil {
		return nil, fmt.Errorf("settling %d deliveries: %w", len(ends), Quiet(err))
	}
	return moved, nil
}

func queueSettle(batch *pgx.Batch, s *pipeline.DeliverySettlement) {
	now := micros(s.Now)
	var settledAt *time.Time
	if s.Change.State.Final() {
		settledAt = &now
	}
	args := pgx.StrictNamedArgs{
		"id": s.Delivery.ID, "sending_at": timeOrNull(s.Delivery.SendingAt), "now": now, "settled_at": settledAt,
		"state": string(s.Change.State), "reason": s.Change.Reason, "hold": s.Change.Hold, "not_before": micros(s.Change.NotBefore),
		"attempts": s.Change.Attempts, "searches": s.Change.Searches, "resends": s.Change.Resends,
		"external_id": deliveryText(s.Change.ExternalID), "error": deliveryText(s.Change.Error),
		"outcome": s.Outcome, "detail": deliveryText(s.Detail),
	}
	if s.Kind == pipeline.AttemptSearch {
		args["owner"], args["started_at"], args["searches_before"] = s.Owner, micros(s.StartedAt), s.Delivery.Searches
		batch.Queue(deliverySettleSearchSQL, args)
		return
	}
	args["attempt"] = s.Attempt
	batch.Queue(deliverySettleSendSQL, args)
}

const deliveryReportedSQL = `
update ops.deliveries d
set state = 'confirmed',
  reason = null,
  hold = null,
  error = null,
  external_id = coalesce(nullif(@external_id, ''), d.external_id),
  settled_at = @now,
  lease_owner = null,
  lease_until = null
where d.id = @id
  and d.org_id = @org
  and d.state <> 'confirmed'
  and d.sending_at is not null`

// ConfirmReportedDelivery confirms a delivery because its destination told by itself that it took effect, such as a webhook
// with our reference. It overrules every other state of one that was ever sent, and tells whether it changed anything.
func (db *DB) ConfirmReportedDelivery(ctx context.Context, tx pgx.Tx, org, id uuid.UUID, externalID string) (bool, error) {
	tag, err := tx.Exec(ctx, deliveryReportedSQL, pgx.StrictNamedArgs{
		"id": id, "org": org, "external_id": deliveryText(externalID), "now": db.Now(),
	})
	if err != nil {
		return false, fmt.Errorf("confirming delivery %s by report: %w", id, Quiet(err))
	}
	return tag.RowsAffected() > 0, nil
}
