package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

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
			// Arrays, as uuid.UUID is sent by way of its text.
			return []any{
				[16]byte(e.OrgID), e.Source, e.Account, e.ExternalID, e.Type, e.OccurredAt, e.Disposition, (*[16]byte)(e.LeadID), e.ToldBy, [16]byte(e.EventID),
				e.GivenID, e.AgentSource, e.AgentAccount, e.AgentExternalID, e.Direction, e.Seconds, e.Notes, e.Metadata, e.ToldAt,
			}, nil
		}))
	return err
}

// copyCalls writes calls that are not in the table, for less than half of what the upsert costs.
func copyCalls(ctx context.Context, tx pgx.Tx, calls []callRow) error {
	if len(calls) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"pipeline", "calls"},
		[]string{
			"org_id", "source", "account_id", "external_call_id", "lead_id", "agent_external_id", "agent_name", "agent_email", "direction",
			"campaign_name", "from_number", "to_number", "started_at", "answered_at", "ended_at", "talk_s", "disposition", "disposition_raw",
			"disposition_name", "contacted", "recording_url", "recording_deleted", "notes", "parent_external_id", "root_external_id", "lead_rule",
			"provenance", "content_hash", "occurred_at", "updated_at", "agent_source", "agent_account_id", "external_call_id_given",
		},
		pgx.CopyFromSlice(len(calls), func(i int) ([]any, error) {
			c := &calls[i]
			hash, err := hex.DecodeString(strings.TrimPrefix(c.ContentHash, `\x`))
			return []any{
				[16]byte(c.OrgID), c.Source, c.Account, c.ExternalID, (*[16]byte)(c.LeadID), c.AgentExternalID, c.AgentName, c.AgentEmail, c.Direction,
				c.CampaignName, c.FromNumber, c.ToNumber, c.StartedAt, c.AnsweredAt, c.EndedAt, c.TalkSeconds, c.Disposition, c.DispositionRaw,
				c.DispositionName, c.Contacted, c.RecordingURL, c.RecordingDeleted, c.Notes, c.ParentExternalID, c.RootExternalID, c.LeadRule,
				c.Provenance, hash, c.OccurredAt, c.UpdatedAt, c.AgentSource, c.AgentAccount, c.GivenID,
			}, err
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
	before, err := agentsBefore(ctx, tx, f, untold)
	if err != nil {
		return err
	}
	for _, sql := range []string{eventsDeleteSQL, callsDeleteSQL} {
		if _, err := tx.Exec(ctx, sql, untold.args(f)); err != nil {
			return fmt.Errorf("removing calls that nobody tells of any more: %w", err)
		}
	}
	f.agents = mergeNames(f.agents, before)
	return nil
}

// writeCalls writes the calls that changed, with their steps. Two batches that do not meet may do it side by side. The agents that
// these calls told of are left in f.agents.
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
	var changed, known callNames
	var rows, fresh []callRow
	var events []eventRow
	for i := range f.result.Calls {
		c := &f.result.Calls[i]
		row := f.callRow(c)
		if !f.force && stored[i+1] == row.ContentHash {
			continue
		}
		changed.add(c.Key)
		if stored[i+1] == "" {
			fresh = append(fresh, row)
		} else {
			known.add(c.Key)
			rows = append(rows, row)
		}
		for j := range c.Events {
			events = append(events, f.eventRow(c, &row, &c.Events[j]))
		}
	}
	if len(changed.ids) == 0 {
		return nil
	}
	before, err := agentsBefore(ctx, tx, f, known)
	if err != nil {
		return err
	}
	if err := upsertRows(ctx, tx, callsUpsertSQL, rows); err != nil {
		return fmt.Errorf("writing calls: %w", err)
	}
	if err := copyCalls(ctx, tx, fresh); err != nil {
		return fmt.Errorf("writing new calls: %w", err)
	}
	if _, err := tx.Exec(ctx, eventsDeleteSQL, changed.args(f)); err != nil {
		return fmt.Errorf("replacing call events: %w", err)
	}
	if err := copyEvents(ctx, tx, events); err != nil {
		return fmt.Errorf("writing call events: %w", err)
	}
	f.agents = mergeNames(mergeNames(f.agents, agentsOf(slices.Concat(rows, fresh), events)), before)
	return nil
}
