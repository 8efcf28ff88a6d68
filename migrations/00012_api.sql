-- +goose Up
alter table pipeline.leads add advisor_id text;
alter table pipeline.leads add stage_history jsonb not null default '[]';
comment on column pipeline.leads.advisor_id is 'Primary advisor: a user''s id in the API';
comment on column pipeline.leads.stage_history is 'Steps from stage to stage that led to the present one, by time: from, to, at';
create index leads_stage on pipeline.leads (org_id, stage_key, created_at desc, lead_id desc);
create index leads_priority on pipeline.leads (org_id, priority, created_at desc, lead_id desc);
create index leads_source on pipeline.leads (org_id, source, created_at desc, lead_id desc);
create index leads_do_not_call on pipeline.leads (org_id, created_at desc, lead_id desc) where is_do_not_call;
create index leads_updated on pipeline.leads (org_id, updated_at);
create index leads_phone_given on pipeline.leads (org_id, phone) where phone is not null;
create index lead_keys_value on pipeline.lead_keys (org_id, value);

alter table pipeline.calls add agent_source text;
alter table pipeline.calls add agent_account_id text;
alter table pipeline.calls add external_call_id_given text;
comment on column pipeline.calls.agent_source is 'Who names the agent: the dialler, or api where a client of ours did';
comment on column pipeline.calls.agent_account_id is 'Vendor account within which the agent''s id is unique';
comment on column pipeline.calls.external_call_id_given is 'The id as a client of the API gave it, such as convoso-call-7; null = no such event came';
update pipeline.calls
set agent_source = source, agent_account_id = account_id
where agent_external_id is not null;
drop index pipeline.calls_agent;
create index calls_agent on pipeline.calls (org_id, agent_source, agent_account_id, agent_external_id, occurred_at desc)
  where agent_external_id is not null;

alter table pipeline.call_events add event_id uuid;
alter table pipeline.call_events add external_call_id_given text;
alter table pipeline.call_events add agent_source text;
alter table pipeline.call_events add agent_account_id text;
alter table pipeline.call_events add agent_external_id text;
alter table pipeline.call_events add direction text;
alter table pipeline.call_events add duration_s integer;
alter table pipeline.call_events add notes text;
alter table pipeline.call_events add metadata jsonb;
alter table pipeline.call_events add told_at timestamptz;
update pipeline.call_events e
set event_id = gen_random_uuid(), told_at = c.updated_at, agent_source = c.agent_source,
    agent_account_id = c.agent_account_id, agent_external_id = c.agent_external_id, direction = c.direction
from pipeline.calls c
where c.org_id = e.org_id and c.source = e.source and c.account_id = e.account_id and c.external_call_id = e.external_call_id;
update pipeline.call_events set event_id = gen_random_uuid(), told_at = occurred_at where event_id is null;
alter table pipeline.call_events alter event_id set not null;
alter table pipeline.call_events alter told_at set not null;
create index call_events_time on pipeline.call_events (org_id, occurred_at desc, event_id desc);
create index call_events_agent on pipeline.call_events (org_id, agent_source, agent_account_id, agent_external_id, occurred_at desc, event_id desc)
  where agent_external_id is not null;
create index call_events_type on pipeline.call_events (org_id, event_type, occurred_at desc, event_id desc);
comment on column pipeline.call_events.event_id is 'The API''s id of the step, without evt_; made of what identifies it';
comment on column pipeline.call_events.external_call_id_given is 'The call''s id as a client of the API gave it, where that is another text';
comment on column pipeline.call_events.agent_source is 'Who names the agent';
comment on column pipeline.call_events.agent_account_id is 'Vendor account within which the agent''s id is unique';
comment on column pipeline.call_events.agent_external_id is 'Id of the agent of this step: its own where one was told, else the call''s';
comment on column pipeline.call_events.direction is 'inbound or outbound';
comment on column pipeline.call_events.duration_s is 'Seconds, as told with the step';
comment on column pipeline.call_events.notes is 'Notes told with the step';
comment on column pipeline.call_events.metadata is 'What a client of the API added';
comment on column pipeline.call_events.told_at is 'When the step was first told (UTC)';

alter table pipeline.presence add current_call_source text;
alter table pipeline.presence add current_call_account_id text;
alter table pipeline.presence add current_call_given text;
comment on column pipeline.presence.current_call_source is 'The dialler of the call in progress';
comment on column pipeline.presence.current_call_account_id is 'The dialler''s account';
comment on column pipeline.presence.current_call_given is 'Id of the call as the client gave it';

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
  c.updated_at
from pipeline.calls c
left join pipeline.agents a
  on a.org_id = c.org_id and a.source = c.agent_source and a.account_id = c.agent_account_id
  and a.external_id = c.agent_external_id;

create or replace view analytics.agent_days as
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
  on a.org_id = c.org_id and a.source = c.agent_source and a.account_id = c.agent_account_id
  and a.external_id = c.agent_external_id
group by c.org_id, a.agent_id, a.name, (c.occurred_at at time zone 'UTC')::date;

create table ops.idempotency (
  org_id uuid not null,
  key text not null,
  request_hash bytea not null,
  status integer not null,
  body bytea not null,
  used_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (org_id, key)
);
create index idempotency_expires on ops.idempotency (expires_at);
comment on table ops.idempotency is 'Answers to requests with an Idempotency-Key, committed with what the request did; repeated for 24 hours';
comment on column ops.idempotency.org_id is 'Organisation';
comment on column ops.idempotency.key is 'The key';
comment on column ops.idempotency.request_hash is 'SHA-256 of method, path and body: another request with the key is refused';
comment on column ops.idempotency.status is 'Status of the answer';
comment on column ops.idempotency.body is 'The answer';
comment on column ops.idempotency.used_at is 'When the key was first used (UTC)';
comment on column ops.idempotency.expires_at is 'When it is forgotten (UTC)';

create table ops.rate_windows (
  key_id uuid primary key,
  leases jsonb not null default '{}',
  updated_at timestamptz not null
);
comment on table ops.rate_windows is 'Requests of each API key in the last minute, as the daemons leased them';
comment on column ops.rate_windows.key_id is 'The key';
comment on column ops.rate_windows.leases is 'Requests by the second (Unix) until which they were leased';
comment on column ops.rate_windows.updated_at is 'Last lease, by the database''s clock';
