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
