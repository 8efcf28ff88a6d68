package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// TimelineEntry is something that happened to a lead.
type TimelineEntry struct {
	// ID is unique within the lead's timeline.
	ID   uuid.UUID
	At   time.Time
	Kind string
	// Details is a JSON object; what it holds depends on the kind.
	Details json.RawMessage
}

// TimelineQuery asks for what happened to a lead, latest first.
type TimelineQuery struct {
	Lead  uuid.UUID
	After Position
	Limit int
}

// TimelinePage is a page and the exact number of entries, of one snapshot.
type TimelinePage struct {
	Entries []TimelineEntry
	Total   int64
}

// Entries that have no id of their own get one that is made of what they say. A delivery is told of once, by its last
// state; phones are left out.
const timelineSQL = `
with lead as (
  select *
  from pipeline.leads
  where org_id = @org_id
    and lead_id = @lead_id
), entries as (
  select md5('created' || l.lead_id)::uuid as id, l.created_at as at, 'lead_created' as kind,
    jsonb_build_object('source', l.source) as details
  from lead l
  union all
  select md5('stage' || l.lead_id || h.ord)::uuid, (h.step ->> 'at')::timestamptz, 'stage_changed',
    jsonb_build_object('previousStage', h.step ->> 'from', 'newStage', h.step ->> 'to', 'changedBy', coalesce(
      case a.source when 'api' then a.external_id else a.agent_id::text end, h.step -> 'by' ->> 'source'))
  from lead l
  cross join lateral jsonb_array_elements(l.stage_history) with ordinality h (step, ord)
  left join pipeline.agents a
    on a.org_id = l.org_id and a.source = h.step -> 'by' ->> 'source' and a.account_id = h.step -> 'by' ->> 'account_id'
      and a.external_id = h.step -> 'by' ->> 'agent'
  union all
  select md5('do_not_call' || l.lead_id)::uuid, l.dnc_at, 'do_not_call', jsonb_build_object('reason', l.dnc_reason)
  from lead l
  where l.is_do_not_call and l.dnc_at is not null
  union all
  select e.event_id, e.occurred_at, e.event_type, jsonb_strip_nulls(jsonb_build_object(
    'callSource', e.source, 'externalCallId', coalesce(e.external_call_id_given, e.external_call_id),
    'disposition', nullif(e.disposition, ''), 'direction', e.direction, 'durationSeconds', e.duration_s, 'notes', e.notes,
    'userId', case a.source when 'api' then a.external_id else a.agent_id::text end, 'agentName', a.name,
    'campaignName', c.campaign_name))
  from pipeline.call_events e
  left join pipeline.agents a
    on a.org_id = e.org_id and a.source = e.agent_source and a.account_id = e.agent_account_id and a.external_id = e.agent_external_id
  left join pipeline.calls c
    on c.org_id = e.org_id and c.source = e.source and c.account_id = e.account_id and c.external_call_id = e.external_call_id
  where e.org_id = @org_id
    and e.lead_id = @lead_id
  union all
  select d.id, coalesce(d.settled_at, d.sending_at, d.created_at), 'delivery', jsonb_strip_nulls(jsonb_build_object(
    'destination', d.destination, 'operation', d.operation, 'state', d.state, 'reason', d.reason))
  from ops.deliveries d
  where d.org_id = @org_id
    and d.lead_id = @lead_id
), total as (
  select count(*) as n
  from entries
), page as (
  select *
  from entries
  where @after_at::timestamptz is null or (at, id) < (@after_at, @after_id::uuid)
  order by at desc, id desc
  limit @limit
)
select total.n, p.id, p.at, p.kind, p.details::text
from total
left join page p on true
order by p.at desc, p.id desc`

// Timeline returns what happened to a lead, latest first. Of a lead that is not the organisation's there is nothing.
func (db *DB) Timeline(ctx context.Context, org uuid.UUID, query TimelineQuery) (TimelinePage, error) {
	var page TimelinePage
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, timelineSQL, pgx.StrictNamedArgs{
			"org_id": org, "lead_id": query.Lead, "after_at": timeOrNull(query.After.At), "after_id": query.After.ID, "limit": query.Limit,
		})
		if err != nil {
			return err
		}
		var (
			id            *uuid.UUID
			at            *time.Time
			kind, details *string
		)
		_, err = pgx.ForEachRow(rows, []any{&page.Total, &id, &at, &kind, &details}, func() error {
			if id != nil {
				page.Entries = append(page.Entries, TimelineEntry{ID: *id, At: at.UTC(), Kind: *kind, Details: json.RawMessage(*details)})
			}
			return nil
		})
		return err
	})
	if err != nil {
		return TimelinePage{}, fmt.Errorf("reading the timeline of lead %s: %w", query.Lead, err)
	}
	return page, nil
}
