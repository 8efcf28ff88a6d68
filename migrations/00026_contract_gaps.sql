-- +goose Up
comment on column pipeline.leads.stage_history is 'Steps from stage to stage that led to the present one, by time: from, to, at, and by where somebody chose it: source, and account_id and agent of a disposition''s agent';

create table ipscape.bulk_creates (
  org_id uuid not null,
  account_id text not null,
  bulk_id uuid not null,
  uuid text,
  status text,
  state text not null check (state in ('sending', 'taken', 'unknown', 'refused')),
  list_ids bigint[] not null,
  leads integer not null,
  fingerprint bytea not null,
  asked_at timestamptz not null,
  settled_at timestamptz,
  found integer,
  twice integer,
  verified_at timestamptz,
  primary key (org_id, account_id, bulk_id)
);
create index bulk_creates_fingerprint on ipscape.bulk_creates (org_id, account_id, fingerprint, asked_at);
comment on table ipscape.bulk_creates is 'Requests by which many leads were created at once: one row a request, written before it is sent';
comment on column ipscape.bulk_creates.org_id is 'Organisation';
comment on column ipscape.bulk_creates.account_id is 'ipSCAPE account';
comment on column ipscape.bulk_creates.bulk_id is 'Our id of the request';
comment on column ipscape.bulk_creates.uuid is 'ipSCAPE''s id of the job';
comment on column ipscape.bulk_creates.status is 'The job''s status as ipSCAPE answered it';
comment on column ipscape.bulk_creates.state is 'sending, taken, unknown (it may have been taken) or refused';
comment on column ipscape.bulk_creates.list_ids is 'Lists that the leads are for';
comment on column ipscape.bulk_creates.leads is 'How many leads it creates';
comment on column ipscape.bulk_creates.fingerprint is 'SHA-256 of the leads'' lists and customer keys: the same leads are not sent twice';
comment on column ipscape.bulk_creates.asked_at is 'When it was sent (UTC)';
comment on column ipscape.bulk_creates.settled_at is 'When its outcome was noted (UTC)';
comment on column ipscape.bulk_creates.found is 'How many of the leads were there when they were looked for last';
comment on column ipscape.bulk_creates.twice is 'How many of them were there more than once';
comment on column ipscape.bulk_creates.verified_at is 'When they were looked for last (UTC)';

alter table ops.api_keys add monthly_quota bigint check (monthly_quota > 0);
comment on column ops.api_keys.monthly_quota is 'Requests that the key has in a calendar month (UTC); null = any number';

create table ops.api_usage (
  key_id uuid not null references ops.api_keys (key_id) on delete cascade,
  month date not null,
  requests bigint not null,
  primary key (key_id, month)
);
comment on table ops.api_usage is 'Requests of API keys that have a monthly quota, as the daemons leased them';
comment on column ops.api_usage.key_id is 'The key';
comment on column ops.api_usage.month is 'First day of the month (UTC)';
comment on column ops.api_usage.requests is 'Requests made, and up to a hundred for each daemon that may still be made';

create table ops.unknowns (
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  kind text not null check (kind in ('field', 'type', 'value')),
  name text not null,
  seen bigint not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  primary key (org_id, account_id, source, stream, kind, name)
);
comment on table ops.unknowns is 'What a source sends and nobody here knows of; the payloads have it';
comment on column ops.unknowns.org_id is 'Organisation';
comment on column ops.unknowns.account_id is 'Vendor account';
comment on column ops.unknowns.source is 'Source';
comment on column ops.unknowns.stream is 'Stream, short name';
comment on column ops.unknowns.kind is 'field = a member of an object, type = a type of object, value = a column whose value could not be read';
comment on column ops.unknowns.name is 'Name of the field, the type or the column; (others) beyond two hundred, (digits) for what may be somebody''s number';
comment on column ops.unknowns.seen is 'How often it was read; what is read again counts again';
comment on column ops.unknowns.first_seen_at is 'When it was read first (UTC)';
comment on column ops.unknowns.last_seen_at is 'When it was read last (UTC)';
