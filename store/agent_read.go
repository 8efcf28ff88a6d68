package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// AgentPresence is an agent and what they are doing, as the HTTP API reads it. Nil means that nobody told; times are UTC.
type AgentPresence struct {
	AgentID uuid.UUID
	// UserID is the agent's id in the API: the one that clients brought, else AgentID.
	UserID string
	Name   *string
	Email  *string
	// Status is online, on_call, break or offline; an agent of whom nothing was reported is offline.
	Status string
	// CurrentCallID is as the client gave it.
	CurrentCallID *string
	CurrentLeadID *uuid.UUID
	// CurrentLeadName is the contact's name, else the business's.
	CurrentLeadName *string
	CallStartedAt   *time.Time
	StatusChangedAt *time.Time
	// CallsToday and DispositionsToday count since AgentQuery.DayStart.
	CallsToday        int
	DispositionsToday int
	// CampaignName is that of the call in progress, else of the last call.
	CampaignName *string
}

// AgentQuery asks for one page of an organisation's agents, by name.
type AgentQuery struct {
	// DayStart is the instant at which today began.
	DayStart time.Time
	// Offset and Limit count agents; Limit is at least 1.
	Offset int64
	Limit  int
	// Team asks for the agents whose user in ipSCAPE is in a team of this name, in any letter case; empty asks for all.
	Team string
	// Agent asks for one agent alone; the zero value asks for all.
	Agent pipeline.AgentRef
}

// AgentPage is a page and the number of all agents, of one snapshot.
type AgentPage struct {
	Agents []AgentPresence
	Total  int64
}

const agentsListSQL = `
with hit as (
  select a.org_id, a.agent_id, a.source, a.account_id, a.external_id, a.name, a.email
  from pipeline.agents a
  where a.org_id = @org_id
    and (@agent_id::text = '' or a.source = @agent_source and a.account_id = @agent_account and a.external_id = @agent_id)
    and (@team::text = '' or a.source = 'ipscape' and exists (
      select
      from ipscape.users u
      cross join lateral regexp_split_to_table(u.teams, '[,;|]') t (team)
      where u.org_id = a.org_id and u.account_id = a.account_id and u.user_id::text = a.external_id
        and lower(btrim(t.team, ' []"')) = lower(@team)))
), total as (
  select count(*) as n
  from hit
), page as (
  select *
  from hit
  order by lower(name) nulls last, agent_id
  limit @limit offset @offset
)
select total.n,
  a.agent_id, case a.source when 'api' then a.external_id else a.agent_id::text end, a.name, a.email,
  coalesce(p.status, 'offline'), coalesce(p.current_call_given, p.current_call_id), l.lead_id,
  coalesce(nullif(btrim(concat_ws(' ', l.contact_first_name, l.contact_last_name)), ''), l.business_name),
  c.started_at, p.status_changed_at, coalesce(t.calls, 0), coalesce(t.dispositions, 0),
  coalesce(c.campaign_name, t.campaign_name)
from total
left join page a on true
left join pipeline.presence p on p.org_id = a.org_id and p.agent_id = a.agent_id
left join pipeline.lead_merges m on m.org_id = p.org_id and m.lead_id = p.current_lead_id
left join lateral (
  select l.lead_id, l.contact_first_name, l.contact_last_name, l.business_name
  from pipeline.leads l
  where l.org_id = p.org_id and l.lead_id in (p.current_lead_id, m.into_lead_id)
  order by l.lead_id = p.current_lead_id desc
  limit 1
) l on true
left join pipeline.calls c
  on c.org_id = a.org_id and c.source = coalesce(p.current_call_source, a.source)
  and c.account_id = coalesce(p.current_call_account_id, a.account_id) and c.external_call_id = p.current_call_id
left join lateral (
  select
    count(*) filter (where k.occurred_at >= @day_start) as calls,
    count(k.disposition) filter (where k.occurred_at >= @day_start) as dispositions,
    (array_agg(k.campaign_name order by k.occurred_at desc) filter (where k.campaign_name is not null))[1] as campaign_name
  from (
    (
      select occurred_at, disposition, campaign_name
      from pipeline.calls
      where org_id = a.org_id
        and agent_source = a.source
        and agent_account_id = a.account_id
        and agent_external_id = a.external_id
        and occurred_at >= @day_start
    )
    union all
    (
      select occurred_at, disposition, campaign_name
      from pipeline.calls
      where org_id = a.org_id
        and agent_source = a.source
        and agent_account_id = a.account_id
        and agent_external_id = a.external_id
        and occurred_at < @day_start
      order by occurred_at desc
      limit 1
    )
  ) k
) t on true
order by lower(a.name) nulls last, a.agent_id`

// Agents returns a page of an organisation's agents, ordered by name, agents of one name by id.
func (db *DB) Agents(ctx context.Context, org uuid.UUID, query AgentQuery) (AgentPage, error) {
	var page AgentPage
	err := db.onConn(ctx, func(q Queryer) (err error) {
		page, err = agents(ctx, q, org, query)
		return err
	})
	return page, err
}

func agents(ctx context.Context, q Queryer, org uuid.UUID, query AgentQuery) (AgentPage, error) {
	rows, err := q.Query(ctx, agentsListSQL, planned, pgx.StrictNamedArgs{
		"org_id": org, "day_start": query.DayStart.UTC(), "limit": query.Limit, "offset": query.Offset, "team": query.Team,
		"agent_source": string(query.Agent.Source), "agent_account": query.Agent.Account, "agent_id": query.Agent.ID,
	})
	if err != nil {
		return AgentPage{}, fmt.Errorf("listing agents: %w", err)
	}
	page, err := collectAgents(rows)
	if err != nil {
		return AgentPage{}, fmt.Errorf("listing agents: %w", err)
	}
	return page, nil
}

func collectAgents(rows pgx.Rows) (AgentPage, error) {
	var page AgentPage
	for rows.Next() {
		var (
			a AgentPresence
			// Null where the page is empty.
			id   *uuid.UUID
			user *string
		)
		if err := rows.Scan(&page.Total, &id, &user, &a.Name, &a.Email, &a.Status, &a.CurrentCallID, &a.CurrentLeadID,
			&a.CurrentLeadName, &a.CallStartedAt, &a.StatusChangedAt, &a.CallsToday, &a.DispositionsToday,
			&a.CampaignName); err != nil {
			rows.Close()
			return AgentPage{}, err
		}
		if id != nil {
			a.AgentID, a.UserID = *id, *user
			page.Agents = append(page.Agents, a)
		}
	}
	return page, rows.Err()
}
