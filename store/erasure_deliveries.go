package store

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const deliveriesOfPersonSQL = `
select id, state = 'sending' and lease_until > clock_timestamp()
from ops.deliveries
where org_id = @org and (lead_id = any(@leads) or phone = any(@phones))
order by id
for update`

// inFlight refuses while a request is under way: its outcome is not to be lost.
func (m *removal) inFlight(ctx context.Context) error {
	rows, err := m.tx.Query(ctx, deliveriesOfPersonSQL, pgx.StrictNamedArgs{"org": m.p.org, "leads": m.p.leads, "phones": m.p.phones()})
	if err != nil {
		return fmt.Errorf("reading deliveries: %w", err)
	}
	var id uuid.UUID
	var sending bool
	_, err = pgx.ForEachRow(rows, []any{&id, &sending}, func() error {
		if sending {
			return ErrInFlight
		}
		return nil
	})
	return err
}

const (
	attemptsOfDeliveriesEraseSQL = `
update ops.delivery_attempts a
set request = '', checks = '{}', detail = null
from ops.deliveries d
where a.delivery_id = d.id and d.org_id = @org and (d.lead_id = any(@leads) or d.phone = any(@phones) and not d.phone = any(@kept))`
	deliveriesEraseSQL = `
update ops.deliveries d
set state = case when d.state in ('ready', 'sending', 'unknown') then 'cancelled' else d.state end,
  reason = case when d.state in ('ready', 'sending', 'unknown') then @reason else d.reason end,
  settled_at = case when d.state in ('ready', 'sending', 'unknown') then @now else d.settled_at end,
  hold = null, lease_owner = null, lease_until = null,
  phone = null, params = '{}', told = null, error = null, external_id = null, dedupe = 'erased ' || d.id
where d.org_id = @org and (d.lead_id = any(@leads) or d.phone = any(@phones) and not d.phone = any(@kept))`
)

// deliveries ends what is open and empties all of it. What tells a dialler of an opt-out that holds is left: it says no more than
// the opt-out does.
func (m *removal) deliveries(ctx context.Context) error {
	kept := m.kept
	if kept == nil {
		kept = []string{}
	}
	of := pgx.StrictNamedArgs{"org": m.p.org, "leads": m.p.leads, "phones": m.p.phones(), "kept": kept}
	ends := maps.Clone(of)
	ends["reason"], ends["now"] = pipeline.ReasonErased, m.e.DB.Now()
	return m.exec(
		ctx,
		statement{"ops.delivery_attempts", attemptsOfDeliveriesEraseSQL, of},
		statement{"ops.deliveries", deliveriesEraseSQL, ends},
	)
}

// eventsSlack is how much further than the order's time the clocks of those who make events may be apart.
const eventsSlack = time.Hour

const eventsSinceSearchSQL = eventsSearchSQL + `
  and created_at >= @since`

// events removes the webhooks that were ordered since the search, while what had come was folded.
func (m *removal) events(ctx context.Context) error {
	_, pattern, err := textPattern(m.p)
	if err != nil {
		return err
	}
	return m.exec(ctx, statement{"ops.webhook_events", eventsSinceSearchSQL, pgx.StrictNamedArgs{
		"org": m.p.org, "pattern": pattern, "times": pipeline.TimePattern, "gap": pipeline.TimeGap, "since": m.r.searched.Add(-eventsSlack),
	}})
}
