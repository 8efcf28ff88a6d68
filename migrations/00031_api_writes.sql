-- +goose Up
create table ops.api_writes (
  org_id     uuid        not null,
  caller     text        not null,
  position   pg_lsn      not null,
  written_at timestamptz not null,
  primary key (org_id, caller)
);
comment on table ops.api_writes is 'The last write of each API key, where daemons read from a replica: what the key reads next must not be older';
comment on column ops.api_writes.org_id is 'Organisation';
comment on column ops.api_writes.caller is 'Prefix of the API key, or what stands for one: environment, admin';
comment on column ops.api_writes.position is 'Where the write-ahead log was once the write was committed; a replica that has replayed it shows the write';
comment on column ops.api_writes.written_at is 'When that was, by the clock of the database; what is older than a replica may be behind says nothing any more';
