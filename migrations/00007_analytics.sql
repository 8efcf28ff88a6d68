-- +goose Up
create view analytics.leads as
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
  l.updated_at
from pipeline.leads l;
comment on view analytics.leads is 'Leads, one row each';
comment on column analytics.leads.org_id is 'Organisation';
comment on column analytics.leads.lead_id is 'The API''s id of the lead';
comment on column analytics.leads.business_name is 'Business name';
comment on column analytics.leads.contact_name is 'Contact''s first and last name';
comment on column analytics.leads.email is 'E-mail';
comment on column analytics.leads.phone is 'Phone in E.164 where valid, else as given';
comment on column analytics.leads.source is 'manual, csv_import, api, web_form, referral or dialer';
comment on column analytics.leads.priority is 'low, normal, high or urgent';
comment on column analytics.leads.stage_key is 'Stage';
comment on column analytics.leads.is_do_not_call is 'True while an opt-out holds';
comment on column analytics.leads.created_at is 'When the lead came to be at its first source (UTC)';
comment on column analytics.leads.first_pushed_at is 'First ringing delivery sent (UTC)';
comment on column analytics.leads.first_dialled_at is 'First outbound call (UTC)';
comment on column analytics.leads.first_answered_at is 'First answered call (UTC)';
comment on column analytics.leads.speed_to_lead_s is 'Seconds from created_at to first_dialled_at';
comment on column analytics.leads.last_contacted_at is 'Last time somebody spoke with the lead (UTC)';
comment on column analytics.leads.attempts is 'Outbound calls so far';
comment on column analytics.leads.external_ids is 'The lead''s ids at the vendors';
comment on column analytics.leads.updated_at is 'When the lead last changed here (UTC)';

create view analytics.calls as
select
  c.org_id,
  c.source,
  c.external_call_id,
  null::text as external_call_id_given,
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
  c.updated_at
from pipeline.calls c
left join pipeline.agents a
  on a.org_id = c.org_id and a.source = c.source and a.account_id = c.account_id
  and a.external_id = c.agent_external_id;
comment on view analytics.calls is 'Calls, one row per dialler and external id';
comment on column analytics.calls.org_id is 'Organisation';
comment on column analytics.calls.source is 'The dialler';
comment on column analytics.calls.external_call_id is 'The dialler''s id of the call';
comment on column analytics.calls.external_call_id_given is 'The id as an API event gave it, such as convoso-call-7; null = no such event came';
comment on column analytics.calls.lead_id is 'Lead';
comment on column analytics.calls.agent_id is 'Agent';
comment on column analytics.calls.agent_name is 'Agent''s name';
comment on column analytics.calls.direction is 'inbound or outbound';
comment on column analytics.calls.started_at is 'Start (UTC)';
comment on column analytics.calls.answered_at is 'Answer (UTC)';
comment on column analytics.calls.ended_at is 'End (UTC)';
comment on column analytics.calls.talk_s is 'Seconds of talk';
comment on column analytics.calls.disposition is 'Outcome by the disposition rules';
comment on column analytics.calls.disposition_raw is 'The dialler''s own code';
comment on column analytics.calls.contacted is 'True when somebody spoke with the lead';
comment on column analytics.calls.recording_url is 'Recording';
comment on column analytics.calls.campaign_name is 'Campaign';
comment on column analytics.calls.occurred_at is 'Start, else the earliest time known of the call (UTC)';
comment on column analytics.calls.updated_at is 'When the call last changed here (UTC)';

create view analytics.deliveries as
select d.id, d.org_id, d.destination, d.operation, d.class, d.lead_id, d.state, d.reason, d.attempts,
  d.created_at, d.sending_at, d.settled_at, d.external_id, d.error
from ops.deliveries d;
comment on view analytics.deliveries is 'What we sent, or mean to send, to destinations';
comment on column analytics.deliveries.id is 'Id of the delivery';
comment on column analytics.deliveries.org_id is 'Organisation';
comment on column analytics.deliveries.destination is 'dialedin, convolo or lendworks';
comment on column analytics.deliveries.operation is 'insert_lead, start_call, dnc_add, …';
comment on column analytics.deliveries.class is 'rings, repeatable or keyed';
comment on column analytics.deliveries.lead_id is 'Lead it is about';
comment on column analytics.deliveries.state is 'ready, sending, confirmed, rejected, unknown, expired or cancelled';
comment on column analytics.deliveries.reason is 'Why it is in that state';
comment on column analytics.deliveries.attempts is 'Requests sent';
comment on column analytics.deliveries.created_at is 'When it was ordered (UTC)';
comment on column analytics.deliveries.sending_at is 'When it was last sent (UTC)';
comment on column analytics.deliveries.settled_at is 'When it reached a final state (UTC)';
comment on column analytics.deliveries.external_id is 'The destination''s own id';
comment on column analytics.deliveries.error is 'Last error';

create view analytics.do_not_call as
select n.org_id, n.phone, n.reason, n.source, n.since
from pipeline.do_not_call n
where n.lifted_at is null;
comment on view analytics.do_not_call is 'Phones that must not be called';
comment on column analytics.do_not_call.org_id is 'Organisation';
comment on column analytics.do_not_call.phone is 'Phone in E.164';
comment on column analytics.do_not_call.reason is 'Raw code or words of the opt-out';
comment on column analytics.do_not_call.source is 'Who told us';
comment on column analytics.do_not_call.since is 'When the opt-out was told (UTC)';

create view analytics.agent_days as
select
  c.org_id,
  a.agent_id,
  a.name as agent_name,
  (c.occurred_at at time zone 'UTC')::date as day,
  count(*) as calls,
  count(*) filter (where c.contacted) as contacts,
  coalesce(sum(c.talk_s), 0) as talk_s,
  count(c.disposition) as dispositions
from pipeline.calls c
join pipeline.agents a
  on a.org_id = c.org_id and a.source = c.source and a.account_id = c.account_id
  and a.external_id = c.agent_external_id
group by c.org_id, a.agent_id, a.name, (c.occurred_at at time zone 'UTC')::date;
comment on view analytics.agent_days is 'What each agent did on each UTC day';
comment on column analytics.agent_days.org_id is 'Organisation';
comment on column analytics.agent_days.agent_id is 'Agent';
comment on column analytics.agent_days.agent_name is 'Agent''s name';
comment on column analytics.agent_days.day is 'UTC day of the call''s start';
comment on column analytics.agent_days.calls is 'Calls';
comment on column analytics.agent_days.contacts is 'Calls in which somebody spoke with the lead';
comment on column analytics.agent_days.talk_s is 'Seconds of talk';
comment on column analytics.agent_days.dispositions is 'Calls with a disposition';

create view analytics.dispositions_daily as
select c.org_id, (c.occurred_at at time zone 'UTC')::date as day, c.source, c.disposition, count(*) as calls
from pipeline.calls c
where c.disposition is not null
group by c.org_id, (c.occurred_at at time zone 'UTC')::date, c.source, c.disposition;
comment on view analytics.dispositions_daily is 'Calls per UTC day, dialler and disposition';
comment on column analytics.dispositions_daily.org_id is 'Organisation';
comment on column analytics.dispositions_daily.day is 'UTC day of the call''s start';
comment on column analytics.dispositions_daily.source is 'The dialler';
comment on column analytics.dispositions_daily.disposition is 'Outcome by the disposition rules';
comment on column analytics.dispositions_daily.calls is 'Calls';

create view analytics.freshness as
select
  s.org_id,
  s.account_id,
  s.source,
  s.stream,
  c.covered_through,
  extract(epoch from now() - coalesce(c.covered_through, case when s.capability = 'snapshot' then s.last_success_at end))::bigint as lag_s,
  coalesce(c.holes, 0) as holes,
  s.last_success_at,
  s.last_error
from ops.streams s
cross join lateral (
  select
    (select upper(r.r) from unnest(s.covered) as r (r) where r.r @> s.origin) as covered_through,
    (select greatest(count(*) - 1, 0)::integer from unnest(s.covered * tstzmultirange(tstzrange(s.origin, null))) as g (g)) as holes
) c;
comment on view analytics.freshness is 'How far each stream is synced';
comment on column analytics.freshness.org_id is 'Organisation';
comment on column analytics.freshness.account_id is 'Vendor account';
comment on column analytics.freshness.source is 'Source';
comment on column analytics.freshness.stream is 'Stream, short name';
comment on column analytics.freshness.covered_through is 'End of the coverage that reaches back to its start without a gap (UTC)';
comment on column analytics.freshness.lag_s is 'Seconds between that and now';
comment on column analytics.freshness.holes is 'Gaps in the coverage';
comment on column analytics.freshness.last_success_at is 'When a walk last ended well (UTC)';
comment on column analytics.freshness.last_error is 'Why the last walk failed; null = it did not';

create view analytics.lead_field_sources as
select l.org_id, l.lead_id, f.key as field, f.value ->> 'value' as value, f.value ->> 'source' as source,
  (f.value ->> 'source_time')::timestamptz as source_time
from pipeline.leads l
cross join lateral jsonb_each(l.field_sources) as f (key, value);
comment on view analytics.lead_field_sources is 'Whose value each field of a lead holds';
comment on column analytics.lead_field_sources.org_id is 'Organisation';
comment on column analytics.lead_field_sources.lead_id is 'Lead';
comment on column analytics.lead_field_sources.field is 'Field';
comment on column analytics.lead_field_sources.value is 'Value';
comment on column analytics.lead_field_sources.source is 'Source whose value won';
comment on column analytics.lead_field_sources.source_time is 'Time of that value (UTC)';

create view analytics.match_links as
select k.org_id, k.lead_id, k.kind, k.value, k.rule, k.evidence, k.linked_at
from pipeline.lead_keys k;
comment on view analytics.match_links is 'Why each key points at its lead';
comment on column analytics.match_links.org_id is 'Organisation';
comment on column analytics.match_links.lead_id is 'Lead';
comment on column analytics.match_links.kind is 'Kind of key';
comment on column analytics.match_links.value is 'Value of the key';
comment on column analytics.match_links.rule is 'Rule that made the link';
comment on column analytics.match_links.evidence is 'Record that told it';
comment on column analytics.match_links.linked_at is 'When the link was made (UTC)';
