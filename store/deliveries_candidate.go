package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Everything that decides about a delivery, in one statement and so in one snapshot. A lead that was merged away is read as
// the one it became.
const deliveryCandidatesSQL = `
select
  d.id, d.org_id, d.account_id, d.destination, d.operation, d.class, d.lead_id, d.phone as own_phone, d.state as delivery_state,
  d.reason, d.params, d.source_time, d.expires_at, d.not_before, d.hold, d.attempts, d.searches, d.resends, d.created_at,
  d.sending_at, d.settled_at, d.external_id, d.error, d.dedupe, first.sent_at as first_sent_at,
  first.sent_before,
  l.lead_id as found_lead_id, l.first_source_time, l.business_name, l.contact_first_name, l.contact_last_name, l.email, l.phone_e164, l.industry,
  l.monthly_revenue::text as monthly_revenue, l.requested_amount::text as requested_amount, l.source, l.priority, l.timezone,
  l.city, l.state as lead_state, l.postal_code, l.tags, l.custom_fields,
  coalesce(l.phones, '{}') as lead_phones,
  numbers.phones,
  coalesce(l.is_do_not_call, false) as lead_optout,
  exists (
    select 1
    from pipeline.do_not_call n
    where n.org_id = d.org_id and n.phone = any(numbers.phones) and n.lifted_at is null
  ) or exists (
    -- Somebody else may have opted out by name, on a phone that too many leads share to be on the list for it.
    select 1
    from pipeline.lead_keys k
    join pipeline.leads o on o.org_id = k.org_id and o.lead_id = k.lead_id
    where k.org_id = d.org_id and k.kind = 'phone' and k.account_id = '' and k.value = any(numbers.phones)
      and o.is_do_not_call
  ) as phone_optout,
  exists (
    select 1
    from ops.suppressions s
    where s.org_id = d.org_id
      and s.folded_at is null
      and (s.kind = 'phone' and s.value = any(numbers.phones)
        or s.kind in ('lead', 'client_id') and s.value in (d.lead_id::text, l.lead_id::text))
  ) or exists (
    select 1
    from pipeline.lead_keys k
    join ops.suppressions s
      on s.org_id = k.org_id and s.kind = k.kind and s.account_id = k.account_id and s.value = k.value
    where k.org_id = d.org_id
      and k.lead_id in (l.lead_id, d.lead_id)
      and s.folded_at is null
  ) as suppressed,
  exists (
    select 1
    from pipeline.do_not_call n
    where n.org_id = d.org_id and n.phone = d.phone and n.lifted_at is not null
  ) as lifted,
  l.lead_id <> d.lead_id and exists (
    select 1
    from ops.deliveries e
    where e.org_id = d.org_id
      and e.lead_id = l.lead_id
      and e.destination = d.destination
      and e.operation = d.operation
      and e.id <> d.id
      and e.state not in ('rejected', 'expired', 'cancelled')
  ) or d.dedupe not like 'operator %' and exists (
    -- The lead was sent under an id that was merged into it, or into which this one was.
    select 1
    from pipeline.lead_merges o
    join ops.deliveries e
      on e.org_id = o.org_id and e.lead_id = o.lead_id
    where o.org_id = d.org_id
      and o.into_lead_id = l.lead_id
      and o.lead_id <> d.lead_id
      and e.destination = d.destination
      and e.operation = d.operation
      and (e.state in ('sending', 'unknown', 'confirmed')
        or e.class = 'keyed' and e.state = 'ready' and (
          -- It may have arrived, and is repeated until its key tells.
          e.attempts > 0 and exists (
            select 1
            from ops.delivery_attempts a
            where a.delivery_id = e.id
              and a.kind = 'send'
              and coalesce(a.outcome, 'unknown') not in ('not_sent', 'limited', 'denied', 'rejected')
          )
          -- Nothing tells twins apart whose ids both gave way: the elder one goes.
          or d.lead_id <> l.lead_id and (e.created_at, e.id) < (d.created_at, d.id)))
  ) as superseded,
  d.class = 'rings' and exists (
    -- It may have rung in a time of which the database remembers nothing: ordered before, or for a lead that is told again.
    select 1
    from ops.attention t
    where t.kind = 'lost_commits'
      and (d.sending_at is null or d.sending_at < t.since)
      and (d.created_at <= t.since or d.dedupe not like 'operator %' and l.first_source_time <= t.lost_until)
  ) as may_have_rung,
  case when d.dedupe = d.lead_id::text or d.operation = 'update_lead' and d.dedupe like '% after %' then array(
    -- A route ordered it.
    select r.condition
    from ops.routes r
    where r.org_id = d.org_id and r.destination = d.destination and r.removed_at is null
  ) end as routes,
  case when d.sending_at is not null then d.told::text end as own_told,
  was.told, was.known_as, was.arriving,
  busy.in_flight, busy.unknown_at, busy.rung_at,
  greatest(busy.dialled_at, others.called_at, attempts.dialled_at) as dialled_at,
  busy.dials || others.dials || attempts.dials as dials
from ops.deliveries d
left join pipeline.lead_merges m
  on m.org_id = d.org_id and m.lead_id = d.lead_id
left join lateral (
  select l.*
  from pipeline.leads l
  where l.org_id = d.org_id and l.lead_id in (d.lead_id, m.into_lead_id)
  order by l.lead_id = d.lead_id desc
  limit 1
) l on true
cross join lateral (
  select array(
    select distinct p
    from unnest(coalesce(l.phones, '{}') || array[l.phone_e164, d.phone]) p
    where p is not null
  ) as phones
) numbers
cross join lateral (
  -- Everybody who can be reached at one of the numbers.
  select array(
    select k.lead_id
    from pipeline.lead_keys k
    where k.org_id = d.org_id and k.kind = 'phone' and k.account_id = '' and k.value = any(numbers.phones)
    union
    select known.id
    from unnest(array[d.lead_id, l.lead_id]) as known (id)
    where known.id is not null
  ) as ids
) leads
cross join lateral (
  select
    coalesce(bool_or(e.state = 'sending'), false) as in_flight,
    max(e.sending_at) filter (where e.state = 'unknown') as unknown_at,
    max(e.sending_at) filter (where e.state = 'confirmed' and e.destination = d.destination) as rung_at,
    max(e.sending_at) filter (where e.state = 'confirmed' and e.dials) as dialled_at,
    coalesce(array_agg(e.sending_at) filter (where e.dials and e.sending_at > @since), '{}') as dials
  from ops.deliveries e
  where e.org_id = d.org_id
    and (e.phone = any(numbers.phones) or e.lead_id = any(leads.ids))
    and e.class = 'rings'
    and e.sending_at is not null
    and e.state in ('sending', 'unknown', 'confirmed')
    and e.id <> d.id
) busy
cross join lateral (
  -- What other diallers did. Calls that Convolo made for us are among the deliveries, so they are not counted as dials again.
  select max(c.at) as called_at,
    coalesce(array_agg(c.occurred_at) filter (where c.source <> 'convolo' and c.direction is distinct from 'inbound'), '{}') as dials
  from (
    -- A dialler's clock may be ahead: nothing was over later than we heard of it.
    select c.source, c.direction, c.occurred_at, least(greatest(c.occurred_at, c.answered_at, c.ended_at), c.updated_at) as at
    from pipeline.calls c
    where c.org_id = d.org_id and c.lead_id = any(leads.ids) and c.occurred_at > @since
    union all
    select c.source, c.direction, c.occurred_at, least(greatest(c.occurred_at, c.answered_at, c.ended_at), c.updated_at)
    from pipeline.calls c
    where c.org_id = d.org_id and c.lead_id is null and c.to_number = any(numbers.phones) and c.occurred_at > @since
  ) c
) others
cross join lateral (
  -- An attempt that reached an agent is a call too, once it has been folded.
  select max(least(t.dialled_at, t.observed_at)) as dialled_at,
    coalesce(array_agg(t.dialled_at) filter (where t.activity_id is null), '{}') as dials
  from pipeline.lead_keys k
  join ipscape.dial_attempts t
    on t.org_id = k.org_id and t.account_id = k.account_id and t.lead_id = case when k.value ~ '^[0-9]{1,18}$' then k.value::bigint end
  where k.org_id = d.org_id
    and k.lead_id = any(leads.ids)
    and k.kind = 'ipscape_lead'
    and t.dialled_at > @since
) attempts
cross join lateral (
  select
    min(a.started_at) filter (where a.outcome is distinct from 'rejected') as sent_at,
    count(*) > 0 as sent_before
  from ops.delivery_attempts a
  where d.attempts > 0
    and a.delivery_id = d.id
    and a.kind = 'send'
    and coalesce(a.outcome, 'unknown') not in ('not_sent', 'limited', 'denied')
) first
left join lateral (
  -- What an update is compared with: the last word that arrived.
  select
    (array_agg(coalesce(e.told, e.params -> 'lead')::text order by e.created_at desc, e.id desc)
      filter (where e.state = 'confirmed' and coalesce(e.told, e.params -> 'lead') is not null))[1] as told,
    (array_agg(e.external_id order by e.created_at desc, e.id desc) filter (where e.state = 'confirmed' and e.external_id is not null))[1] as known_as,
    bool_or(e.operation = 'insert_lead' and e.state <> 'confirmed') as arriving
  from ops.deliveries e
  where d.operation = 'update_lead'
    and e.org_id = d.org_id
    and e.lead_id = d.lead_id
    and e.account_id = d.account_id
    and e.destination = d.destination
    and e.operation in ('insert_lead', 'update_lead')
    and e.state in ('ready', 'sending', 'unknown', 'confirmed')
    and e.id <> d.id
) was on true
where d.id = any(@ids)
order by d.id`

// deliveryCandidates reads deliveries with all that decides about them at an instant.
func deliveryCandidates(ctx context.Context, q Queryer, ids []uuid.UUID, now time.Time) ([]pipeline.DeliveryCandidate, error) {
	rows, err := q.Query(ctx, deliveryCandidatesSQL, pgx.StrictNamedArgs{
		"ids": ids, "since": micros(now.Add(-pipeline.DialCapSpan)),
	})
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[candidateRow])
	if err != nil {
		return nil, err
	}
	candidates := make([]pipeline.DeliveryCandidate, len(found))
	for i := range found {
		candidates[i] = found[i].candidate()
	}
	return candidates, noteUnrouted(ctx, q, found, candidates)
}

// DeliveryView reads one delivery with its lead as it is now.
func (db *DB) DeliveryView(ctx context.Context, id uuid.UUID) (pipeline.DeliveryCandidate, error) {
	var found []pipeline.DeliveryCandidate
	err := db.onConn(ctx, func(q Queryer) error {
		var err error
		found, err = deliveryCandidates(ctx, q, []uuid.UUID{id}, db.Now())
		return err
	})
	if err != nil {
		return pipeline.DeliveryCandidate{}, fmt.Errorf("reading delivery %s: %w", id, Quiet(err))
	}
	if len(found) == 0 {
		return pipeline.DeliveryCandidate{}, fmt.Errorf("reading delivery %s: %w", id, ErrNotFound)
	}
	return found[0], nil
}
