-- +goose Up
create schema if not exists ops;
create schema ipscape;
create schema convoso;
create schema convolo;
create schema dialedin;
create schema pipeline;
create schema analytics;

comment on schema ops is 'How the daemon works: records and their history, inbox, walks, deliveries, quarantine, budgets, schedules';
comment on schema ipscape is 'Latest state of what ipSCAPE said, typed';
comment on schema convoso is 'What Convoso Connect posted, typed';
comment on schema convolo is 'What Convolo posted and answered, typed';
comment on schema dialedin is 'What DialedIn answered, typed';
comment on schema pipeline is 'The canonical pipeline: leads, calls, agents, do-not-call, stages';
comment on schema analytics is 'Stable views for analysts';

revoke create on schema public from public;

-- +goose StatementBegin
create function ops.revoke_temporary() returns boolean
language plpgsql
set search_path = pg_catalog
as $$
begin
  -- Only the owner (or a superuser) has it to revoke; and only once, for two at a time would fail.
  if not exists (
    select
    from pg_database d
    cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    where d.datname = current_database()
      and a.grantee = 0
      and a.privilege_type = 'TEMPORARY'
      and pg_has_role(d.datdba, 'usage')
  ) then
    return false;
  end if;
  execute format('revoke temporary on database %I from public', current_database());
  return true;
end
$$;
-- +goose StatementEnd
comment on function ops.revoke_temporary is
  'Takes the right to make temporary tables in this database from everybody but its owner; true when it was there. Rights on a database are not copied with it, so every start asks again';
select ops.revoke_temporary();

-- The role belongs to the whole server, so another database may have made it, even at this moment.
-- +goose StatementBegin
do $$
begin
  -- Asked first, so that a database user who may not create roles can use one that an administrator made.
  if not exists (select from pg_roles where rolname = 'trunkline_analyst') then
    create role trunkline_analyst nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;
end
$$;
-- +goose StatementEnd

grant usage on schema ipscape, convoso, convolo, dialedin, pipeline, analytics to trunkline_analyst;
alter default privileges in schema ipscape, convoso, convolo, dialedin, pipeline, analytics
  grant select on tables to trunkline_analyst;

create table ops.organisations (
  org_id uuid primary key,
  name text not null unique,
  is_default boolean not null default false,
  receiver_token_hash bytea unique,
  created_at timestamptz not null default now()
);
create unique index organisations_one_default on ops.organisations (is_default) where is_default;
comment on table ops.organisations is 'The brokerages that share this database';
comment on column ops.organisations.org_id is 'Our id of the organisation';
comment on column ops.organisations.name is 'Name, for operators';
comment on column ops.organisations.is_default is 'The organisation that the environment''s vendor accounts belong to';
comment on column ops.organisations.receiver_token_hash is 'SHA-256 of the receiver token made by trunkline org token';
comment on column ops.organisations.created_at is 'When the organisation was made';

create table ops.api_keys (
  key_id uuid primary key,
  org_id uuid not null references ops.organisations,
  name text not null,
  prefix text not null unique,
  secret_hash bytea not null,
  level text not null check (level in ('read', 'read_write', 'full')),
  tier text not null check (tier in ('basic', 'standard', 'premium', 'none')),
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  rotated_to uuid,
  last_used_at timestamptz
);
comment on table ops.api_keys is 'Bearer keys of the HTTP API; only a hash of the secret is kept';
comment on column ops.api_keys.key_id is 'Id of the key';
comment on column ops.api_keys.org_id is 'Organisation whose data the key opens';
comment on column ops.api_keys.name is 'Name given by the operator';
comment on column ops.api_keys.prefix is 'Middle part of lw_<prefix>_<secret>; identifies the key in logs';
comment on column ops.api_keys.secret_hash is 'SHA-256 of the whole key';
comment on column ops.api_keys.level is 'read, read_write or full';
comment on column ops.api_keys.tier is 'Rate limit: basic 100, standard 1,000, premium 10,000 requests a minute, none';
comment on column ops.api_keys.created_at is 'When the key was made';
comment on column ops.api_keys.expires_at is 'When it stops working; null = never';
comment on column ops.api_keys.revoked_at is 'When it was revoked, or will be after rotation''s grace';
comment on column ops.api_keys.rotated_to is 'The key that replaced it';
comment on column ops.api_keys.last_used_at is 'Last use, to the minute';
