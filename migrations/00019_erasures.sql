-- +goose Up
create table ops.erasures (
  erasure_id uuid primary key,
  org_id uuid not null,
  key_id text not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  counts jsonb not null default '{}',
  kept_out bigint not null default 0,
  last_kept_out_at timestamptz
);
create index erasures_keys on ops.erasures (org_id, key_id);
comment on table ops.erasures is 'Whom we erased, without a word of who it was: the receipt, and what was kept out since';
comment on column ops.erasures.erasure_id is 'Id; the receipt''s';
comment on column ops.erasures.org_id is 'Organisation';
comment on column ops.erasures.key_id is 'Fingerprint of the key in TRUNKLINE_ERASURE_KEY_FILE that the hashes were made with';
comment on column ops.erasures.started_at is 'When it was ordered first (UTC)';
comment on column ops.erasures.finished_at is 'When nothing was left (UTC); null = it was cut off, and is to be ordered again';
comment on column ops.erasures.counts is 'What was removed, by table';
comment on column ops.erasures.kept_out is 'Records that came since and were not kept';
comment on column ops.erasures.last_kept_out_at is 'When the last of them came (UTC)';

create table ops.erasure_hashes (
  org_id uuid not null,
  hash bytea not null,
  kind text not null,
  erasure_id uuid not null references ops.erasures on delete cascade,
  primary key (org_id, hash)
);
create index erasure_hashes_erasure on ops.erasure_hashes (erasure_id);
comment on table ops.erasure_hashes is 'Keyed hashes of what named an erased person: what has one of these names is not kept again';
comment on column ops.erasure_hashes.org_id is 'Organisation';
comment on column ops.erasure_hashes.hash is 'HMAC-SHA-256 of organisation, kind, account and value; the key is in a file, never here';
comment on column ops.erasure_hashes.kind is 'Kind of name: phone, email, digits, a vendor''s lead or a call';
comment on column ops.erasure_hashes.erasure_id is 'The erasure';
