-- +goose Up
create table ops.backfills (
  id uuid primary key,
  org_id uuid not null,
  account_id text not null,
  source text not null,
  streams text[] not null check (cardinality(streams) > 0),
  range tstzrange not null check (not isempty(range) and not lower_inf(range) and not upper_inf(range)),
  window_s integer not null check (window_s > 0),
  filters jsonb not null default '{}',
  state text not null default 'planned' check (state in ('planned', 'running', 'paused', 'done', 'failed', 'cancelled')),
  actor text not null,
  windows integer not null,
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  error text
);
create index backfills_recent on ops.backfills (org_id, created_at desc, id desc);
create index backfills_open on ops.backfills (created_at) where state in ('planned', 'running');
comment on table ops.backfills is 'An operator''s order to read streams over a range of time; its windows are walks';
comment on column ops.backfills.id is 'Id';
comment on column ops.backfills.org_id is 'Organisation';
comment on column ops.backfills.account_id is 'Vendor account';
comment on column ops.backfills.source is 'Source, such as ipscape';
comment on column ops.backfills.streams is 'Streams that are read, such as activities';
comment on column ops.backfills.range is 'Half-open range that is read; a snapshot stream is read whole whatever it says';
comment on column ops.backfills.window_s is 'Length of a window in seconds; the last one may be shorter';
comment on column ops.backfills.filters is 'The streams'' own filters; with any, nothing is claimed as covered';
comment on column ops.backfills.state is 'planned (no window was begun), running, paused, done, failed (ended, and a window failed) or cancelled';
comment on column ops.backfills.actor is 'Who ordered it: cli, admin or the prefix of an API key';
comment on column ops.backfills.windows is 'Number of windows, over all streams';
comment on column ops.backfills.created_at is 'When it was ordered';
comment on column ops.backfills.started_at is 'When its first window was begun';
comment on column ops.backfills.finished_at is 'When its last window ended, or when it was cancelled';
comment on column ops.backfills.error is 'How many windows failed, and why the first of them did';

alter table ops.walks
  add column backfill_id uuid references ops.backfills,
  add column tries integer not null default 0,
  add column tried_at timestamptz,
  add column tried_pages integer not null default 0,
  add column retry_at timestamptz,
  add column minute timestamptz,
  add column minute_rows bigint not null default 0,
  add column minute_before bigint not null default 0;
create index walks_backfill on ops.walks (backfill_id, state) where backfill_id is not null;
comment on column ops.walks.backfill_id is 'The backfill that the walk is a window of; null = none';
comment on column ops.walks.tries is 'Failures that count against a backfill''s window; past a bound it has failed';
comment on column ops.walks.tried_at is 'When a backfill''s window last met a problem';
comment on column ops.walks.tried_pages is 'How many pages were committed then';
comment on column ops.walks.retry_at is 'A backfill''s window is not gone on with before this time';
comment on column ops.walks.minute is 'Minute in which a backfill''s window last committed rows';
comment on column ops.walks.minute_rows is 'Rows committed in that minute';
comment on column ops.walks.minute_before is 'Rows committed in the minute before';
comment on column ops.walks.error is 'Why it failed; of a backfill''s open window, its last problem';
