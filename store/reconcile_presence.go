package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// presenceRow is what reconcile knows of an agent's presence, as JSON; the agent's own id is looked up.
type presenceRow struct {
	Source          string          `json:"source"`
	Account         string          `json:"account_id"`
	ExternalID      string          `json:"external_id"`
	Status          string          `json:"status"`
	CallSource      *string         `json:"current_call_source"`
	CallAccount     *string         `json:"current_call_account_id"`
	CallID          *string         `json:"current_call_id"`
	CallGiven       *string         `json:"current_call_given"`
	LeadID          *uuid.UUID      `json:"current_lead_id"`
	Metadata        json.RawMessage `json:"metadata"`
	StatusChangedAt time.Time       `json:"status_changed_at"`
	UpdatedAt       time.Time       `json:"updated_at"`
}

const presenceUpsertSQL = `
insert into pipeline.presence as p (org_id, agent_id, status, current_call_id, current_call_source, current_call_account_id,
  current_call_given, current_lead_id, metadata, status_changed_at, updated_at)
select @org, a.agent_id, n.status, n.current_call_id, n.current_call_source, n.current_call_account_id,
  n.current_call_given, n.current_lead_id, coalesce(n.metadata, '{}'), n.status_changed_at, n.updated_at
from jsonb_to_recordset(@rows::jsonb) as n (source text, account_id text, external_id text, status text, current_call_id text,
  current_call_source text, current_call_account_id text, current_call_given text, current_lead_id uuid, metadata jsonb,
  status_changed_at timestamptz, updated_at timestamptz)
join pipeline.agents a
  on a.org_id = @org and a.source = n.source and a.account_id = n.account_id and a.external_id = n.external_id
on conflict (org_id, agent_id) do update
set status = excluded.status, current_call_id = excluded.current_call_id, current_call_source = excluded.current_call_source,
  current_call_account_id = excluded.current_call_account_id, current_call_given = excluded.current_call_given,
  current_lead_id = excluded.current_lead_id, metadata = excluded.metadata, status_changed_at = excluded.status_changed_at,
  updated_at = excluded.updated_at`

// presenceRows are the folded rows and the agents that they are about.
func (f *folded) presenceRows() (rows []presenceRow, agents []agentName) {
	for i := range f.result.Presence {
		p := &f.result.Presence[i]
		agents = append(agents, agentName{string(p.Agent.Source), p.Agent.Account, p.Agent.ID})
		row := presenceRow{
			Source: string(p.Agent.Source), Account: p.Agent.Account, ExternalID: p.Agent.ID, Status: string(p.Status),
			CallGiven: optional(p.CallID), Metadata: p.Metadata, StatusChangedAt: p.Since, UpdatedAt: p.ReportedAt,
		}
		if p.Call != (pipeline.CallKey{}) {
			source := string(p.Call.Dialler)
			row.CallSource, row.CallAccount, row.CallID = &source, &p.Call.Account, &p.Call.ExternalID
		}
		if id, err := uuid.Parse(p.LeadID); err == nil {
			row.LeadID = &id
		}
		rows = append(rows, row)
	}
	return rows, agents
}

// writePresence writes what agents are doing. An agent has one record, so the folded word is the last one.
func (f *folded) writePresence(ctx context.Context, tx pgx.Tx) error {
	if len(f.result.Presence) == 0 {
		return nil
	}
	rows, agents := f.presenceRows()
	if err := f.writeAgents(ctx, tx, agents); err != nil {
		return err
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("writing presence: %w", err)
	}
	if _, err := tx.Exec(ctx, presenceUpsertSQL, pgx.StrictNamedArgs{"org": f.org, "rows": string(text)}); err != nil {
		return fmt.Errorf("writing presence: %w", err)
	}
	return nil
}
