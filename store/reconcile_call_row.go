package store

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// callRow is a row of pipeline.calls as JSON; keys are columns.
type callRow struct {
	OrgID            uuid.UUID  `json:"org_id"`
	Source           string     `json:"source"`
	Account          string     `json:"account_id"`
	ExternalID       string     `json:"external_call_id"`
	LeadID           *uuid.UUID `json:"lead_id"`
	AgentExternalID  *string    `json:"agent_external_id"`
	AgentName        *string    `json:"agent_name"`
	AgentEmail       *string    `json:"agent_email"`
	AgentSource      *string    `json:"agent_source"`
	AgentAccount     *string    `json:"agent_account_id"`
	GivenID          *string    `json:"external_call_id_given"`
	Direction        *string    `json:"direction"`
	CampaignName     *string    `json:"campaign_name"`
	FromNumber       *string    `json:"from_number"`
	ToNumber         *string    `json:"to_number"`
	StartedAt        *time.Time `json:"started_at"`
	AnsweredAt       *time.Time `json:"answered_at"`
	EndedAt          *time.Time `json:"ended_at"`
	TalkSeconds      *int       `json:"talk_s"`
	Disposition      *string    `json:"disposition"`
	DispositionRaw   *string    `json:"disposition_raw"`
	DispositionName  *string    `json:"disposition_name"`
	Contacted        bool       `json:"contacted"`
	RecordingURL     *string    `json:"recording_url"`
	RecordingDeleted *bool      `json:"recording_deleted"`
	Notes            *string    `json:"notes"`
	ParentExternalID *string    `json:"parent_external_id"`
	RootExternalID   *string    `json:"root_external_id"`
	LeadRule         *string    `json:"lead_rule"`
	Provenance       []string   `json:"provenance"`
	ContentHash      string     `json:"content_hash"`
	OccurredAt       time.Time  `json:"occurred_at"`
	UpdatedAt        time.Time  `json:"updated_at"`
}

// eventRow is a row of pipeline.call_events as JSON.
type eventRow struct {
	OrgID       uuid.UUID  `json:"org_id"`
	Source      string     `json:"source"`
	Account     string     `json:"account_id"`
	ExternalID  string     `json:"external_call_id"`
	Type        string     `json:"event_type"`
	OccurredAt  time.Time  `json:"occurred_at"`
	Disposition string     `json:"disposition"`
	LeadID      *uuid.UUID `json:"lead_id"`
	ToldBy      string     `json:"told_by"`

	EventID         uuid.UUID       `json:"event_id"`
	GivenID         *string         `json:"external_call_id_given"`
	AgentSource     *string         `json:"agent_source"`
	AgentAccount    *string         `json:"agent_account_id"`
	AgentExternalID *string         `json:"agent_external_id"`
	Direction       *string         `json:"direction"`
	Seconds         *int            `json:"duration_s"`
	Notes           *string         `json:"notes"`
	Metadata        json.RawMessage `json:"metadata"`
	ToldAt          time.Time       `json:"told_at"`
}

func (f *folded) callRow(c *pipeline.Call) callRow {
	row := callRow{
		OrgID: f.org, Source: string(c.Key.Dialler), Account: c.Key.Account, ExternalID: c.Key.ExternalID,
		AgentExternalID: optional(c.Agent.ID), AgentName: optional(c.Agent.Name), AgentEmail: optional(c.Agent.Email),
		Direction: optional(string(c.Direction)), CampaignName: optional(c.Campaign), FromNumber: optional(c.FromNumber),
		ToNumber: optional(c.ToNumber), StartedAt: optionalTime(c.StartedAt), AnsweredAt: optionalTime(c.AnsweredAt),
		EndedAt: optionalTime(c.EndedAt), TalkSeconds: c.TalkSeconds, Disposition: optional(c.Disposition),
		DispositionRaw: optional(c.DispositionRaw), DispositionName: optional(c.DispositionName), Contacted: c.Contacted,
		RecordingURL: optional(c.RecordingURL), RecordingDeleted: c.RecordingDeleted, Notes: optional(c.Notes),
		ParentExternalID: optional(c.ParentExternalID), RootExternalID: optional(c.RootExternalID),
		LeadRule: optional(c.LeadRule), Provenance: c.Provenance, OccurredAt: c.OccurredAt, UpdatedAt: f.now,
		GivenID: optional(c.GivenID),
	}
	row.AgentSource, row.AgentAccount = agentNamer(c.Agent, c.Key)
	if c.Lead >= 0 {
		row.LeadID = &f.ids.IDs[c.Lead]
	}
	// The lead's id is part of the row but not of the folded call, so it is hashed beside it.
	row.ContentHash = contentHash(struct {
		Call *pipeline.Call
		Lead *uuid.UUID
	}{c, row.LeadID})
	return row
}

// agentNamer returns who names an agent, nil for no agent: the call's dialler where the reference says nothing else.
func agentNamer(a pipeline.AgentRef, key pipeline.CallKey) (source, account *string) {
	if a.ID == "" {
		return nil, nil
	}
	by, within := string(a.Source), a.Account
	if by == "" {
		by, within = string(key.Dialler), key.Account
	}
	return &by, &within
}

func (f *folded) eventRow(c *pipeline.Call, row *callRow, e *pipeline.ToldEvent) eventRow {
	who := e.Agent
	if who.ID == "" {
		who = c.Agent
	}
	direction := e.Direction
	if direction == "" {
		direction = c.Direction
	}
	out := eventRow{
		OrgID: f.org, Source: row.Source, Account: row.Account, ExternalID: row.ExternalID, Type: string(e.Type),
		OccurredAt: e.OccurredAt, Disposition: e.Disposition, LeadID: row.LeadID, ToldBy: e.ToldBy,
		EventID: pipeline.StepID(c.Key, e.Type, e.OccurredAt, e.Disposition), GivenID: row.GivenID,
		AgentExternalID: optional(who.ID), Direction: optional(string(direction)), Seconds: e.Seconds, Notes: optional(e.Notes),
		Metadata: e.Metadata, ToldAt: e.ToldAt,
	}
	out.AgentSource, out.AgentAccount = agentNamer(who, c.Key)
	if out.Seconds == nil && e.Type == pipeline.EventEnded {
		out.Seconds = c.TalkSeconds
	}
	return out
}
