-- +goose Up
create table ops.streams (
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  capability text not null check (capability in ('created', 'snapshot')),
  covered tstzmultirange not null default '{}',
  origin timestamptz,
  last_success_at timestamptz,
  last_error text,
  last_error_at timestamptz,
  failures integer not null default 0,
  retry_at timestamptz,
  primary key (org_id, account_id, source, stream)
);
comment on table ops.streams is 'One list of a source: which time it has fully read, and how it fares';
comment on column ops.streams.org_id is 'Organisation';
comment on column ops.streams.account_id is 'Vendor account';
comment on column ops.streams.source is 'Source, such as ipscape';
comment on column ops.streams.stream is 'Stream, such as activities';
comment on column ops.streams.capability is 'created = can be filtered by creation time; snapshot = only read whole';
comment on column ops.streams.covered is 'Time that has been fully read, half-open ranges; a gap above origin is a hole';
comment on column ops.streams.origin is 'Lower end of the first live window; what lies below is no hole';
comment on column ops.streams.last_success_at is 'When a walk last ended without error';
comment on column ops.streams.last_error is 'Why the last failed walk failed; null after a success';
comment on column ops.streams.last_error_at is 'When that was';
comment on column ops.streams.failures is 'Failed walks in a row';
comment on column ops.streams.retry_at is 'Not tried before this time';

create table ops.walks (
  id uuid primary key,
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  kind text not null check (kind in ('live', 'lookback', 'rescan', 'sweep', 'backfill', 'hole')),
  lane text not null check (lane in ('live', 'reread', 'backfill')),
  time_window tstzrange,
  filters jsonb not null default '{}',
  state text not null default 'ready' check (state in ('ready', 'running', 'done', 'failed', 'cancelled')),
  cursor text not null default '',
  pages integer not null default 0,
  rows bigint not null default 0,
  changed bigint not null default 0,
  quarantined bigint not null default 0,
  restarts integer not null default 0,
  lease_owner uuid,
  lease_until timestamptz,
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  error text
);
create unique index walks_one_live on ops.walks (org_id, account_id, source, stream)
  where kind = 'live' and state in ('ready', 'running');
create index walks_open on ops.walks (source, stream, created_at) where state in ('ready', 'running');
create index walks_recent on ops.walks (org_id, account_id, source, stream, created_at desc);
comment on table ops.walks is 'One read of a stream over a time window or a whole snapshot, page by page';
comment on column ops.walks.id is 'Id';
comment on column ops.walks.org_id is 'Organisation';
comment on column ops.walks.account_id is 'Vendor account';
comment on column ops.walks.source is 'Source';
comment on column ops.walks.stream is 'Stream';
comment on column ops.walks.kind is 'live, lookback, rescan, sweep, backfill or hole';
comment on column ops.walks.lane is 'Priority class of its requests: live, reread or backfill';
comment on column ops.walks.time_window is 'Half-open window; null = a whole snapshot';
comment on column ops.walks.filters is 'The stream''s own filters';
comment on column ops.walks.state is 'ready, running, done, failed or cancelled';
comment on column ops.walks.cursor is 'The vendor''s cursor of the next page to ask for; empty = the first';
comment on column ops.walks.pages is 'Pages whose rows are committed';
comment on column ops.walks.rows is 'Rows committed, border and unchanged ones included';
comment on column ops.walks.changed is 'Rows that were new or different';
comment on column ops.walks.quarantined is 'Items put into quarantine';
comment on column ops.walks.restarts is 'How often the window began again after a refused cursor';
comment on column ops.walks.lease_owner is 'The daemon at work on it';
comment on column ops.walks.lease_until is 'When another daemon may take over';
comment on column ops.walks.created_at is 'When it was ordered';
comment on column ops.walks.started_at is 'When its first request was sent';
comment on column ops.walks.finished_at is 'When it ended';
comment on column ops.walks.error is 'Why it failed';

create table ops.schedules (
  name text primary key,
  spec text not null,
  zone text not null,
  last_slot timestamptz,
  next_slot timestamptz not null,
  updated_at timestamptz not null
);
comment on table ops.schedules is 'Due times of recurring work; one job per due slot, whoever leads';
comment on column ops.schedules.name is 'Name of the schedule';
comment on column ops.schedules.spec is 'Cron expression or @every';
comment on column ops.schedules.zone is 'IANA zone the expression is read in';
comment on column ops.schedules.last_slot is 'The last slot that got its job';
comment on column ops.schedules.next_slot is 'The next slot';
comment on column ops.schedules.updated_at is 'Last change of this row';

create table ops.budgets (
  org_id uuid not null,
  account_id text not null,
  source text not null,
  tokens double precision not null default 0,
  refilled_at timestamptz not null,
  paused_until timestamptz,
  denied_at timestamptz,
  probe_at timestamptz,
  credential_hash bytea,
  waiting_live timestamptz,
  waiting_reread timestamptz,
  primary key (org_id, account_id, source)
);
comment on table ops.budgets is 'Request budget of one vendor account, shared by all daemons (law 10)';
comment on column ops.budgets.org_id is 'Organisation';
comment on column ops.budgets.account_id is 'Vendor account';
comment on column ops.budgets.source is 'Vendor';
comment on column ops.budgets.tokens is 'Requests that may start now';
comment on column ops.budgets.refilled_at is 'When tokens were last reckoned';
comment on column ops.budgets.paused_until is 'The vendor asked us to wait until then';
comment on column ops.budgets.denied_at is 'When the vendor refused our credentials; null = accepted';
comment on column ops.budgets.probe_at is 'When one request may test the credentials again';
comment on column ops.budgets.credential_hash is 'Hash of the credential that was refused; another one clears the mark';
comment on column ops.budgets.waiting_live is 'Last time that a live request had to wait';
comment on column ops.budgets.waiting_reread is 'Last time that a re-read had to wait';

create table ops.daemons (
  daemon_id uuid primary key,
  host text not null,
  version text not null,
  started_at timestamptz not null,
  seen_at timestamptz not null
);
comment on table ops.daemons is 'Daemons at work on this database';
comment on column ops.daemons.daemon_id is 'Id of the process';
comment on column ops.daemons.host is 'Host name';
comment on column ops.daemons.version is 'Version of the binary';
comment on column ops.daemons.started_at is 'When it started';
comment on column ops.daemons.seen_at is 'Last heartbeat';
