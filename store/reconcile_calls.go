package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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

// Here and below calls are asked for one by one. As a join, planned while the pipeline is empty or nobody has counted it, this
// reads all calls there are in each fold of a first sync.
const callHashesSQL = `
select k.n::integer, c.content_hash
from unnest(@sources::text[], @accounts::text[], @ids::text[]) with ordinality as k (source, account_id, external_call_id, n)
cross join lateral (
  select content_hash
  from pipeline.calls
  where org_id = @org and source = k.source and account_id = k.account_id and external_call_id = k.external_call_id
  offset 0) c`

const callsUpsertSQL = `
insert into pipeline.calls (
  org_id, source, account_id, external_call_id, lead_id, agent_external_id, agent_name, agent_email, direction,
  campaign_name, from_number, to_number, started_at, answered_at, ended_at, talk_s, disposition, disposition_raw,
  disposition_name, contacted, recording_url, recording_deleted, notes, parent_external_id, root_external_id, lead_rule,
  provenance, content_hash, occurred_at, updated_at, agent_source, agent_account_id, external_call_id_given)
select
  org_id, source, account_id, external_call_id, lead_id, agent_external_id, agent_name, agent_email, direction,
  campaign_name, from_number, to_number, started_at, answered_at, ended_at, talk_s, disposition, disposition_raw,
  disposition_name, contacted, recording_url, recording_deleted, notes, parent_external_id, root_external_id, lead_rule,
  provenance, content_hash, occurred_at, updated_at, agent_source, agent_account_id, external_call_id_given
from jsonb_populate_recordset(null::pipeline.calls, @rows::jsonb)
on conflict (org_id, source, account_id, external_call_id) do update
set lead_id = excluded.lead_id, agent_external_id = excluded.agent_external_id, agent_name = excluded.agent_name,
  agent_email = excluded.agent_email, direction = excluded.direction, campaign_name = excluded.campaign_name,
  from_number = excluded.from_number, to_number = excluded.to_number, started_at = excluded.started_at,
  answered_at = excluded.answered_at, ended_at = excluded.ended_at, talk_s = excluded.talk_s,
  disposition = excluded.disposition, disposition_raw = excluded.disposition_raw, disposition_name = excluded.disposition_name,
  contacted = excluded.contacted, recording_url = excluded.recording_url, recording_deleted = excluded.recording_deleted,
  notes = excluded.notes, parent_external_id = excluded.parent_external_id, root_external_id = excluded.root_external_id,
  lead_rule = excluded.lead_rule, provenance = excluded.provenance, content_hash = excluded.content_hash,
  occurred_at = excluded.occurred_at, updated_at = excluded.updated_at, agent_source = excluded.agent_source,
  agent_account_id = excluded.agent_account_id, external_call_id_given = excluded.external_call_id_given`

const eventsDeleteSQL = `
delete from pipeline.call_events
where ctid = any(array(
  select e.ctid
  from unnest(@sources::text[], @accounts::text[], @ids::text[]) as k (source, account_id, external_call_id)
  cross join lateral (
    select ctid
    from pipeline.call_events
    where org_id = @org and source = k.source and account_id = k.account_id and external_call_id = k.external_call_id
    offset 0) e))`

// copyEvents writes the steps of calls that have none in the table.
func copyEvents(ctx context.Context, tx pgx.Tx, events []eventRow) error {
	if len(events) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"pipeline", "call_events"},
		[]string{
			"org_id", "source", "account_id", "external_call_id", "event_type", "occurred_at", "disposition", "lead_id", "told_by", "event_id",
			"external_call_id_given", "agent_source", "agent_account_id", "agent_external_id", "direction", "duration_s", "notes", "metadata", "told_at",
		},
		pgx.CopyFromSlice(len(events), func(i int) ([]any, error) {
			e := &events[i]
			return []any{
				e.OrgID, e.Source, e.Account, e.ExternalID, e.Type, e.OccurredAt, e.Disposition, e.LeadID, e.ToldBy, e.EventID,
				e.GivenID, e.AgentSource, e.AgentAccount, e.AgentExternalID, e.Direction, e.Seconds, e.Notes, e.Metadata, e.ToldAt,
			}, nil
		}))
	return err
}

// callNames are the keys of calls as parallel arrays.
type callNames struct{ sources, accounts, ids []string }

func (n *callNames) add(k pipeline.CallKey) {
	n.sources, n.accounts, n.ids = append(n.sources, string(k.Dialler)), append(n.accounts, k.Account), append(n.ids, k.ExternalID)
}

func (n *callNames) args(f *folded) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"org": f.org, "sources": n.sources, "accounts": n.accounts, "ids": n.ids}
}

const callsDeleteSQL = `
delete from pipeline.calls c
using unnest(@sources::text[], @accounts::text[], @ids::text[]) as k (source, account_id, external_call_id)
where c.org_id = @org and c.source = k.source and c.account_id = k.account_id and c.external_call_id = k.external_call_id`

// dropCalls removes calls that no record tells of any more, because the record that did says otherwise now.
func (f *folded) dropCalls(ctx context.Context, tx pgx.Tx) error {
	told := map[pipeline.CallKey]bool{}
	for i := range f.result.Calls {
		told[f.result.Calls[i].Key] = true
	}
	var untold callNames
	for k := range f.region.keys {
		if call, ok := k.call(); ok && !told[call] {
			untold.add(call)
		}
	}
	if len(untold.ids) == 0 {
		return nil
	}
	before, err := agentsBefore(ctx, tx, untold.args(f))
	if err != nil {
		return err
	}
	for _, sql := range []string{eventsDeleteSQL, callsDeleteSQL} {
		if _, err := tx.Exec(ctx, sql, untold.args(f)); err != nil {
			return fmt.Errorf("removing calls that nobody tells of any more: %w", err)
		}
	}
	return f.writeAgents(ctx, tx, before)
}

// writeCalls writes the calls that changed, with their events and agents.
func (f *folded) writeCalls(ctx context.Context, tx pgx.Tx) error {
	if err := f.dropCalls(ctx, tx); err != nil || len(f.result.Calls) == 0 {
		return err
	}
	var all callNames
	for i := range f.result.Calls {
		all.add(f.result.Calls[i].Key)
	}
	stored, err := hashes[int](ctx, tx, callHashesSQL, all.args(f))
	if err != nil {
		return fmt.Errorf("reading calls: %w", err)
	}
	var changed callNames
	var rows []callRow
	var events []eventRow
	for i := range f.result.Calls {
		c := &f.result.Calls[i]
		row := f.callRow(c)
		if !f.force && stored[i+1] == row.ContentHash {
			continue
		}
		changed.add(c.Key)
		rows = append(rows, row)
		for j := range c.Events {
			events = append(events, f.eventRow(c, &row, &c.Events[j]))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	before, err := agentsBefore(ctx, tx, changed.args(f))
	if err != nil {
		return err
	}
	if err := upsertRows(ctx, tx, callsUpsertSQL, rows); err != nil {
		return fmt.Errorf("writing calls: %w", err)
	}
	if _, err := tx.Exec(ctx, eventsDeleteSQL, changed.args(f)); err != nil {
		return fmt.Errorf("replacing call events: %w", err)
	}
	if err := copyEvents(ctx, tx, events); err != nil {
		return fmt.Errorf("writing call events: %w", err)
	}
	return f.writeAgents(ctx, tx, mergeNames(agentsOf(rows, events), before))
}

const agentsBeforeSQL = `
select distinct c.agent_source, c.agent_account_id, c.agent_external_id
from unnest(@sources::text[], @accounts::text[], @ids::text[]) as k (source, account_id, external_call_id)
cross join lateral (
  select agent_source, agent_account_id, agent_external_id
  from pipeline.calls
  where org_id = @org and source = k.source and account_id = k.account_id and external_call_id = k.external_call_id
  offset 0) c
where c.agent_external_id is not null and c.agent_source is not null`

// agentsBefore names the agents of calls as they are stored: what such a call told of its agent may be told by it no more.
func agentsBefore(ctx context.Context, tx pgx.Tx, args pgx.StrictNamedArgs) ([]agentName, error) {
	rows, err := tx.Query(ctx, agentsBeforeSQL, args)
	if err != nil {
		return nil, fmt.Errorf("reading the agents of calls: %w", err)
	}
	var names []agentName
	var n agentName
	_, err = pgx.ForEachRow(rows, []any{&n.source, &n.account, &n.id}, func() error {
		names = append(names, n)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the agents of calls: %w", err)
	}
	return names, nil
}

// mergeNames lists the agents of both, each once.
func mergeNames(a, b []agentName) []agentName {
	for _, n := range b {
		if !slices.Contains(a, n) {
			a = append(a, n)
		}
	}
	return a
}

// An agent's name and e-mail are those of the latest call that tells them, so that they too follow from the records alone.
const agentsUpsertSQL = `
insert into pipeline.agents as a (org_id, agent_id, source, account_id, external_id, name, email, updated_at)
select @org, g.agent_id, g.source, g.account_id, g.external_id, n.agent_name, m.agent_email, @now
from unnest(@agents::uuid[], @sources::text[], @accounts::text[], @ids::text[]) as g (agent_id, source, account_id, external_id)
left join lateral (
  select c.agent_name
  from pipeline.calls c
  where c.org_id = @org and c.agent_source = g.source and c.agent_account_id = g.account_id and c.agent_external_id = g.external_id
    and c.agent_name is not null
  order by c.occurred_at desc, c.external_call_id desc
  limit 1
) n on true
left join lateral (
  select c.agent_email
  from pipeline.calls c
  where c.org_id = @org and c.agent_source = g.source and c.agent_account_id = g.account_id and c.agent_external_id = g.external_id
    and c.agent_email is not null
  order by c.occurred_at desc, c.external_call_id desc
  limit 1
) m on true
on conflict (org_id, source, account_id, external_id) do update
set name = excluded.name, email = excluded.email, updated_at = excluded.updated_at
where a.name is distinct from excluded.name or a.email is distinct from excluded.email`

// agentsOf names the agents of calls and of their steps, each once.
func agentsOf(rows []callRow, events []eventRow) []agentName {
	seen := map[agentName]bool{}
	var names []agentName
	add := func(source, account, id *string) {
		if source == nil || id == nil {
			return
		}
		if n := (agentName{*source, *account, *id}); !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	for i := range rows {
		add(rows[i].AgentSource, rows[i].AgentAccount, rows[i].AgentExternalID)
	}
	for i := range events {
		add(events[i].AgentSource, events[i].AgentAccount, events[i].AgentExternalID)
	}
	return names
}

// agentName is how an agent is known: by an id that somebody gave.
type agentName struct{ source, account, id string }

// newAgentID is our id of an agent. A user of the API keeps the id it came with, where it is one.
func (n agentName) newAgentID() uuid.UUID {
	if id, err := uuid.Parse(n.id); err == nil && n.source == string(pipeline.SourceAPI) && id != uuid.Nil {
		return id
	}
	return newID()
}

func (f *folded) writeAgents(ctx context.Context, tx pgx.Tx, agents []agentName) error {
	var names callNames
	var ids []uuid.UUID
	for _, a := range agents {
		names.sources, names.accounts, names.ids = append(names.sources, a.source), append(names.accounts, a.account), append(names.ids, a.id)
		ids = append(ids, a.newAgentID())
	}
	if len(ids) == 0 {
		return nil
	}
	args := names.args(f)
	args["agents"], args["now"] = ids, f.now
	tag, err := tx.Exec(ctx, agentsUpsertSQL, args)
	if err != nil {
		return fmt.Errorf("writing agents: %w", err)
	}
	f.agentsTold = f.agentsTold || tag.RowsAffected() > 0
	return nil
}
