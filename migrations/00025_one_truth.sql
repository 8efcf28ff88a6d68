-- +goose Up
-- A clock that is ahead of ours: with the furthest time that it told of an object, and the first look at that, what the object's
-- present version is worth follows from all looks at it alone, in whatever order they arrived (law 3).
alter table ops.records add column ahead_time timestamptz, add column ahead_seen_at timestamptz;
comment on column ops.records.source_time is 'The source''s own time of this version, as it told it: one that lay ahead of our clock counts as of ahead_seen_at, or observed_at; null = none told';
comment on column ops.records.ahead_time is 'The latest source time of any version that lay ahead of our clock when it was told; null = none did';
comment on column ops.records.ahead_seen_at is 'The first observation that told ahead_time: as of which a version with that source time counts';

-- One agent at several diallers is one person for analysts: told by e-mail, else by full name (store/agent_people.go).
alter table pipeline.agents add column person_id uuid, add column person_name text;
comment on table pipeline.agents is 'Agents, as the diallers name them, and which of them are one person';
comment on column pipeline.agents.agent_id is 'Our id; the API''s userId';
comment on column pipeline.agents.person_id is 'The agent_id that stands for the person: that of our API''s user, else the first; null = not matched yet, the agent stands for itself';
comment on column pipeline.agents.person_name is 'The name that stands for the person';

create or replace view analytics.calls as
select
  c.org_id,
  c.source,
  c.external_call_id,
  c.external_call_id_given,
  c.lead_id,
  coalesce(a.person_id, a.agent_id) as agent_id,
  coalesce(a.person_name, a.name, c.agent_name) as agent_name,
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
comment on column analytics.calls.agent_id is 'Agent: one id for a person, whichever dialler the call was made with';
comment on column analytics.calls.agent_name is 'Agent''s name, one for a person';

create or replace view analytics.agent_days as
select
  c.org_id,
  coalesce(a.person_id, a.agent_id) as agent_id,
  coalesce(a.person_name, a.name) as agent_name,
  (c.occurred_at at time zone 'UTC')::date as day,
  count(*) as calls,
  count(*) filter (where c.contacted) as contacts,
  coalesce(sum(c.talk_s), 0) as talk_s,
  count(c.disposition) as dispositions
from pipeline.calls c
join pipeline.agents a
  on a.org_id = c.org_id and a.source = c.agent_source and a.account_id = c.agent_account_id
  and a.external_id = c.agent_external_id
group by c.org_id, coalesce(a.person_id, a.agent_id), coalesce(a.person_name, a.name), (c.occurred_at at time zone 'UTC')::date;
comment on view analytics.agent_days is 'What each agent did on each UTC day, at all diallers together';

create or replace view analytics.agent_local_days as
select
  c.org_id,
  coalesce(a.person_id, a.agent_id) as agent_id,
  coalesce(a.person_name, a.name) as agent_name,
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
group by c.org_id, coalesce(a.person_id, a.agent_id), coalesce(a.person_name, a.name), (c.occurred_at at time zone o.timezone)::date;
comment on view analytics.agent_local_days is 'What each agent did on each local day, at all diallers together: analytics.agent_days by the organisation''s own clock';
