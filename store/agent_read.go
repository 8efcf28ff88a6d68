package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// AgentPresence is an agent and what they are doing, as the HTTP API reads it. Nil means that nobody told; times are UTC.
type AgentPresence struct {
	AgentID uuid.UUID
	Name    *string
	Email   *string
	// Status is online, on_call, break or offline; an agent of whom nothing was reported is offline.
	Status        string
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
}

// AgentPage is a page and the number of all agents, of one snapshot.
type AgentPage struct {
	Agents []AgentPresence
	Total  int64
}

const agentsListSQL = `
with total as (
  select count(*) as n
  from pipeline.agents
  where org_id = @org_id
), page as (
  select org_id, agent_id, source, account_id, external_id, name, email
  from pipeline.agents
  where org_id = @org_id
  order by lower(name) nulls last, agent_id
  limit @limit offset @offset
)
select total.n,
  a.agent_id, a.name, a.email, coalesce(p.status, 'offline'), p.current_call_id, p.current_lead_id,
  coalesce(nullif(btrim(concat_ws(' ', l.contact_first_name, l.contact_last_name)), ''), l.business_name),
  c.started_at, p.status_changed_at, coalesce(t.calls, 0), coalesce(t.dispositions, 0),
  coalesce(c.campaign_name, t.campaign_name)
from total
left join page a on true
left join pipeline.presence p on p.org_id = a.org_id and p.agent_id = a.agent_id
left join pipeline.leads l on l.org_id = p.org_id and l.lead_id = p.current_lead_id
left join pipeline.calls c
  on c.org_id = a.org_id and c.source = a.source and c.account_id = a.account_id and c.external_call_id = p.current_call_id
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
        and source = a.source
        and account_id = a.account_id
        and agent_external_id = a.external_id
        and occurred_at >= @day_start
    )
    union all
    (
      select occurred_at, disposition, campaign_name
      from pipeline.calls
      where org_id = a.org_id
        and source = a.source
        and account_id = a.account_id
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
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, agentsListSQL, pgx.StrictNamedArgs{
			"org_id": org, "day_start": query.DayStart.UTC(), "limit": query.Limit, "offset": query.Offset,
		})
		if err != nil {
			return err
		}
		page, err = collectAgents(rows)
		return err
	})
	if err != nil {
		return AgentPage{}, fmt.Errorf("listing agents: %w", err)
	}
	return page, nil
}

func collectAgents(rows pgx.Rows) (AgentPage, error) {
	var page AgentPage
	for rows.Next() {
		var (
			a  AgentPresence
			id *uuid.UUID // null where the page is empty
		)
		if err := rows.Scan(&page.Total, &id, &a.Name, &a.Email, &a.Status, &a.CurrentCallID, &a.CurrentLeadID,
			&a.CurrentLeadName, &a.CallStartedAt, &a.StatusChangedAt, &a.CallsToday, &a.DispositionsToday,
			&a.CampaignName); err != nil {
			rows.Close()
			return AgentPage{}, err
		}
		if id != nil {
			a.AgentID = *id
			page.Agents = append(page.Agents, a)
		}
	}
	return page, rows.Err()
}
