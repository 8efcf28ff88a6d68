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

// CallEvent is a step of a call, as the HTTP API reads it. Nil means that nobody told; times are UTC.
type CallEvent struct {
	ID   uuid.UUID
	Call pipeline.CallKey
	// GivenID is the call's id as a client gave it, where that is another text than the dialler's.
	GivenID     *string
	Type        string
	OccurredAt  time.Time
	Disposition string
	LeadID      *uuid.UUID
	// UserID is the agent's id in the API.
	UserID    *string
	Direction *string
	Seconds   *int
	Notes     *string
	// Metadata is a JSON object, nil for none.
	Metadata json.RawMessage
	// ToldAt is when the step was first told, UpdatedAt when its call last changed here.
	ToldAt    time.Time
	UpdatedAt time.Time
}

// EventQuery asks for steps of an organisation's calls, latest first; zero values ask for all.
type EventQuery struct {
	Lead uuid.UUID
	// User is an agent's id in the API.
	User string
	// From and To bound when the step happened: half-open.
	From, To time.Time
	Type     string
	After    Position
	Limit    int
}

// EventPage is a page and the exact number of steps that the query finds, of one snapshot.
type EventPage struct {
	Events []CallEvent
	Total  int64
}

const eventFilter = `
  where e.org_id = @org_id
    and (@lead_id::uuid is null or e.lead_id = any (array (
      select @lead_id::uuid
      union all
      select m.into_lead_id
      from pipeline.lead_merges m
      where m.org_id = @org_id and m.lead_id = @lead_id)))
    and (@user_id::text is null or (e.agent_source, e.agent_account_id, e.agent_external_id) in (
      select a.source, a.account_id, a.external_id
      from pipeline.agents a
      where a.org_id = @org_id and (a.agent_id::text = @user_id or a.source = 'api' and a.external_id = @user_id)))
    and (@from::timestamptz is null or e.occurred_at >= @from)
    and (@to::timestamptz is null or e.occurred_at < @to)
    and (@type::text is null or e.event_type = @type)`

const eventsListSQL = `
with total as (
  select count(*) as n
  from pipeline.call_events e` + eventFilter + `
), page as (
  select e.*
  from pipeline.call_events e` + eventFilter + `
    and (@after_at::timestamptz is null or (e.occurred_at, e.event_id) < (@after_at, @after_id::uuid))
  order by e.occurred_at desc, e.event_id desc
  limit @limit
)
select total.n, e.event_id, e.source, e.account_id, e.external_call_id, e.external_call_id_given, e.event_type, e.occurred_at,
  e.disposition, e.lead_id, case a.source when 'api' then a.external_id else a.agent_id::text end, e.direction, e.duration_s,
  e.notes, e.metadata::text, e.told_at, c.updated_at
from total
left join page e on true
left join pipeline.agents a
  on a.org_id = e.org_id and a.source = e.agent_source and a.account_id = e.agent_account_id and a.external_id = e.agent_external_id
left join pipeline.calls c
  on c.org_id = e.org_id and c.source = e.source and c.account_id = e.account_id and c.external_call_id = e.external_call_id
order by e.occurred_at desc, e.event_id desc`

// CallEvents returns a page of the steps of an organisation's calls, latest first, steps of one instant by id.
func (db *DB) CallEvents(ctx context.Context, org uuid.UUID, query EventQuery) (EventPage, error) {
	var lead *uuid.UUID
	if query.Lead != uuid.Nil {
		lead = &query.Lead
	}
	var page EventPage
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, eventsListSQL, planned, pgx.StrictNamedArgs{
			"org_id": org, "lead_id": lead, "user_id": asked(query.User), "from": timeOrNull(query.From), "to": timeOrNull(query.To),
			"type": asked(query.Type), "after_at": timeOrNull(query.After.At), "after_id": query.After.ID, "limit": query.Limit,
		})
		if err != nil {
			return err
		}
		page, err = collectEvents(rows)
		return err
	})
	if err != nil {
		return EventPage{}, fmt.Errorf("listing call events: %w", err)
	}
	return page, nil
}

func collectEvents(rows pgx.Rows) (EventPage, error) {
	var page EventPage
	for rows.Next() {
		var (
			e CallEvent
			// Null where the page is empty.
			id                                         *uuid.UUID
			source, account, call, kind, code, details *string
			at, told, updated                          *time.Time
		)
		if err := rows.Scan(&page.Total, &id, &source, &account, &call, &e.GivenID, &kind, &at, &code, &e.LeadID, &e.UserID,
			&e.Direction, &e.Seconds, &e.Notes, &details, &told, &updated); err != nil {
			rows.Close()
			return EventPage{}, err
		}
		if id == nil {
			continue
		}
		e.ID, e.Type, e.Disposition = *id, *kind, *code
		e.Call = pipeline.CallKey{Dialler: pipeline.Source(*source), Account: *account, ExternalID: *call}
		e.OccurredAt, e.ToldAt = at.UTC(), told.UTC()
		e.UpdatedAt = e.ToldAt
		if updated != nil {
			e.UpdatedAt = updated.UTC()
		}
		if details != nil {
			e.Metadata = json.RawMessage(*details)
		}
		page.Events = append(page.Events, e)
	}
	return page, rows.Err()
}
