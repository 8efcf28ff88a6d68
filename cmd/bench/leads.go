package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// leadsConnections load the API.
const leadsConnections = 32

// The words that leads are made of.
const leadsFillSQL = `
insert into pipeline.leads (org_id, lead_id, business_name, contact_first_name, contact_last_name, email, phone, phone_e164, phones,
  source, priority, stage_key, content_hash, first_source_time, created_at, updated_at)
select $1, gen_random_uuid(),
  'Business ' || md5((n % 20000)::text), 'First' || (n % 997), 'Last' || (n % 4999), 'p' || n || '@mail' || (n % 50) || '.example',
  p, p, array[p], (array['api', 'ipscape', 'dialer', 'convoso'])[1 + n % 4], (array['low', 'normal', 'high', 'urgent'])[1 + n % 4],
  (array['new_lead', 'attempting', 'contacted', 'qualified'])[1 + n / 7 % 4], '\x00', at, at, at
from (
  select n, '+1' || (2120000000 + n) as p, now() - make_interval(secs => n) as at
  from generate_series(1, $2::int) n
) t`

// leadsBench compares the API with handlers that run the bare SQL.
func leadsBench(ctx context.Context, l *lab) (_ []row, err error) {
	b, err := l.fresh(ctx, emptyTemplate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.drop(context.WithoutCancel(ctx))) }()
	org, ids, err := b.fillLeads(ctx, l.leads)
	if err != nil {
		return nil, err
	}
	ours, stop, err := startAPI(ctx, b, &oneByOne{pool: b.Pool})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	bare, stopBare, err := serve(ctx, bareHandler(b.Pool, org))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopBare()) }()
	var rows []row
	for _, kind := range []struct {
		name     string
		requests [][]byte
	}{
		{"list", gets(200, func(i int) string { return fmt.Sprintf("/v1/leads?page=%d", i%50+1) })},
		{"get", gets(len(ids), func(i int) string { return "/v1/leads/" + ids[i].String() })},
		{"search", gets(997, func(i int) string { return fmt.Sprintf("/v1/leads?search=first%d+last%d", i, i*7%4999) })},
	} {
		load := func(addr string) side {
			return func(ctx context.Context) ([]float64, error) {
				rate, p99, err := hammer(ctx, addr, leadsConnections, l.load, kind.requests)
				return []float64{rate, p99}, err
			}
		}
		got, err := interleave(ctx, l.pairs, load(bare), load(ours))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
		rows = append(rows, row{
			figure: fmt.Sprintf("leads %s at %s leads, %d connections", kind.name, number(float64(l.leads)), leadsConnections),
			unit:   "requests/s", yardstick: "bare SQL handler", must: 0.6, stretch: 0.8,
		}.against(got[1][0], got[0][0]), row{
			figure: "p99 of leads " + kind.name, unit: "ms", yardstick: "bare SQL handler", atMost: true,
		}.against(got[1][1], got[0][1]))
	}
	l.printStatements()
	return rows, l.printPlans(ctx, b, org)
}

// printStatements tells what both sides run.
func (l *lab) printStatements() {
	list, search, one := store.LeadStatements()
	for _, s := range []struct{ name, sql string }{{"list", list}, {"get", one}, {"search", search}} {
		fmt.Fprintf(&l.appendix, "\nleads %s, on both sides:\n\n```sql%s\n```\n", s.name, s.sql)
	}
}

var indexName = regexp.MustCompile(`(?:Index (?:Only )?Scan(?: Backward)? using|Bitmap Index Scan on) (\S+)`)

// printPlans tells which index each filter of the list takes.
func (l *lab) printPlans(ctx context.Context, b *base, org uuid.UUID) error {
	yes := true
	fmt.Fprintf(&l.appendix, "\n| filter, at %s leads | indexes of its plan |\n|---|---|\n", number(float64(l.leads)))
	for _, f := range []struct {
		name  string
		query store.LeadQuery
	}{
		{"stage", store.LeadQuery{LeadFilter: store.LeadFilter{Stage: "qualified"}}},
		{"priority", store.LeadQuery{LeadFilter: store.LeadFilter{Priority: "urgent"}}},
		{"source", store.LeadQuery{LeadFilter: store.LeadFilter{Source: "convoso"}}},
		{"isDoNotCall", store.LeadQuery{LeadFilter: store.LeadFilter{DNC: &yes}}},
		{"phone", store.LeadQuery{LeadFilter: store.LeadFilter{Phone: "+12120000005", PhoneGiven: "+12120000005"}}},
		{"externalId", store.LeadQuery{LeadFilter: store.LeadFilter{ExternalKinds: []pipeline.KeyKind{pipeline.KeyIPSCAPELead}, ExternalID: "5"}}},
		{"updatedSince", store.LeadQuery{LeadFilter: store.LeadFilter{UpdatedSince: time.Now().Add(-time.Hour)}}},
		{"search", store.LeadQuery{Search: "first5 last35"}},
		{"cursor", store.LeadQuery{After: store.Position{At: time.Now().Add(-time.Hour)}}},
	} {
		f.query.Limit = 20
		plan, err := b.ExplainLeads(ctx, org, f.query)
		if err != nil {
			return err
		}
		var used []string
		for _, match := range indexName.FindAllStringSubmatch(plan, -1) {
			if !slices.Contains(used, match[1]) {
				used = append(used, match[1])
			}
		}
		if strings.Contains(plan, "Seq Scan on leads") {
			used = append(used, "and a scan of the whole table")
		}
		fmt.Fprintf(&l.appendix, "| %s | %s |\n", f.name, strings.Join(used, ", "))
	}
	return nil
}

// fillLeads makes leads and returns some of their ids.
func (b *base) fillLeads(ctx context.Context, n int) (org uuid.UUID, ids []uuid.UUID, err error) {
	o, err := b.EnsureDefault(ctx)
	if err != nil {
		return org, nil, err
	}
	// A million leads take longer than the 25 s that a statement of ours may.
	err = b.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set local statement_timeout = 0`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, leadsFillSQL, o.ID, n)
		return err
	})
	if err != nil {
		return org, nil, fmt.Errorf("making leads: %w", err)
	}
	if _, err := b.Pool.Exec(ctx, `vacuum (analyze) pipeline.leads`); err != nil {
		return org, nil, fmt.Errorf("analysing leads: %w", err)
	}
	rows, err := b.Pool.Query(ctx, `select lead_id from pipeline.leads limit 1000`)
	if err != nil {
		return org, nil, fmt.Errorf("reading ids: %w", err)
	}
	ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return o.ID, ids, err
}

// gets are requests made beforehand.
func gets(n int, path func(int) string) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n\r\n", path(i), apiKey)
	}
	return out
}
