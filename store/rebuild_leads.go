package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// The columns left out say when or whence a row was written, not what it tells.
const leadsCompareSQL = `
with told as (
  select t.lead_id, (to_jsonb(t) - '{org_id,lead_id,updated_at,split_from,search,content_hash}'::text[])::text as line
  from jsonb_populate_recordset(null::pipeline.leads, @rows::jsonb) t
), stored as (
  select l.lead_id, (to_jsonb(l) - '{org_id,lead_id,updated_at,split_from,search,content_hash}'::text[])::text as line
  from pipeline.leads l
  where l.org_id = @org and l.lead_id = any(@ids)
)
select lead_id, coalesce(s.line, ''), coalesce(t.line, '')
from stored s
full join told t using (lead_id)`

func (g *region) leads(ctx context.Context) error {
	if err := g.f.keepOptOuts(ctx, g.c.tx); err != nil {
		return err
	}
	stale, err := g.f.stale(ctx, g.c.tx)
	if err != nil {
		return err
	}
	rows := []leadRecord{}
	at := map[uuid.UUID]int{}
	ids := stale
	for i := range g.f.result.Leads {
		row := g.f.leadRow(i)
		rows, ids, at[row.LeadID] = append(rows, row), append(ids, row.LeadID), i
	}
	links, err := g.links(ctx, ids)
	if err != nil {
		return err
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	found, err := g.c.tx.Query(ctx, leadsCompareSQL, pgx.StrictNamedArgs{"org": g.c.org, "ids": ids, "rows": string(text)})
	if err != nil {
		return fmt.Errorf("comparing leads: %w", err)
	}
	var id uuid.UUID
	var l line
	_, err = pgx.ForEachRow(found, []any{&id, &l.stored, &l.told}, func() error {
		delete(g.c.keyless, id)
		seed := int64(0)
		var told []pipeline.LinkedKey
		if i, ok := at[id]; ok {
			told = g.f.result.Leads[i].Keys
			seed = g.seedOf(told)
			if !g.first(seed) {
				return nil
			}
			g.c.out.Leads++
		} else {
			if g.c.gone[id.String()] {
				return nil
			}
			g.c.gone[id.String()] = true
			seed = g.seedOf(links[id])
		}
		return g.lead(id, seed, l, links[id], told)
	})
	if err != nil {
		return fmt.Errorf("comparing leads: %w", err)
	}
	return nil
}

// seedOf finds a record that tells of the lead with these keys: each of them that names the lead is some record's own.
func (g *region) seedOf(keys []pipeline.LinkedKey) int64 {
	l := pipeline.Lead{Keys: keys}
	for _, k := range l.LedgerKeys(true) {
		if id, ok := g.byIdentity[nameOf(k).text()]; ok {
			return id
		}
	}
	for _, k := range keys {
		if id, ok := g.byKey[nameOf(k.Key)]; ok && k.Kind != pipeline.KeyEmail {
			return id
		}
	}
	return 0
}

// lead compares one lead and its keys.
func (g *region) lead(id uuid.UUID, seed int64, l line, stored, told []pipeline.LinkedKey) error {
	name := g.names[id]
	if l.stored != "" {
		g.c.stored.add("leads", g.storedName(id, stored), l.stored)
	}
	if l.told != "" {
		g.c.told.add("leads", name, l.told)
	}
	if name == "" {
		name = g.storedName(id, stored)
	}
	change, columns, err := l.difference()
	if err != nil {
		return err
	}
	if change != "" {
		if err := g.differs(seed, Difference{Table: "leads", Key: name, LeadID: id, Change: change, Columns: columns}); err != nil {
			return err
		}
	}
	was, is := linksByKey(stored), linksByKey(told)
	for _, k := range slices.Sorted(maps.Keys(merged(was, is))) {
		if was[k] != "" {
			g.c.stored.add("lead_keys", g.storedName(id, stored), k, was[k])
		}
		if is[k] != "" {
			g.c.told.add("lead_keys", name, k, is[k])
		}
		change, columns, err := line{was[k], is[k]}.difference()
		if err != nil {
			return err
		}
		if change == "" {
			continue
		}
		if err := g.differs(seed, Difference{Table: "lead_keys", Key: k, LeadID: id, Change: change, Columns: columns}); err != nil {
			return err
		}
	}
	return nil
}

func (g *region) storedName(id uuid.UUID, keys []pipeline.LinkedKey) string {
	if name := nameOfKeys(keys); name != "" {
		return name
	}
	return id.String() // without a key its id is all there is
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// linksByKey writes each link as a line under its key.
func linksByKey(keys []pipeline.LinkedKey) map[string]string {
	lines := map[string]string{}
	for _, k := range keys {
		text, _ := json.Marshal(map[string]string{"rule": k.Rule, "evidence": k.Evidence}) // strings always marshal
		lines[nameOf(k.Key).text()] = string(text)
	}
	return lines
}

const linksOfLeadsSQL = `
select lead_id, kind, account_id, value, rule, evidence
from pipeline.lead_keys
where org_id = @org and lead_id = any(@ids)
order by kind collate "C", account_id collate "C", value collate "C"`

func (g *region) links(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID][]pipeline.LinkedKey, error) {
	rows, err := g.c.tx.Query(ctx, linksOfLeadsSQL, pgx.StrictNamedArgs{"org": g.c.org, "ids": ids})
	if err != nil {
		return nil, fmt.Errorf("reading the keys of leads: %w", err)
	}
	links := map[uuid.UUID][]pipeline.LinkedKey{}
	var id uuid.UUID
	var k pipeline.LinkedKey
	_, err = pgx.ForEachRow(rows, []any{&id, &k.Kind, &k.Account, &k.Value, &k.Rule, &k.Evidence}, func() error {
		links[id] = append(links[id], k)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys of leads: %w", err)
	}
	return links, nil
}
