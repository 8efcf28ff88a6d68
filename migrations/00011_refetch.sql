-- +goose Up
create table ops.refetch (
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  object_id text not null,
  reason text not null check (reason in ('open', 'touched')),
  wanted_at timestamptz not null,
  due_at timestamptz not null,
  queued_at timestamptz not null,
  tries integer not null default 0,
  lease_owner uuid,
  lease_until timestamptz,
  error text,
  primary key (org_id, account_id, source, stream, object_id)
);
create index refetch_due on ops.refetch (org_id, account_id, source, due_at);
create index refetch_leased on ops.refetch (org_id, account_id, source, stream) where lease_until is not null;
comment on table ops.refetch is 'Objects to read again by their ids, each once';
comment on column ops.refetch.org_id is 'Organisation';
comment on column ops.refetch.account_id is 'Vendor account';
comment on column ops.refetch.source is 'Source';
comment on column ops.refetch.stream is 'Stream of the object';
comment on column ops.refetch.object_id is 'The source''s id of the object';
comment on column ops.refetch.reason is 'open = more of it is still to come; touched = something newer names it';
comment on column ops.refetch.wanted_at is 'An observation later than this makes it needless';
comment on column ops.refetch.due_at is 'Not read before this time';
comment on column ops.refetch.queued_at is 'When it was first queued';
comment on column ops.refetch.tries is 'Looks in a row that failed, or found it still open';
comment on column ops.refetch.lease_owner is 'The run at work on it';
comment on column ops.refetch.lease_until is 'When another may take over';
comment on column ops.refetch.error is 'Why the last look failed';

create table ops.lateness (
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  up_to_s integer not null,
  changes bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  primary key (org_id, account_id, source, stream, up_to_s)
);
comment on table ops.lateness is 'How late rows change after they were created: a histogram a stream, measured as changes are stored';
comment on column ops.lateness.org_id is 'Organisation';
comment on column ops.lateness.account_id is 'Vendor account';
comment on column ops.lateness.source is 'Source';
comment on column ops.lateness.stream is 'Stream';
comment on column ops.lateness.up_to_s is 'The changes counted came at most so many seconds after creation, and later than the bucket before says; 2147483647 = any later';
comment on column ops.lateness.changes is 'Changed versions';
comment on column ops.lateness.first_at is 'When the first of them was stored';
comment on column ops.lateness.last_at is 'When the last of them was stored';
