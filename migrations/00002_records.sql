-- +goose Up
create table ops.records (
  record_id bigint generated always as identity primary key,
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  object_id text not null,
  payload jsonb not null,
  raw bytea,
  content_hash bytea not null,
  observed_at timestamptz not null,
  first_seen_at timestamptz not null,
  source_time timestamptz,
  zone_assumed boolean not null default false,
  changed_at timestamptz not null default now(),
  unique (org_id, account_id, source, stream, object_id)
);
comment on table ops.records is 'What a source last said of one object; the input of reconcile and rebuild';
comment on column ops.records.record_id is 'Our serial id; never used to order what records say';
comment on column ops.records.org_id is 'Organisation';
comment on column ops.records.account_id is 'Vendor account of the organisation';
comment on column ops.records.source is 'Who told us: ipscape, convoso, convolo, lendworks, dialedin, api, operator';
comment on column ops.records.stream is 'List of the source, such as activities';
comment on column ops.records.object_id is 'The source''s id of the object';
comment on column ops.records.payload is 'The object as the source sent it';
comment on column ops.records.raw is 'The exact bytes, kept only where jsonb could not take them as they were';
comment on column ops.records.content_hash is 'SHA-256 of the payload''s bytes';
comment on column ops.records.observed_at is 'When the request was sent or the post came (law 4)';
comment on column ops.records.first_seen_at is 'Earliest observation of the object in any version';
comment on column ops.records.source_time is 'The source''s own time of this version; null = none told';
comment on column ops.records.zone_assumed is 'True where the source time had no zone and the account''s zone was taken';
comment on column ops.records.changed_at is 'When this version was written here';

create table ops.record_history (
  record_id bigint not null,
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  object_id text not null,
  payload jsonb not null,
  raw bytea,
  content_hash bytea not null,
  observed_at timestamptz not null,
  source_time timestamptz,
  zone_assumed boolean not null,
  replaced_at timestamptz not null
) partition by range (replaced_at);
create index record_history_object on ops.record_history (org_id, account_id, source, stream, object_id, observed_at);
comment on table ops.record_history is 'Versions that a newer record replaced; monthly partitions by replaced_at';
comment on column ops.record_history.record_id is 'The record''s serial id';
comment on column ops.record_history.org_id is 'Organisation';
comment on column ops.record_history.account_id is 'Vendor account of the organisation';
comment on column ops.record_history.source is 'Who told us';
comment on column ops.record_history.stream is 'List of the source';
comment on column ops.record_history.object_id is 'The source''s id of the object';
comment on column ops.record_history.payload is 'The object as the source sent it then';
comment on column ops.record_history.raw is 'The exact bytes where jsonb could not take them';
comment on column ops.record_history.content_hash is 'SHA-256 of the payload''s bytes';
comment on column ops.record_history.observed_at is 'When this version was observed';
comment on column ops.record_history.source_time is 'The source''s own time of this version';
comment on column ops.record_history.zone_assumed is 'True where the source time had no zone';
comment on column ops.record_history.replaced_at is 'When a newer version took its place here';

create table ops.reconcile_queue (
  queue_id bigint generated always as identity,
  org_id uuid not null,
  record_id bigint not null,
  queued_at timestamptz not null default now(),
  primary key (org_id, queue_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table ops.reconcile_queue is 'Records whose latest version has not been folded yet';
comment on column ops.reconcile_queue.queue_id is 'Serial id; claims go by SKIP LOCKED, never by range';
comment on column ops.reconcile_queue.org_id is 'Organisation';
comment on column ops.reconcile_queue.record_id is 'The record to fold';
comment on column ops.reconcile_queue.queued_at is 'When it was queued';

create table ops.record_keys (
  org_id uuid not null,
  kind text not null,
  account_id text not null,
  value text not null,
  role text not null check (role in ('lead', 'ref', 'call', 'dnc')),
  record_id bigint not null,
  identity text not null default '',
  primary key (org_id, kind, account_id, value, role, record_id, identity)
);
create index record_keys_record on ops.record_keys (record_id);
create index record_keys_call_optouts on ops.record_keys (org_id, kind, account_id, value) where role = 'dnc' and kind like 'call:%';
create index record_keys_identity on ops.record_keys (org_id, value, identity) where kind = 'phone' and role = 'lead';
comment on table ops.record_keys is 'Which records name which lead, call or phone: what reconcile follows to find all that belongs together';
comment on column ops.record_keys.org_id is 'Organisation';
comment on column ops.record_keys.kind is 'Kind of key: ipscape_lead, convoso_lead, customer_key, phone, call, …';
comment on column ops.record_keys.account_id is 'Vendor account where the value is unique within one only, else empty';
comment on column ops.record_keys.value is 'The key''s value';
comment on column ops.record_keys.role is 'lead = tells of the lead; ref = a call refers to the lead; call = tells of the call; dnc = opt-out';
comment on column ops.record_keys.record_id is 'The record';
comment on column ops.record_keys.identity is 'The key by which the record itself names its lead (role lead only): tells how many leads hold a phone';

create table ops.inbox (
  id uuid not null,
  org_id uuid not null,
  source text not null,
  state text not null default 'new'
    check (state in ('new', 'done', 'duplicate', 'unclassified', 'unparsable', 'quarantined')),
  received_at timestamptz not null,
  method text not null,
  content_type text not null,
  event_path text not null default '',
  query text not null default '',
  body bytea not null,
  duplicate_of uuid,
  facts integer,
  attempts integer not null default 0,
  error text,
  settled_at timestamptz,
  primary key (id, received_at)
) partition by range (received_at);
create index inbox_open on ops.inbox (received_at) where state = 'new';
create index inbox_state on ops.inbox (org_id, source, state, received_at);
comment on table ops.inbox is 'The durable landing place of every post, exact bytes; monthly partitions by received_at';
comment on column ops.inbox.id is 'UUIDv7 of the post';
comment on column ops.inbox.org_id is 'Organisation whose receiver token was used';
comment on column ops.inbox.source is 'convoso, convolo or lendworks';
comment on column ops.inbox.state is 'new, done, duplicate, unclassified, unparsable or quarantined';
comment on column ops.inbox.received_at is 'When the post came';
comment on column ops.inbox.method is 'HTTP method';
comment on column ops.inbox.content_type is 'Content-Type header as sent';
comment on column ops.inbox.event_path is 'Event named in the path, or empty';
comment on column ops.inbox.query is 'Raw query string';
comment on column ops.inbox.body is 'The exact bytes';
comment on column ops.inbox.duplicate_of is 'The earlier post that told the same facts';
comment on column ops.inbox.facts is 'How many facts the post told';
comment on column ops.inbox.attempts is 'How often the drain tried it';
comment on column ops.inbox.error is 'Why it could not be processed';
comment on column ops.inbox.settled_at is 'When the drain was done with it';

create table ops.inbox_facts (
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  object_id text not null,
  content_hash bytea not null,
  inbox_id uuid not null,
  primary key (org_id, account_id, source, stream, object_id)
);
create index inbox_facts_post on ops.inbox_facts (inbox_id);
comment on table ops.inbox_facts is 'Which post first told each fact in its present words: what tells a duplicate';
comment on column ops.inbox_facts.org_id is 'Organisation';
comment on column ops.inbox_facts.account_id is 'Vendor account';
comment on column ops.inbox_facts.source is 'Source of the post';
comment on column ops.inbox_facts.stream is 'Stream of the record';
comment on column ops.inbox_facts.object_id is 'Object id of the record';
comment on column ops.inbox_facts.content_hash is 'SHA-256 of what was told';
comment on column ops.inbox_facts.inbox_id is 'The post';

create table ops.suppressions (
  org_id uuid not null,
  kind text not null,
  account_id text not null,
  value text not null,
  source text not null,
  stream text not null,
  object_id text not null,
  reason text not null,
  received_at timestamptz not null,
  folded_at timestamptz,
  primary key (org_id, kind, account_id, value, source, stream, object_id)
);
create index suppressions_open on ops.suppressions (org_id, kind, value) where folded_at is null;
create index suppressions_object on ops.suppressions (org_id, source, stream, object_id) where folded_at is null;
comment on table ops.suppressions is 'Opt-outs committed together with the bytes that carried them; they hold until reconcile has folded the record (law 6)';
comment on column ops.suppressions.org_id is 'Organisation';
comment on column ops.suppressions.kind is 'phone; the kind of the vendor''s lead key where the post told no phone; call:<dialler> where it told only a call';
comment on column ops.suppressions.account_id is 'Vendor account of a lead key, else empty';
comment on column ops.suppressions.value is 'The phone in E.164, or the lead key''s value';
comment on column ops.suppressions.source is 'Who told us';
comment on column ops.suppressions.stream is 'Stream of the record to come';
comment on column ops.suppressions.object_id is 'Object id of the record to come';
comment on column ops.suppressions.reason is 'The raw code';
comment on column ops.suppressions.received_at is 'When the post came';
comment on column ops.suppressions.folded_at is 'When the pipeline''s do-not-call took over';

create table ops.quarantine (
  id uuid primary key,
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  object_id text not null,
  reason text not null,
  error text not null,
  body bytea not null,
  body_hash bytea not null,
  context jsonb,
  seen integer not null default 1,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  state text not null default 'open' check (state in ('open', 'fixed', 'discarded')),
  unique (org_id, account_id, source, stream, object_id, body_hash)
);
comment on table ops.quarantine is 'What could not be processed, with the reason and the exact bytes';
comment on column ops.quarantine.id is 'Id';
comment on column ops.quarantine.org_id is 'Organisation';
comment on column ops.quarantine.account_id is 'Vendor account';
comment on column ops.quarantine.source is 'Who sent it';
comment on column ops.quarantine.stream is 'Stream, or receiver';
comment on column ops.quarantine.object_id is 'Object id where one could be read, else empty';
comment on column ops.quarantine.reason is 'Short word for the reason';
comment on column ops.quarantine.error is 'What went wrong, without personal data';
comment on column ops.quarantine.body is 'The exact bytes';
comment on column ops.quarantine.body_hash is 'SHA-256 of the bytes';
comment on column ops.quarantine.context is 'What a replay needs beside the bytes';
comment on column ops.quarantine.seen is 'How often the same bad object came';
comment on column ops.quarantine.first_seen_at is 'First time';
comment on column ops.quarantine.last_seen_at is 'Last time';
comment on column ops.quarantine.state is 'open, fixed by a replay, or discarded';

-- Partitions of ops.inbox and ops.record_history by month of our own time; the daemon keeps three months ahead.
-- +goose StatementBegin
create function ops.ensure_partitions(at timestamptz, months_ahead integer) returns integer
language plpgsql
set search_path = pg_catalog
as $$
declare
  parent text;
  month text;
  span text;
  lower_bound timestamptz;
  made integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('trunkline.partitions', 0));
  foreach parent in array array['inbox', 'record_history'] loop
    for i in -1..months_ahead loop
      lower_bound := (date_trunc('month', at at time zone 'UTC') + make_interval(months => i)) at time zone 'UTC';
      month := parent || to_char(lower_bound at time zone 'UTC', '_YYYY_MM');
      if to_regclass(format('ops.%I', month)) is null then
        -- A daemon that was away for months lands rows in the default partition before it gets here: they move over.
        span := format('%1$s >= %2$L and %1$s < %3$L', case parent when 'inbox' then 'received_at' else 'replaced_at' end, lower_bound,
          (lower_bound at time zone 'UTC' + interval '1 month') at time zone 'UTC');
        execute format('lock table ops.%I in access exclusive mode', parent || '_default');
        execute format('create table ops.%I (like ops.%I including all)', month, parent);
        execute format('comment on table ops.%I is %L', month, format('Partition of ops.%s: the month from %s UTC', parent,
          to_char(lower_bound at time zone 'UTC', 'YYYY-MM-DD')));
        execute format('with moved as (delete from ops.%I where %s returning *) insert into ops.%I select * from moved',
          parent || '_default', span, month);
        execute format('alter table ops.%I attach partition ops.%I for values from (%L) to (%L)', parent, month, lower_bound,
          (lower_bound at time zone 'UTC' + interval '1 month') at time zone 'UTC');
        made := made + 1;
      end if;
    end loop;
  end loop;
  return made;
end
$$;
-- +goose StatementEnd
comment on function ops.ensure_partitions is 'Makes the monthly partitions around a time that are missing; returns how many it made';
-- +goose StatementBegin
create function ops.drop_partitions(parent text, before timestamptz) returns integer
language plpgsql
set search_path = pg_catalog
as $$
declare
  child record;
  busy boolean;
  dropped integer := 0;
begin
  if parent not in ('inbox', 'record_history') then
    raise exception 'ops.% has no partitions to drop', parent;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('trunkline.partitions', 0));
  for child in
    select c.relname
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass(format('ops.%I', parent))
      and c.relname ~ ('^' || parent || '_\d{4}_\d{2}$')
      and (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= before
  loop
    busy := false;
    if parent = 'inbox' then
      execute format('select exists (select from ops.%I where state in (''new'', ''quarantined'', ''unclassified''))', child.relname) into busy;
    end if;
    if not busy then
      execute format('drop table ops.%I', child.relname);
      dropped := dropped + 1;
    end if;
  end loop;
  return dropped;
end
$$;
-- +goose StatementEnd
comment on function ops.drop_partitions is 'Drops the monthly partitions that ended before a time, but none with posts that nobody has settled; returns how many';
-- Made and then attached, as the months are: only so do they get the columns' comments.
create table ops.inbox_default (like ops.inbox including all);
create table ops.record_history_default (like ops.record_history including all);
alter table ops.inbox attach partition ops.inbox_default default;
alter table ops.record_history attach partition ops.record_history_default default;
comment on table ops.inbox_default is 'Partition of ops.inbox: posts of months that have none yet';
comment on table ops.record_history_default is 'Partition of ops.record_history: versions of months that have none yet';
select ops.ensure_partitions(now(), 3);
