package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/docs/queries"
)

// The parts of a sales floor, each made by one statement: calls of 90 days, five to a lead. $1 is the organisation, $2 the
// number of calls.
var floorSQL = []string{
	`insert into pipeline.agents (org_id, agent_id, source, account_id, external_id, name, updated_at)
select $1, md5('agent' || n)::uuid, 'convoso', 'default', n::text, 'Agent ' || n, now()
from generate_series(0, 49) n
where $2 > 0`,
	`insert into pipeline.leads (org_id, lead_id, business_name, phone, phone_e164, source, priority, stage_key, attempts, first_dialled_at, first_answered_at,
  is_do_not_call, content_hash, first_source_time, created_at, updated_at)
select $1, md5('lead' || n)::uuid, 'Business ' || n, '+1' || 2120000000 + n, '+1' || 2120000000 + n,
  (array['web_form', 'referral', 'dialer', 'csv_import'])[1 + n % 4], (array['normal', 'high'])[1 + n % 2], 'attempting',
  case when n % 20 = 0 then 0 else 5 end,
  case when n % 20 > 0 then at + make_interval(secs => 30 + n % 4000) end,
  case when n % 20 > 0 and n % 3 > 0 then at + make_interval(secs => 60 + n % 4000) end,
  n % 50 = 0, '\x00', at, at, at
from (
  select n, now() - make_interval(secs => n * (90 * 86400.0 / ($2::int / 5))) as at
  from generate_series(0, $2::int / 5 - 1) n
) l`,
	`insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, state, source_time, not_before, created_at, sending_at, settled_at, attempts, dedupe)
select md5('push' || l.lead_id)::uuid, l.org_id, 'default', 'dialedin', 'insert_lead', 'rings', l.lead_id, 'confirmed', l.created_at, l.created_at, l.created_at,
  l.created_at + make_interval(secs => 5 + abs(hashtext(l.lead_id::text)) % 900), l.created_at + interval '20 minutes', 1, l.lead_id::text
from pipeline.leads l
where l.org_id = $1 and $2 > 0`,
	`insert into ops.delivery_attempts (delivery_id, attempt, kind, daemon_id, outcome, started_at, finished_at)
select d.id, 1, 'send', d.id, 'confirmed', d.sending_at, d.settled_at
from ops.deliveries d
where d.org_id = $1 and $2 > 0`,
	`insert into pipeline.do_not_call (org_id, phone, reason, source, since, evidence, updated_at)
select l.org_id, l.phone_e164, 'DNC', 'convoso', l.created_at, 'convoso/dnc/' || l.phone_e164, l.created_at
from pipeline.leads l
where l.org_id = $1 and $2 > 0 and l.is_do_not_call`,
	`insert into ops.streams (org_id, account_id, source, stream, capability, covered, origin, last_success_at)
select $1, 'default', 'ipscape', s, 'created', tstzmultirange(tstzrange(now() - interval '90 days', now() - interval '2 minutes')), now() - interval '90 days', now()
from unnest(array['activities', 'leads', 'dial_attempts']) s
where $2 > 0`,
	`insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, agent_external_id, agent_source, agent_account_id, agent_name, direction,
  campaign_name, to_number, started_at, answered_at, ended_at, talk_s, disposition, disposition_raw, contacted, content_hash, occurred_at, updated_at)
select $1, 'convoso', 'default', n::text, md5('lead' || n % ($2::int / 5))::uuid, (n % 50)::text, 'convoso', 'default', 'Agent ' || n % 50,
  case when n % 10 = 0 then 'inbound' else 'outbound' end, 'Campaign ' || n % 8, '+1' || 2120000000 + n % ($2::int / 5), at,
  case when n % 3 = 0 then at + interval '9 seconds' end, at + interval '90 seconds', case when n % 3 = 0 then n % 400 end,
  (array['callback', 'no_answer', 'no_answer', 'not_interested', 'interested', 'no_answer'])[1 + n % 6],
  (array['CB', 'NA', 'B', 'NI', 'SALE', 'AA'])[1 + n % 6], n % 3 = 0, '\x00', at, at
from (
  select n, now() - make_interval(secs => n * (90 * 86400.0 / $2::int)) as at
  from generate_series(0, $2::int - 1) n
) c`,
}

// queriesBench runs the sample queries on many calls, beside a bare count of what each reads.
func queriesBench(ctx context.Context, l *lab) (_ []row, err error) {
	all, err := queries.All()
	if err != nil {
		return nil, err
	}
	b, err := l.fresh(ctx, emptyTemplate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.drop(context.WithoutCancel(ctx))) }()
	if err := b.fillFloor(ctx, l.calls); err != nil {
		return nil, err
	}
	var rows []row
	var plans strings.Builder
	for _, q := range all {
		timed := func(sql string) side {
			return func(ctx context.Context) ([]float64, error) {
				took, err := b.timed(ctx, sql)
				return []float64{took}, err
			}
		}
		got, err := interleave(ctx, l.pairs, timed("select count(*) from "+q.Reads), timed(q.SQL))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.Name, err)
		}
		rows = append(rows, row{
			figure: fmt.Sprintf("query %s at %s calls", q.Name, number(float64(l.calls))), unit: "ms", yardstick: "count(*) of " + q.Reads,
		}.against(got[1][0], got[0][0]))
		if l.plans != "" {
			plan, err := b.plan(ctx, q.SQL)
			if err != nil {
				return nil, fmt.Errorf("plan of %s: %w", q.Name, err)
			}
			fmt.Fprintf(&plans, "## %s\n\n%s\n\n", q.Name, plan)
		}
	}
	if l.plans != "" {
		if err := os.WriteFile(l.plans, []byte(plans.String()), 0o644); err != nil { //nolint:gosec // plans are for everybody to read
			return nil, fmt.Errorf("writing the plans: %w", err)
		}
	}
	return rows, nil
}

// fillFloor makes a sales floor of the default organisation.
func (b *base) fillFloor(ctx context.Context, calls int) error {
	org, err := b.EnsureDefault(ctx)
	if err != nil {
		return err
	}
	err = b.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set local statement_timeout = 0`); err != nil {
			return err
		}
		for i, sql := range floorSQL {
			if _, err := tx.Exec(ctx, sql, org.ID, calls); err != nil {
				return fmt.Errorf("part %d: %w", i+1, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("making calls: %w", err)
	}
	for _, table := range []string{"pipeline.calls", "pipeline.leads", "pipeline.agents", "pipeline.do_not_call", "ops.deliveries", "ops.delivery_attempts"} {
		if _, err := b.Pool.Exec(ctx, `vacuum (analyze) `+table); err != nil {
			return fmt.Errorf("analysing %s: %w", table, err)
		}
	}
	return nil
}

// timed runs a query to its last row and returns the milliseconds.
func (b *base) timed(ctx context.Context, sql string) (ms float64, err error) {
	began := time.Now()
	rows, err := b.Pool.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
	}
	return float64(time.Since(began).Microseconds()) / 1000, rows.Err()
}

// plan is how Postgres ran a query.
func (b *base) plan(ctx context.Context, sql string) (string, error) {
	rows, err := b.Pool.Query(ctx, "explain (analyze, buffers, costs off)\n"+sql, pgx.QueryExecModeExec)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}
