package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const otherHoldersSQL = `
select distinct o.value
from pipeline.lead_keys o
where o.org_id = @org and o.kind = @kind and o.account_id = '' and o.value = any(@values) and not o.lead_id = any(@leads)
union
select distinct lower(l.email)
from pipeline.leads l
where l.org_id = @org and @kind = 'email' and lower(l.email) = any(@values) and not l.lead_id = any(@leads)`

// addTold adds what their records told of them in fields that another source overruled: e-mail addresses that nobody else has.
func (p *person) addTold(ctx context.Context, tx pgx.Tx, facts func(*pipeline.Record) (pipeline.Facts, error)) error {
	told := map[string]bool{}
	ids := slices.Collect(maps.Keys(p.records))
	err := eachRecord(ctx, tx, p.org, recordsByIDSQL, pgx.StrictNamedArgs{"ids": ids}, func(_ int64, rec *pipeline.Record) {
		// Nothing where it cannot be read.
		f, _ := readFacts(facts, rec)
		for n := range namesOf(&pipeline.Facts{Leads: f.Leads}) {
			if n.Kind == string(pipeline.KeyEmail) {
				told[n.Value] = true
			}
		}
	})
	if err != nil || len(told) == 0 {
		return err
	}
	others, err := tx.Query(ctx, otherHoldersSQL, pgx.StrictNamedArgs{
		"org": p.org, "kind": string(pipeline.KeyEmail), "values": slices.Collect(maps.Keys(told)), "leads": p.leads,
	})
	if err != nil {
		return fmt.Errorf("asking who else has an address: %w", err)
	}
	shared, err := pgx.CollectRows(others, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("asking who else has an address: %w", err)
	}
	for email := range told {
		if !slices.Contains(shared, email) {
			p.names[keyName{Kind: string(pipeline.KeyEmail), Value: email}] = true
		}
	}
	return nil
}

// readFacts shields the caller from a record that breaks the code that reads it.
func readFacts(facts func(*pipeline.Record) (pipeline.Facts, error), rec *pipeline.Record) (f pipeline.Facts, ok bool) {
	defer func() {
		if recover() != nil {
			f, ok = pipeline.Facts{}, false
		}
	}()
	f, err := facts(rec)
	return f, err == nil
}
