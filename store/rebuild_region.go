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

// region is a folded region about to be compared with the tables. Regions may overlap where many share a phone: what another
// one compared is left out.
type region struct {
	c *comparison
	f *folded
	// byKey, byIdentity and byRef find a record of the region: by a key that it names, by the key that names its lead, and by
	// its own name.
	byKey      map[keyName]int64
	byIdentity map[string]int64
	byRef      map[string]int64
	// names are the leads' names by id, of those folded and of those stored.
	names map[uuid.UUID]string
}

func newRegion(c *comparison, f *folded) *region {
	g := &region{
		c: c, f: f, byKey: map[keyName]int64{}, byIdentity: map[string]int64{}, byRef: map[string]int64{}, names: map[uuid.UUID]string{},
	}
	for _, id := range slices.Sorted(maps.Keys(f.region.have)) {
		g.byRef[f.told[id].Ref] = id
		for k := range f.region.have[id] {
			if _, ok := g.byKey[k.keyName]; !ok || k.Role == roleLead || k.Role == roleCall {
				g.byKey[k.keyName] = id
			}
			if k.Role == roleLead {
				g.byIdentity[k.Identity] = id
			}
		}
	}
	for i := range f.result.Leads {
		g.names[f.ids.IDs[i]] = nameOfKeys(f.result.Leads[i].Keys)
	}
	return g
}

// first tells whether no region before this one held the record.
func (g *region) first(id int64) bool { return id == 0 || !g.c.visited.has(id) }

func (g *region) differs(seed int64, d Difference) error {
	if seed != 0 {
		g.c.seeds[seed] = true
	} else {
		for id := range g.f.seeds {
			g.c.seeds[id] = true
		}
	}
	return g.c.differs(d)
}

func (g *region) compare(ctx context.Context) error {
	for _, step := range []func(context.Context) error{g.leads, g.calls, g.doNotCall, g.presence} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// line is one row as stored and as told, as JSON without what says when it was written; empty where there is none.
type line struct{ stored, told string }

// difference says how two rows differ, nil for not at all.
func (l line) difference() (change string, columns []ColumnDifference, err error) {
	switch {
	case l.stored == l.told:
		return "", nil, nil
	case l.stored == "":
		return RowMissing, nil, nil
	case l.told == "":
		return RowExtra, nil, nil
	}
	var stored, told map[string]json.RawMessage
	if err := json.Unmarshal([]byte(l.stored), &stored); err != nil {
		return "", nil, err
	}
	if err := json.Unmarshal([]byte(l.told), &told); err != nil {
		return "", nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if string(stored[name]) != string(told[name]) {
			columns = append(columns, ColumnDifference{Column: name, Stored: string(stored[name]), Told: string(told[name])})
		}
	}
	return RowDiffers, columns, nil
}

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

// Whether the steps name the call's lead is compared; which one that is, the call says.
const callsCompareSQL = `
with told as (
  select t.source, t.account_id, t.external_call_id, t.lead_id,
    (to_jsonb(t) - '{org_id,lead_id,updated_at,content_hash}'::text[])::text as line
  from jsonb_populate_recordset(null::pipeline.calls, @rows::jsonb) t
), stored as (
  select c.source, c.account_id, c.external_call_id, c.lead_id,
    (to_jsonb(c) - '{org_id,lead_id,updated_at,content_hash}'::text[])::text as line
  from unnest(@sources::text[], @accounts::text[], @ids::text[]) as k (source, account_id, external_call_id)
  join pipeline.calls c
    on c.org_id = @org and c.source = k.source and c.account_id = k.account_id and c.external_call_id = k.external_call_id
), told_steps as (
  select source, account_id, external_call_id, jsonb_object_agg(step, line)::text as line
  from (
    select distinct on (t.source, t.account_id, t.external_call_id, t.event_type, t.occurred_at, t.disposition)
      t.source, t.account_id, t.external_call_id, concat_ws(' ', t.event_type, t.occurred_at, t.disposition) as step,
      to_jsonb(t) - '{org_id,source,account_id,external_call_id,lead_id,ordinality}'::text[]
        || jsonb_build_object('of_lead', t.lead_id is not distinct from c.lead_id) as line
    from jsonb_populate_recordset(null::pipeline.call_events, @events::jsonb) with ordinality as t
    join told c using (source, account_id, external_call_id)
    order by t.source, t.account_id, t.external_call_id, t.event_type, t.occurred_at, t.disposition, t.ordinality
  ) e
  group by source, account_id, external_call_id
), stored_steps as (
  select e.source, e.account_id, e.external_call_id,
    jsonb_object_agg(concat_ws(' ', e.event_type, e.occurred_at, e.disposition),
      to_jsonb(e) - '{org_id,source,account_id,external_call_id,lead_id}'::text[]
        || jsonb_build_object('of_lead', e.lead_id is not distinct from c.lead_id))::text as line
  from stored c
  join pipeline.call_events e
    on e.org_id = @org and e.source = c.source and e.account_id = c.account_id and e.external_call_id = c.external_call_id
  group by e.source, e.account_id, e.external_call_id
)
select source, account_id, external_call_id, s.lead_id, t.lead_id, coalesce(s.line, ''), coalesce(t.line, ''),
  coalesce(se.line, '{}'), coalesce(te.line, '{}')
from stored s
full join told t using (source, account_id, external_call_id)
left join stored_steps se using (source, account_id, external_call_id)
left join told_steps te using (source, account_id, external_call_id)`

func (g *region) calls(ctx context.Context) error {
	rows, events := []callRow{}, []eventRow{}
	told := map[pipeline.CallKey]bool{}
	var names callNames
	for i := range g.f.result.Calls {
		call := &g.f.result.Calls[i]
		row := g.f.callRow(call)
		rows, told[call.Key] = append(rows, row), true
		names.add(call.Key)
		for j := range call.Events {
			events = append(events, g.f.eventRow(call, &row, &call.Events[j]))
		}
	}
	for k := range g.f.region.keys {
		if call, ok := k.call(); ok && !told[call] {
			names.add(call)
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	steps, err := json.Marshal(events)
	if err != nil {
		return err
	}
	args := names.args(g.f)
	args["rows"], args["events"] = string(text), string(steps)
	found, err := g.c.tx.Query(ctx, callsCompareSQL, args)
	if err != nil {
		return fmt.Errorf("comparing calls: %w", err)
	}
	var k pipeline.CallKey
	var storedLead, toldLead *uuid.UUID
	var l, e line
	_, err = pgx.ForEachRow(found, []any{&k.Dialler, &k.Account, &k.ExternalID, &storedLead, &toldLead, &l.stored, &l.told, &e.stored, &e.told}, func() error {
		return g.call(k, storedLead, toldLead, l, e)
	})
	if err != nil {
		return fmt.Errorf("comparing calls: %w", err)
	}
	return nil
}

func (g *region) call(k pipeline.CallKey, storedLead, toldLead *uuid.UUID, l, steps line) error {
	seed := g.byKey[keyName{callKind(k.Dialler), k.Account, k.ExternalID}]
	name := callName(k)
	if !g.first(seed) || l.told == "" && g.c.gone[name] {
		return nil
	}
	if l.told == "" {
		g.c.gone[name] = true
	} else {
		g.c.out.Calls++
		g.c.told.add("calls", name, g.leadName(toldLead), l.told, steps.told)
	}
	if l.stored != "" {
		g.c.stored.add("calls", name, g.leadName(storedLead), l.stored, steps.stored)
	}
	change, columns, err := l.difference()
	if err != nil {
		return err
	}
	if was, is := idText(storedLead), idText(toldLead); was != is && (change == "" || change == RowDiffers) {
		change, columns = RowDiffers, append(columns, ColumnDifference{Column: "lead_id", Stored: was, Told: is})
	}
	if change != "" {
		if err := g.differs(seed, Difference{Table: "calls", Key: name, Change: change, Columns: columns}); err != nil {
			return err
		}
	}
	if l.stored == "" || l.told == "" {
		return nil
	}
	if _, columns, err = steps.difference(); err != nil || len(columns) == 0 && steps.stored == steps.told {
		return err
	}
	if len(columns) == 0 { // steps that only the records tell
		columns = []ColumnDifference{{Column: "steps", Stored: steps.stored, Told: steps.told}}
	}
	return g.differs(seed, Difference{Table: "call_events", Key: name, Change: RowDiffers, Columns: columns})
}

// leadName names a call's lead in the hash. A lead of another region can only be stored, and wrongly so.
func (g *region) leadName(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	if name, ok := g.names[*id]; ok {
		return name
	}
	return id.String()
}

func idText(id *uuid.UUID) string {
	if id == nil {
		return "null"
	}
	return `"` + id.String() + `"`
}

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
			g.c.told.add("do_not_call", phone, l.told)
		}
		if l.stored != "" {
			g.c.stored.add("do_not_call", phone, l.stored)
		}
		change, columns, err := l.difference()
		if err != nil || change == "" {
			return err
		}
		seed := g.byRef[refs[phone]]
		if seed == 0 {
			seed = g.byKey[keyName{string(pipeline.KeyPhone), "", phone}]
		}
		return g.differs(seed, Difference{Table: "do_not_call", Key: phone, Change: change, Columns: columns})
	})
	if err != nil {
		return fmt.Errorf("comparing do-not-call: %w", err)
	}
	return nil
}
