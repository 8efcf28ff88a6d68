package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// A row is moved only while it stands at this very request: sending_at is new for each. A request that was given up for
// interrupted may still tell how it ended. What the destination said is noted in any case.
const deliveriesSettleSendSQL = `
with ends as (
  select *
  from unnest(@ids::uuid[], @sending_at::timestamptz[], @states::text[], @reasons::text[], @holds::text[], @not_before::timestamptz[],
    @attempts::integer[], @searches::integer[], @resends::integer[], @external_ids::text[], @errors::text[], @settled::timestamptz[],
    @tries::integer[], @outcomes::text[], @details::text[], @ended::timestamptz[])
    as e (id, sending_at, state, reason, hold, not_before, attempts, searches, resends, external_id, error, settled_at, attempt, outcome,
      detail, ended_at)
), moved as (
  update ops.deliveries d
  set state = e.state,
    reason = nullif(e.reason, ''),
    hold = nullif(e.hold, ''),
    not_before = e.not_before,
    attempts = e.attempts,
    searches = e.searches,
    resends = e.resends,
    external_id = coalesce(nullif(e.external_id, ''), d.external_id),
    error = nullif(e.error, ''),
    settled_at = e.settled_at,
    lease_owner = null,
    lease_until = null
  from ends e
  where d.id = e.id
    and d.sending_at = e.sending_at
    and (d.state = 'sending' or d.state = 'unknown' and d.reason = 'interrupted')
  returning d.id, d.sending_at
), noted as (
  update ops.delivery_attempts a
  set outcome = e.outcome,
    detail = nullif(e.detail, ''),
    finished_at = e.ended_at
  from ends e
  where a.delivery_id = e.id
    and a.attempt = e.attempt
)
select id, sending_at from moved`

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
		if err := settleSends(ctx, tx, ends, moved); err != nil {
			return err
		}
		for i := range ends {
			if ends[i].Kind != pipeline.AttemptSearch {
				continue
			}
			n := 0
			if err := tx.QueryRow(ctx, deliverySettleSearchSQL, searchArgs(&ends[i])).Scan(&n); err != nil {
				return fmt.Errorf("delivery %s: %w", ends[i].Delivery.ID, err)
			}
			moved[i] = n > 0
		}
		return db.noteVendors(ctx, tx, ends, moved)
	})
	if err != nil {
		return nil, fmt.Errorf("settling %d deliveries: %w", len(ends), Quiet(err))
	}
	return moved, nil
}

// settleSends commits the ends of the requests that were to take effect, in one statement.
func settleSends(ctx context.Context, tx pgx.Tx, ends []pipeline.DeliverySettlement, moved []bool) error {
	type request struct {
		id uuid.UUID
		at int64 // sending_at in microseconds, new for each request
	}
	at := map[request]int{}
	var ids []uuid.UUID
	var sendingAt, settled []*time.Time
	var notBefore, ended []time.Time
	var states, reasons, holds, externals, problems, outcomes, details []string
	var attempts, searches, resends, tries []int
	for i := range ends {
		e := &ends[i]
		if e.Kind == pipeline.AttemptSearch {
			continue
		}
		now := micros(e.Now)
		at[request{e.Delivery.ID, e.Delivery.SendingAt.UnixMicro()}] = i
		ids, sendingAt = append(ids, e.Delivery.ID), append(sendingAt, timeOrNull(e.Delivery.SendingAt))
		states, reasons, holds = append(states, string(e.Change.State)), append(reasons, e.Change.Reason), append(holds, e.Change.Hold)
		notBefore, settled, ended = append(notBefore, micros(e.Change.NotBefore)), append(settled, settledAt(e.Change.State, now)), append(ended, now)
		attempts, searches = append(attempts, e.Change.Attempts), append(searches, e.Change.Searches)
		resends, tries = append(resends, e.Change.Resends), append(tries, e.Attempt)
		externals, problems = append(externals, deliveryText(e.Change.ExternalID)), append(problems, deliveryText(e.Change.Error))
		outcomes, details = append(outcomes, e.Outcome), append(details, deliveryText(e.Detail))
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, deliveriesSettleSendSQL, pgx.StrictNamedArgs{
		"ids": ids, "sending_at": sendingAt, "states": states, "reasons": reasons, "holds": holds, "not_before": notBefore,
		"attempts": attempts, "searches": searches, "resends": resends, "external_ids": externals, "errors": problems, "settled": settled,
		"tries": tries, "outcomes": outcomes, "details": details, "ended": ended,
	})
	if err != nil {
		return err
	}
	var id uuid.UUID
	var sent time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &sent}, func() error {
		moved[at[request{id, sent.UnixMicro()}]] = true
		return nil
	})
	return err
}

func searchArgs(s *pipeline.DeliverySettlement) pgx.StrictNamedArgs {
	now := micros(s.Now)
	return pgx.StrictNamedArgs{
		"id": s.Delivery.ID, "sending_at": timeOrNull(s.Delivery.SendingAt), "now": now, "settled_at": settledAt(s.Change.State, now),
		"state": string(s.Change.State), "reason": s.Change.Reason, "hold": s.Change.Hold, "not_before": micros(s.Change.NotBefore),
		"attempts": s.Change.Attempts, "searches": s.Change.Searches, "resends": s.Change.Resends,
		"external_id": deliveryText(s.Change.ExternalID), "error": deliveryText(s.Change.Error),
		"outcome": s.Outcome, "detail": deliveryText(s.Detail),
		"owner": s.Owner, "started_at": micros(s.StartedAt), "searches_before": s.Delivery.Searches,
	}
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
  and d.destination = @destination
  and d.state <> 'confirmed'
  and d.sending_at is not null`

// ReportedDelivery names a delivery of which its destination told by itself that it took effect.
type ReportedDelivery struct {
	Org         uuid.UUID
	ID          uuid.UUID
	Destination string
	// ExternalID is the destination's own id of the effect.
	ExternalID string
}

// ConfirmReportedDelivery confirms a delivery because its destination told by itself that it took effect, such as a webhook
// with our reference. It overrules every other state of one that was ever sent, and tells whether it changed anything.
func (db *DB) ConfirmReportedDelivery(ctx context.Context, tx pgx.Tx, r ReportedDelivery) (bool, error) {
	tag, err := tx.Exec(ctx, deliveryReportedSQL, pgx.StrictNamedArgs{
		"id": r.ID, "org": r.Org, "destination": r.Destination, "external_id": deliveryText(r.ExternalID), "now": db.Now(),
	})
	if err != nil {
		return false, fmt.Errorf("confirming delivery %s by report: %w", r.ID, Quiet(err))
	}
	return tag.RowsAffected() > 0, nil
}
