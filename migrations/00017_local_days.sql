-- +goose Up
alter table ops.organisations add timezone text not null default 'UTC';
comment on column ops.organisations.timezone is 'IANA zone of the local days in analytics: TRUNKLINE_TIMEZONE of the daemon that started last';

create view analytics.organisations as
select o.org_id, o.name, o.timezone
from ops.organisations o;
comment on view analytics.organisations is 'The organisations whose data lie here';
comment on column analytics.organisations.org_id is 'Organisation';
comment on column analytics.organisations.name is 'Name';
comment on column analytics.organisations.timezone is 'IANA zone of its local days, as TRUNKLINE_TIMEZONE says';

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
    where d.org_id = l.org_id and d.lead_id = l.lead_id and d.class = 'rings') as first_pushed_at,
  l.first_dialled_at,
  l.first_answered_at,
  extract(epoch from l.first_dialled_at - l.created_at)::bigint as speed_to_lead_s,
  l.last_contacted_at,
  l.attempts,
  l.external_ids,
  l.updated_at,
  (l.created_at at time zone o.timezone)::date as created_local_day
from pipeline.leads l
left join ops.organisations o
  on o.org_id = l.org_id;
comment on column analytics.leads.created_local_day is 'Local day of created_at';

create or replace view analytics.calls as
select
  c.org_id,
  c.source,
  c.external_call_id,
  c.external_call_id_given,
  c.lead_id,
  a.agent_id,
  coalesce(a.name, c.agent_name) as agent_name,
  c.direction,
  c.started_at,
  c.answered_at,
  c.ended_at,
  c.talk_s,
  c.disposition,
  c.disposition_raw,
  c.contacted,
  c.recording_url,
  c.campaign_name,
  c.occurred_at,
  c.updated_at,
  (c.occurred_at at time zone o.timezone)::date as local_day,
  extract(hour from c.occurred_at at time zone o.timezone)::integer as local_hour,
  c.provenance
from pipeline.calls c
left join pipeline.agents a
  on a.org_id = c.org_id and a.source = c.agent_source and a.account_id = c.agent_account_id
  and a.external_id = c.agent_external_id
left join ops.organisations o
  on o.org_id = c.org_id;
comment on column analytics.calls.local_day is 'Local day of occurred_at';
comment on column analytics.calls.local_hour is 'Local hour of occurred_at, 0 to 23';
comment on column analytics.calls.provenance is 'Records that tell of the call, each as source/stream/object';

create or replace view analytics.deliveries as
select d.id, d.org_id, d.destination, d.operation, d.class, d.lead_id, d.state, d.reason, d.attempts,
  d.created_at, d.sending_at, d.settled_at, d.external_id, d.error,
  (d.created_at at time zone o.timezone)::date as created_local_day
from ops.deliveries d
left join ops.organisations o
  on o.org_id = d.org_id;
comment on column analytics.deliveries.created_local_day is 'Local day of created_at';

create or replace view analytics.do_not_call as
select n.org_id, n.phone, n.reason, n.source, n.since,
  (n.since at time zone o.timezone)::date as since_local_day
from pipeline.do_not_call n
left join ops.organisations o
  on o.org_id = n.org_id
where n.lifted_at is null;
comment on column analytics.do_not_call.since_local_day is 'Local day of since';

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
  extract(epoch from d.ready_at - l.created_at)::bigint as ready_s,
  extract(epoch from d.sent_at - l.created_at)::bigint as sent_s,
  extract(epoch from d.accepted_at - l.created_at)::bigint as accepted_s,
  extract(epoch from l.first_dialled_at - l.created_at)::bigint as dialled_s,
  extract(epoch from l.first_answered_at - l.created_at)::bigint as answered_s,
  l.source,
  l.is_do_not_call,
  extract(epoch from coalesce(l.first_dialled_at, now()) - l.created_at)::bigint as waited_s,
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
    and d.lead_id = l.lead_id
    and d.class = 'rings'
) d on true;
comment on view analytics.speed_to_lead is 'How fast each lead was pushed, dialled and answered; seconds count from its creation at its source. A lead that nobody has called yet is a row too: leaving such out makes any average look fast';
comment on column analytics.speed_to_lead.source is 'The lead''s source, as in analytics.leads';
comment on column analytics.speed_to_lead.is_do_not_call is 'True while an opt-out holds: nobody may call the lead';
comment on column analytics.speed_to_lead.waited_s is 'Seconds from created_at to first_dialled_at; of a lead that nobody has called yet, to now';
comment on column analytics.speed_to_lead.created_local_day is 'Local day of created_at';

create view analytics.agent_local_days as
select
  c.org_id,
  a.agent_id,
  a.name as agent_name,
  (c.occurred_at at time zone o.timezone)::date as local_day,
  count(*) as calls,
  count(*) filter (where c.contacted) as contacts,
  coalesce(sum(c.talk_s), 0) as talk_s,
  count(c.disposition) as dispositions
from pipeline.calls c
join pipeline.agents a
  on a.org_id = c.org_id and a.source = c.agent_source and a.account_id = c.agent_account_id
  and a.external_id = c.agent_external_id
join ops.organisations o
  on o.org_id = c.org_id
group by c.org_id, a.agent_id, a.name, (c.occurred_at at time zone o.timezone)::date;
comment on view analytics.agent_local_days is 'What each agent did on each local day: analytics.agent_days by the organisation''s own clock';
comment on column analytics.agent_local_days.org_id is 'Organisation';
comment on column analytics.agent_local_days.agent_id is 'Agent';
comment on column analytics.agent_local_days.agent_name is 'Agent''s name';
comment on column analytics.agent_local_days.local_day is 'Local day of the call''s start';
comment on column analytics.agent_local_days.calls is 'Calls';
comment on column analytics.agent_local_days.contacts is 'Calls in which somebody spoke with the lead';
comment on column analytics.agent_local_days.talk_s is 'Seconds of talk';
comment on column analytics.agent_local_days.dispositions is 'Calls with a disposition';

create view analytics.dispositions_local_daily as
select c.org_id, (c.occurred_at at time zone o.timezone)::date as local_day, c.source, c.disposition, count(*) as calls
from pipeline.calls c
join ops.organisations o
  on o.org_id = c.org_id
where c.disposition is not null
group by c.org_id, (c.occurred_at at time zone o.timezone)::date, c.source, c.disposition;
comment on view analytics.dispositions_local_daily is 'Calls per local day, dialler and disposition';
comment on column analytics.dispositions_local_daily.org_id is 'Organisation';
comment on column analytics.dispositions_local_daily.local_day is 'Local day of the call''s start';
comment on column analytics.dispositions_local_daily.source is 'The dialler';
comment on column analytics.dispositions_local_daily.disposition is 'Outcome by the disposition rules';
comment on column analytics.dispositions_local_daily.calls is 'Calls';
