package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// beginLockTimeout bounds the wait for a suppression that is being committed, in milliseconds.
const beginLockTimeout = "5000"

const deliveriesLockSQL = `
select d.id
from ops.deliveries d
where d.id = any(@ids)
  and d.state = 'ready'
  and d.lease_owner = @owner
order by d.id
for update of d`

const deliveriesSendingSQL = `
with given as (
  select *
  from unnest(@ids::uuid[], @phones::text[], @leads::uuid[], @dials::boolean[], @requests::text[], @checks::jsonb[], @told::jsonb[])
    as g (id, phone, lead_id, dials, request, checks, told)
), begun as (
  update ops.deliveries d
  set state = 'sending',
    reason = null,
    hold = null,
    error = null,
    attempts = d.attempts + 1,
    searches = 0,
    sending_at = greatest(@now, d.sending_at + interval '1 microsecond'),
    phone = coalesce(nullif(g.phone, ''), d.phone),
    lead_id = g.lead_id,
    dials = d.dials or g.dials,
    told = coalesce(d.params -> 'lead', g.told),
    lease_until = @lease_until
  from given g
  where d.id = g.id
  returning d.id, d.sending_at, g.request, g.checks
)
insert into ops.delivery_attempts (delivery_id, attempt, kind, daemon_id, request, checks, started_at)
select b.id,
  (select coalesce(max(a.attempt), 0) + 1 from ops.delivery_attempts a where a.delivery_id = b.id),
  'send', @owner, b.request, b.checks, b.sending_at
from begun b
returning delivery_id, attempt, started_at`

const deliveriesHeldSQL = `
update ops.deliveries d
set state = g.state,
  reason = nullif(g.reason, ''),
  hold = nullif(g.hold, ''),
  error = nullif(g.error, ''),
  not_before = g.not_before,
  settled_at = g.settled_at,
  told = coalesce(g.told, d.told),
  sending_at = case when g.reason = 'restored' then greatest(@now, d.sending_at + interval '1 microsecond') else d.sending_at end,
  lease_owner = null,
  lease_until = null
from unnest(@ids::uuid[], @states::text[], @reasons::text[], @holds::text[], @errors::text[], @not_before::timestamptz[],
  @settled::timestamptz[], @told::jsonb[])
  as g (id, state, reason, hold, error, not_before, settled_at, told)
where d.id = g.id`

// BeginDeliveries decides about claimed deliveries and commits sending for those that pass, all in one short transaction. It
// holds the advisory locks that the commit of a suppression takes too, and reads after it has them: no sending is ever
// ordered after a suppression (law 6). decide must be quick and must not use the database. Deliveries that are no longer
// ready and the owner's are left out of the answer.
func (db *DB) BeginDeliveries(
	ctx context.Context, b pipeline.DeliveryBegin, decide func(c *pipeline.DeliveryCandidate, now time.Time) pipeline.DeliveryDecision,
) ([]pipeline.BegunDelivery, error) {
	var begun []pipeline.BegunDelivery
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.prepareBegin(ctx, tx); err != nil {
			return err
		}
		names, err := lockDeliveries(ctx, tx, b)
		if err != nil {
			return err
		}
		begun, err = decideDeliveries(ctx, tx, b, names, decide)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("beginning %d deliveries: %w", len(b.IDs), Quiet(err))
	}
	return begun, nil
}

func decideDeliveries(
	ctx context.Context, tx pgx.Tx, b pipeline.DeliveryBegin, locked lockNames,
	decide func(c *pipeline.DeliveryCandidate, now time.Time) pipeline.DeliveryDecision,
) ([]pipeline.BegunDelivery, error) {
	rows, err := tx.Query(ctx, deliveriesLockSQL, pgx.StrictNamedArgs{"ids": b.IDs, "owner": b.Owner})
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	// Read the names again: one that came to a lead since was not locked.
	present, err := readLockNames(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id uuid.UUID) bool {
		for key := range present[id] {
			if !locked[id][key] {
				return true
			}
		}
		return false
	})
	now := micros(b.Now())
	candidates, err := deliveryCandidates(ctx, tx, ids, now)
	if err != nil {
		return nil, err
	}
	begun := make([]pipeline.BegunDelivery, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		begun = append(begun, pipeline.BegunDelivery{Decision: decide(c, now), Delivery: c.Delivery, Lead: c.Lead, Was: c.Was, KnownAs: c.KnownAs})
	}
	if err := writeSending(ctx, tx, b, begun, now); err != nil {
		return nil, fmt.Errorf("noting the requests: %w", err)
	}
	if err := writeHeld(ctx, tx, begun, now); err != nil {
		return nil, fmt.Errorf("noting what waits: %w", err)
	}
	return begun, nil
}

// writeSending marks the deliveries that are sent now, and takes over what their rows say of the request.
func writeSending(ctx context.Context, tx pgx.Tx, b pipeline.DeliveryBegin, begun []pipeline.BegunDelivery, now time.Time) error {
	var ids []uuid.UUID
	var leads []*uuid.UUID
	var phones, requests, checks []string
	var dials []bool
	var told []*string
	sent := map[uuid.UUID]*pipeline.BegunDelivery{}
	for i := range begun {
		one := &begun[i]
		if !one.Decision.Send {
			continue
		}
		ids, leads = append(ids, one.Delivery.ID), append(leads, uuidOrNull(one.Delivery.LeadID))
		phones, requests = append(phones, one.Decision.Phone), append(requests, deliveryText(one.Decision.Request))
		checks, dials = append(checks, orElse(string(one.Decision.Checks), "{}")), append(dials, one.Decision.Dials)
		told = append(told, toldBy(one))
		sent[one.Delivery.ID] = one
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, deliveriesSendingSQL, pgx.StrictNamedArgs{
		"ids": ids, "phones": phones, "leads": leads, "dials": dials, "requests": requests, "checks": checks, "told": told, "owner": b.Owner, "now": now,
		"lease_until": micros(now.Add(b.Lease)),
	})
	if err != nil {
		return err
	}
	var id uuid.UUID
	var attempt int
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &attempt, &at}, func() error {
		one := sent[id]
		delete(sent, id)
		d := &one.Delivery
		one.Attempt, d.SendingAt = attempt, at.UTC()
		d.State, d.Reason, d.Hold, d.Error, d.Searches = pipeline.DeliverySending, "", "", "", 0
		d.Attempts++
		if one.Decision.Phone != "" {
			d.Phone = one.Decision.Phone
		}
		if d.FirstSentAt.IsZero() {
			d.FirstSentAt = d.SendingAt
		}
		return nil
	})
	if err == nil && len(sent) > 0 {
		return fmt.Errorf("%d rows are gone", len(sent))
	}
	return err
}

// toldBy is the lead as a destination knows it after a request that gives or changes it.
func toldBy(one *pipeline.BegunDelivery) *string {
	if op := one.Delivery.Operation; op != OpInsertLead && op != OpUpdateLead {
		return nil
	}
	var left UpdateParams
	if one.Delivery.Operation == OpUpdateLead {
		_ = json.Unmarshal(one.Delivery.Params, &left) // ours; an order without any leaves nothing out
	}
	raw, err := json.Marshal(left.Told(one.Lead, one.Was))
	if err != nil {
		return nil // texts always marshal
	}
	text := string(raw)
	return &text
}

// writeHeld moves the deliveries that are not sent now.
func writeHeld(ctx context.Context, tx pgx.Tx, begun []pipeline.BegunDelivery, now time.Time) error {
	var ids []uuid.UUID
	var states, reasons, holds, problems []string
	var notBefore []time.Time
	var settled []*time.Time
	var told []*string
	for i := range begun {
		if begun[i].Decision.Send {
			continue
		}
		change := &begun[i].Decision.Change
		if change.Reason == pipeline.ReasonNoChange {
			told = append(told, toldBy(&begun[i]))
		} else {
			told = append(told, nil)
		}
		ids, states = append(ids, begun[i].Delivery.ID), append(states, string(change.State))
		reasons, holds = append(reasons, change.Reason), append(holds, change.Hold)
		problems, notBefore = append(problems, deliveryText(change.Error)), append(notBefore, micros(change.NotBefore))
		settled = append(settled, settledAt(change.State, now))
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, deliveriesHeldSQL, pgx.StrictNamedArgs{
		"ids": ids, "states": states, "reasons": reasons, "holds": holds, "errors": problems, "not_before": notBefore, "settled": settled,
		"told": told, "now": now,
	})
	return err
}

// settledAt is the time for the rows of final states, null for others.
func settledAt(state pipeline.DeliveryState, now time.Time) *time.Time {
	if !state.Final() {
		return nil
	}
	return &now
}
