package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// StreamGauge is how one stream stands. Nil = unknown.
type StreamGauge struct {
	Source, Stream string
	// Lag is the age in seconds of the time through which it is covered, LastSuccess is in Unix seconds.
	Lag, LastSuccess *float64
	// Overdue is for how many seconds longer than its schedule's step there was no walk that ended well, negative when it is in time; nil
	// where it has no schedule.
	Overdue *float64
	Holes   float64
	// Failures counts failed walks in a row. Distrusted counts accounts whose latest whole read lacked too much to be believed.
	Failures, Distrusted float64
}

// Of posts only the last is looked for: what the view says beside is a look at four weeks of them, which SlowGauges takes.
const streamGaugesSQL = `
select f.source, f.stream,
  max(case when d.name is not null then f.lag_s end)::double precision,
  min(extract(epoch from f.last_success_at))::double precision,
  max(extract(epoch from @now::timestamptz - f.last_success_at - (d.next_slot - d.last_slot)))::double precision,
  sum(f.holes)::double precision,
  max(s.failures)::double precision,
  count(s.warning)::double precision
from analytics.freshness f
join ops.streams s on s.org_id = f.org_id and s.account_id = f.account_id and s.source = f.source and s.stream = f.stream
left join ops.schedules d on d.name = f.source || '.' || f.stream || case when f.account_id = @default then '' else '.' || f.account_id end
where f.stream <> 'posts'
group by f.source, f.stream
union all
select 'convoso', 'posts', null, min(extract(epoch from p.last_at))::double precision, null, 0, 0, 0
from ops.organisations o
cross join lateral (
  select max(e.observed_at) as last_at
  from convoso.events e
  where e.org_id = o.org_id and e.account_id = @default
) p
having min(p.last_at) is not null
order by 1, 2`

// AccountGauge counts the accounts of a vendor by whether requests may go out.
type AccountGauge struct {
	Vendor string
	// Closed may send, Paused were asked to wait, Denied had their credentials refused.
	Closed, Paused, Denied float64
	// PausedFor is for how many more seconds the longest pause lasts.
	PausedFor float64
}

// A budget's times are the database's own.
const accountGaugesSQL = `
select source,
  count(*) filter (where denied_at is null and coalesce(paused_until <= clock_timestamp(), true))::double precision,
  count(*) filter (where denied_at is null and paused_until > clock_timestamp())::double precision,
  count(*) filter (where denied_at is not null)::double precision,
  greatest(0, coalesce(max(extract(epoch from paused_until - clock_timestamp())), 0))::double precision
from ops.budgets
group by source
order by source`

// DeliveryGauge counts the open deliveries of one destination in one state.
type DeliveryGauge struct {
	Destination, State string
	Count              float64
	// Oldest is in seconds for how long the eldest has been due (ready) or without an outcome (sending, unknown).
	Oldest float64
	// OptOuts counts those of them that tell a dialler of an opt-out, OldestOptOut is for how many seconds the eldest is open.
	OptOuts, OldestOptOut float64
}

const deliveryGaugesSQL = `
select destination, state,
  count(*)::double precision,
  greatest(0, extract(epoch from @now::timestamptz - min(case when state = 'ready' then not_before else coalesce(sending_at, created_at) end)))::double precision,
  count(*) filter (where operation = @opt_out)::double precision,
  coalesce(greatest(0, extract(epoch from @now::timestamptz - min(created_at) filter (where operation = @opt_out))), 0)::double precision
from ops.deliveries
where state in ('ready', 'sending', 'unknown')
group by destination, state
order by destination, state`

// SlowGauges is the part of the state that takes a look at a good deal of rows: for every few minutes, not for each scrape.
type SlowGauges struct {
	Gaps []GapGauge
	// OptedOut counts phones that must not be called.
	OptedOut float64
	// Stopped counts deliveries that an opt-out has ended before they were sent, by destination and operation.
	Stopped []CountOf
}

// GapGauge counts the signs of lost posts of one kind, and what is missing by them.
type GapGauge struct {
	Source, Kind   string
	Signs, Missing float64
}

const gapGaugesSQL = `
select source, kind, count(*)::double precision, sum(missing)::double precision
from analytics.gaps
group by source, kind
order by source, kind`

const stoppedGaugesSQL = `
select destination, operation, count(*)::double precision
from ops.deliveries
where state = 'cancelled' and reason = 'do_not_call'
group by destination, operation
order by destination, operation`

const dncGaugeSQL = `
select count(*)::double precision
from pipeline.do_not_call
where lifted_at is null`

// SlowGauges reads them in one snapshot.
func (db *DB) SlowGauges(ctx context.Context) (SlowGauges, error) {
	var g SlowGauges
	err := db.readSnapshot(ctx, func(tx pgx.Tx) (err error) {
		if g.Gaps, err = readAll[GapGauge](ctx, tx, gapGaugesSQL); err != nil {
			return err
		}
		if g.Stopped, err = readAll[CountOf](ctx, tx, stoppedGaugesSQL); err != nil {
			return err
		}
		return tx.QueryRow(ctx, dncGaugeSQL).Scan(&g.OptedOut)
	})
	if err != nil {
		return g, fmt.Errorf("reading gaps, opt-outs and what they stopped: %w", err)
	}
	return g, nil
}
