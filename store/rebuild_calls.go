package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

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
