-- +goose Up
alter table ops.deliveries add column dials boolean not null default false;
comment on column ops.deliveries.dials is 'True once a request was sent that makes a phone ring by itself, not only imports';

-- Calls of nobody known are found by the number that was rung; those of a lead by the lead.
create index calls_unlinked on pipeline.calls (org_id, to_number, occurred_at) where lead_id is null and to_number is not null;

create table ops.heartbeat (
  one boolean primary key default true check (one),
  database_id uuid not null,
  beat bigint not null,
  beat_at timestamptz not null
);
comment on table ops.heartbeat is 'Counts on while a daemon runs. Daemons keep the newest count outside too: a database that is behind it has lost commits';
comment on column ops.heartbeat.one is 'There is one row';
comment on column ops.heartbeat.database_id is 'Tells this database from others; a restored copy has its original''s';
comment on column ops.heartbeat.beat is 'The count';
comment on column ops.heartbeat.beat_at is 'When it was last raised (UTC)';

create table ops.attention (
  attention_id uuid primary key,
  kind text not null,
  detail text not null,
  lost_from timestamptz,
  lost_until timestamptz,
  since timestamptz not null,
  cleared_at timestamptz
);
comment on table ops.attention is 'What a person has to look at: trunkline status shows it until it is cleared';
comment on column ops.attention.attention_id is 'Id';
comment on column ops.attention.kind is 'lost_commits';
comment on column ops.attention.detail is 'What happened and what was done about it';
comment on column ops.attention.lost_from is 'Of lost commits: the last instant that the database is known to hold (UTC)';
comment on column ops.attention.lost_until is 'Of lost commits: the last instant that a daemon saw committed (UTC)';
comment on column ops.attention.since is 'When it was noticed (UTC)';
comment on column ops.attention.cleared_at is 'When a person said that it has been dealt with; null = open';

create view analytics.speed_to_lead as
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
  extract(epoch from l.first_answered_at - l.created_at)::bigint as answered_s
from pipeline.leads l
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
comment on view analytics.speed_to_lead is 'How fast each lead was pushed, dialled and answered; seconds count from its creation at its source';
comment on column analytics.speed_to_lead.org_id is 'Organisation';
comment on column analytics.speed_to_lead.lead_id is 'The API''s id of the lead';
comment on column analytics.speed_to_lead.created_at is 'When the lead came to be at its first source (UTC)';
comment on column analytics.speed_to_lead.ready_at is 'When its first ringing delivery was ordered (UTC)';
comment on column analytics.speed_to_lead.sent_at is 'When the first request for it left (UTC)';
comment on column analytics.speed_to_lead.accepted_at is 'When a destination first confirmed one (UTC)';
comment on column analytics.speed_to_lead.first_dialled_at is 'First outbound call (UTC)';
comment on column analytics.speed_to_lead.first_answered_at is 'First answered call (UTC)';
comment on column analytics.speed_to_lead.ready_s is 'Seconds from created_at to ready_at';
comment on column analytics.speed_to_lead.sent_s is 'Seconds from created_at to sent_at';
comment on column analytics.speed_to_lead.accepted_s is 'Seconds from created_at to accepted_at';
comment on column analytics.speed_to_lead.dialled_s is 'Seconds from created_at to first_dialled_at';
comment on column analytics.speed_to_lead.answered_s is 'Seconds from created_at to first_answered_at';
