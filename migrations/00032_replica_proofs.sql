-- +goose Up
create table ops.replica_beats (
  reader  uuid        primary key,
  beat    bigint      not null,
  beat_at timestamptz not null
);
comment on table ops.replica_beats is 'What each daemon that reads from a replica writes here each second: a replica that shows it is a copy of this database, and as new';
comment on column ops.replica_beats.reader is 'The process, by an id that it draws when it starts';
comment on column ops.replica_beats.beat is 'Its count, which goes on when another server takes over';
comment on column ops.replica_beats.beat_at is 'When it was last raised, by the clock of the database; a process that is silent for an hour is forgotten';

create table ops.api_writing (
  org_id uuid        not null,
  caller text        not null,
  id     uuid        not null,
  since  timestamptz not null,
  primary key (org_id, caller, id)
);
comment on table ops.api_writing is 'Requests of API keys that may be writing, where daemons read from a replica: until they are answered the key reads from the primary';
comment on column ops.api_writing.org_id is 'Organisation';
comment on column ops.api_writing.caller is 'Prefix of the API key, or what stands for one: environment, admin';
comment on column ops.api_writing.id is 'The request';
comment on column ops.api_writing.since is 'When it came, by the clock of the database; what is older than a minute was cut off, and says nothing any more';

comment on table ops.api_writes is 'The last write of each API key, where daemons read from a replica: a replica that shows the same row shows the write';
comment on column ops.api_writes.position is 'Where the write-ahead log was once the write was committed; together with the time it tells one write from another';
