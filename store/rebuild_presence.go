package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const presenceCompareSQL = `
select concat_ws('/', n.source, n.account_id, n.external_id),
  case when p.agent_id is null then '' else jsonb_build_object('status', p.status, 'current_call_id', p.current_call_id,
    'current_call_source', p.current_call_source, 'current_call_account_id', p.current_call_account_id,
    'current_call_given', p.current_call_given, 'current_lead_id', p.current_lead_id, 'metadata', p.metadata,
    'status_changed_at', p.status_changed_at, 'updated_at', p.updated_at)::text end,
  jsonb_build_object('status', n.status, 'current_call_id', n.current_call_id,
    'current_call_source', n.current_call_source, 'current_call_account_id', n.current_call_account_id,
    'current_call_given', n.current_call_given, 'current_lead_id', n.current_lead_id, 'metadata', coalesce(n.metadata, '{}'),
    'status_changed_at', n.status_changed_at, 'updated_at', n.updated_at)::text
from jsonb_to_recordset(@rows::jsonb) as n (source text, account_id text, external_id text, status text, current_call_id text,
  current_call_source text, current_call_account_id text, current_call_given text, current_lead_id uuid, metadata jsonb,
  status_changed_at timestamptz, updated_at timestamptz)
left join pipeline.agents a
  on a.org_id = @org and a.source = n.source and a.account_id = n.account_id and a.external_id = n.external_id
left join pipeline.presence p
  on p.org_id = @org and p.agent_id = a.agent_id`

// presence compares what agents are doing. Each has one record, which belongs with no other.
func (g *region) presence(ctx context.Context) error {
	if len(g.f.result.Presence) == 0 {
		return nil
	}
	rows, _ := g.f.presenceRows()
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	seeds := map[string]int64{}
	for id := range g.f.region.records {
		for _, p := range g.f.told[id].Facts.Presence {
			seeds[string(p.Agent.Source)+"/"+p.Agent.Account+"/"+p.Agent.ID] = id
		}
	}
	found, err := g.c.tx.Query(ctx, presenceCompareSQL, pgx.StrictNamedArgs{"org": g.c.org, "rows": string(text)})
	if err != nil {
		return fmt.Errorf("comparing presence: %w", err)
	}
	var name string
	var l line
	_, err = pgx.ForEachRow(found, []any{&name, &l.stored, &l.told}, func() error {
		return g.row("presence", name, seeds[name], l)
	})
	if err != nil {
		return fmt.Errorf("comparing presence: %w", err)
	}
	return nil
}
