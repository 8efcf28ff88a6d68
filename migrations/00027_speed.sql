-- +goose Up
-- A lead that was merged is known to destinations by the id it was pushed under. A dial before the lead came to be, as where a
-- source told of it late, answers no lead: it has no seconds, and does not make averages look fast. A minute is left to clocks
-- that disagree.
create or replace view analytics.leads as
select
  l.org_id,
  l.lead_id,
  l.business_name,
  nullif(btrim(concat_ws(' ', l.contact_first_name, l.contact_last_name)), '') as contact_name,
  l.email,
  coalesce(l.phone_e164, l.phone) as phone,
  l.source,
  l.priority,
  l.stage_key,
  l.is_do_not_call,
  l.created_at,
  (select min(d.sending_at)
     from ops.deliveries d
    where d.org_id = l.org_id
      and d.lead_id = any(array[l.lead_id] || array(
        select m.lead_id
        from pipeline.lead_merges m
        where m.org_id = l.org_id and m.into_lead_id = l.lead_id))
      and d.class = 'rings') as first_pushed_at,
  l.first_dialled_at,
  l.first_answered_at,
  case when l.first_dialled_at > l.created_at - interval '1 minute'
    then greatest(0, extract(epoch from l.first_dialled_at - l.created_at))::bigint end as speed_to_lead_s,
  l.last_contacted_at,
  l.attempts,
  l.external_ids,
  l.updated_at,
  (l.created_at at time zone o.timezone)::date as created_local_day
from pipeline.leads l
left join ops.organisations o
  on o.org_id = l.org_id;
comment on column analytics.leads.speed_to_lead_s is 'Seconds from created_at to first_dialled_at; null where it was dialled before it came to be';

create or replace view analytics.speed_to_lead as
select
  l.org_id,
  l.lead_id,
  l.created_at,
  d.ready_at,
  d.sent_at,
  d.accepted_at,
  l.first_dialled_at,
  l.first_answered_at,
  case when d.ready_at > l.created_at - interval '1 minute'
    then greatest(0, extract(epoch from d.ready_at - l.created_at))::bigint end as ready_s,
  case when d.sent_at > l.created_at - interval '1 minute'
    then greatest(0, extract(epoch from d.sent_at - l.created_at))::bigint end as sent_s,
  case when d.accepted_at > l.created_at - interval '1 minute'
    then greatest(0, extract(epoch from d.accepted_at - l.created_at))::bigint end as accepted_s,
  case when l.first_dialled_at > l.created_at - interval '1 minute'
    then greatest(0, extract(epoch from l.first_dialled_at - l.created_at))::bigint end as dialled_s,
  case when l.first_answered_at > l.created_at - interval '1 minute'
    then greatest(0, extract(epoch from l.first_answered_at - l.created_at))::bigint end as answered_s,
  l.source,
  l.is_do_not_call,
  greatest(0, extract(epoch from coalesce(l.first_dialled_at, now()) - l.created_at))::bigint as waited_s,
  (l.created_at at time zone o.timezone)::date as created_local_day
from pipeline.leads l
left join ops.organisations o
  on o.org_id = l.org_id
left join lateral (
  select
    min(d.created_at) as ready_at,
    min(coalesce(a.started_at, d.sending_at)) as sent_at,
    min(d.settled_at) filter (where d.state = 'confirmed') as accepted_at
  from ops.deliveries d
  left join ops.delivery_attempts a
    on a.delivery_id = d.id and a.attempt = 1
  where d.org_id = l.org_id
    and d.lead_id = any(array[l.lead_id] || array(
      select m.lead_id
      from pipeline.lead_merges m
      where m.org_id = l.org_id and m.into_lead_id = l.lead_id))
    and d.class = 'rings'
) d on true;
comment on view analytics.speed_to_lead is 'How fast each lead was pushed, dialled and answered; seconds count from its creation at its source, and are null for a step that came before it. A lead that nobody has called yet is a row too: leaving such out makes any average look fast';
comment on column analytics.speed_to_lead.waited_s is 'Seconds from created_at to first_dialled_at; of a lead that nobody has called yet, to now; 0 where it was dialled before it came to be';
