package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const doNotCallCompareSQL = `
with told as (
  select t.phone, (to_jsonb(t) - '{org_id,updated_at}'::text[])::text as line
  from jsonb_populate_recordset(null::pipeline.do_not_call, @rows::jsonb) t
), stored as (
  select d.phone, (to_jsonb(d) - '{org_id,updated_at}'::text[])::text as line
  from pipeline.do_not_call d
  where d.org_id = @org and d.phone = any(@phones)
)
select phone, coalesce(s.line, ''), coalesce(t.line, '')
from stored s
full join told t using (phone)`

func (g *region) doNotCall(ctx context.Context) error {
	rows := []dncRow{}
	phones := slices.Collect(maps.Keys(g.f.region.phones))
	refs := map[string]string{}
	for i := range g.f.result.DNC {
		d := &g.f.result.DNC[i]
		rows, phones, refs[d.Phone] = append(rows, g.f.dncRow(d)), append(phones, d.Phone), d.Evidence
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	found, err := g.c.tx.Query(ctx, doNotCallCompareSQL, pgx.StrictNamedArgs{"org": g.c.org, "phones": phones, "rows": string(text)})
	if err != nil {
		return fmt.Errorf("comparing do-not-call: %w", err)
	}
	var phone string
	var l line
	_, err = pgx.ForEachRow(found, []any{&phone, &l.stored, &l.told}, func() error {
		// As reconcile: while something cannot be read, nothing is taken off the list.
		if g.c.phones[phone] || l.told == "" && len(g.f.unread) > 0 {
			return nil
		}
		g.c.phones[phone] = true
		if l.told != "" {
			g.c.out.DNC++
		}
		seed := g.byRef[refs[phone]]
		if seed == 0 {
			seed = g.byKey[keyName{string(pipeline.KeyPhone), "", phone}]
		}
		return g.row("do_not_call", phone, seed, l)
	})
	if err != nil {
		return fmt.Errorf("comparing do-not-call: %w", err)
	}
	return nil
}
