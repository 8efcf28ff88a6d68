package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

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
func agentsBefore(ctx context.Context, tx pgx.Tx, f *folded, calls callNames) ([]agentName, error) {
	if len(calls.ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, agentsBeforeSQL, calls.args(f))
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
