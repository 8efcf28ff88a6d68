package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Gauges is the state of the daemon's work at one moment, for metrics.
type Gauges struct {
	Streams    []StreamGauge
	Jobs       []CountOf // by kind and state
	Deliveries []CountOf // by destination and state
	Quarantine []CountOf // open items, by source and stream
	Gaps       []CountOf // signs of lost posts, by source and kind; the count is what is missing
	// OldestJob is the age in seconds of the oldest job that waits for a worker.
	OldestJob float64
	// Inbox and Unfolded count posts and records that wait; DNC counts phones that must not be called.
	Inbox, Unfolded, DNC float64
	// KeptOut counts what was told of erased people and not kept, CutOff the erasures that did not come to their end.
	KeptOut, CutOff float64
	Webhooks        WebhookGauges
}

// StreamGauge is a stream's freshness in seconds and Unix seconds; nil = unknown.
type StreamGauge struct {
	Source, Stream   string
	Lag, LastSuccess *float64
	Holes            float64
}

// CountOf counts rows by two labels.
type CountOf struct {
	A, B  string
	Count float64
}

const streamGaugesSQL = `
select source, stream, max(lag_s)::double precision, min(extract(epoch from last_success_at))::double precision, sum(holes)::double precision
from analytics.freshness
group by source, stream`

// All states but completed, each named: so it follows River's index, which a look at what is not completed would not.
const jobGaugesSQL = `
select kind, state::text, count(*)::double precision
from river.river_job
where state in ('available', 'cancelled', 'discarded', 'pending', 'retryable', 'running', 'scheduled')
group by kind, state
order by kind, state`

const deliveryGaugesSQL = `
select destination, state, count(*)::double precision
from ops.deliveries
group by destination, state`

const quarantineGaugesSQL = `
select source, stream, count(*)::double precision
from ops.quarantine
where state = 'open'
group by source, stream`

const gapGaugesSQL = `
select source, kind, sum(missing)::double precision
from analytics.gaps
group by source, kind`

const plainGaugesSQL = `
select
  coalesce((select extract(epoch from @now::timestamptz - min(scheduled_at)) from river.river_job where state = 'available'), 0)::double precision,
  (select count(*) from ops.inbox where state = 'new')::double precision,
  (select count(*) from ops.reconcile_queue)::double precision,
  ((select coalesce(sum(kept_out), 0) from ops.erasures) + (select coalesce(sum(records), 0) from ops.erasure_arrivals))::double precision,
  (select count(*) from ops.erasures where finished_at is null)::double precision`

const dncGaugeSQL = `
select count(*)::double precision
from pipeline.do_not_call
where lifted_at is null`

// Gauges reads the state in one snapshot.
func (db *DB) Gauges(ctx context.Context) (Gauges, error) { return db.gauges(ctx, true) }

// WorkGauges reads what waits or went wrong: Jobs, Quarantine, OldestJob, Inbox, Unfolded and Webhooks. It follows indexes, so its
// price does not grow with what went well.
func (db *DB) WorkGauges(ctx context.Context) (Gauges, error) { return db.gauges(ctx, false) }

func (db *DB) gauges(ctx context.Context, all bool) (Gauges, error) {
	var g Gauges
	counts := map[string]*[]CountOf{jobGaugesSQL: &g.Jobs, quarantineGaugesSQL: &g.Quarantine}
	if all {
		counts[deliveryGaugesSQL], counts[gapGaugesSQL] = &g.Deliveries, &g.Gaps
	}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set transaction isolation level repeatable read, read only`); err != nil {
			return err
		}
		for sql, to := range counts {
			rows, err := tx.Query(ctx, sql)
			if err != nil {
				return err
			}
			if *to, err = pgx.CollectRows(rows, pgx.RowToStructByPos[CountOf]); err != nil {
				return err
			}
		}
		var err error
		if g.Webhooks, err = db.WebhookGauges(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, plainGaugesSQL, pgx.StrictNamedArgs{"now": db.Now()}).Scan(
			&g.OldestJob, &g.Inbox, &g.Unfolded, &g.KeptOut, &g.CutOff); err != nil || !all {
			return err
		}
		rows, err := tx.Query(ctx, streamGaugesSQL)
		if err != nil {
			return err
		}
		if g.Streams, err = pgx.CollectRows(rows, pgx.RowToStructByPos[StreamGauge]); err != nil {
			return err
		}
		return tx.QueryRow(ctx, dncGaugeSQL).Scan(&g.DNC)
	})
	if err != nil {
		return g, fmt.Errorf("reading the state of the work: %w", err)
	}
	return g, nil
}
