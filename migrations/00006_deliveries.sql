-- +goose Up
create table ops.routes (
  route_id uuid primary key,
  org_id uuid not null,
  destination text not null,
  condition text not null default '',
  origin text not null check (origin in ('environment', 'operator')),
  created_at timestamptz not null,
  removed_at timestamptz
);
create unique index routes_one on ops.routes (org_id, destination, condition, origin) where removed_at is null;
comment on table ops.routes is 'Which leads go to which destination';
comment on column ops.routes.route_id is 'Id';
comment on column ops.routes.org_id is 'Organisation';
comment on column ops.routes.destination is 'dialedin, convolo or lendworks';
comment on column ops.routes.condition is 'k=v&k=v over source, priority, stage, tag, min_amount; empty = every lead';
comment on column ops.routes.origin is 'environment (TRUNKLINE_PUSH) or operator';
comment on column ops.routes.created_at is 'Leads older than the route are not sent by themselves (law 7)';
comment on column ops.routes.removed_at is 'When it was taken away';

create table ops.deliveries (
  id uuid primary key,
  org_id uuid not null,
  account_id text not null,
  destination text not null,
  operation text not null,
  class text not null check (class in ('rings', 'repeatable', 'keyed')),
  lead_id uuid,
  phone text,
  state text not null check (state in ('ready', 'sending', 'confirmed', 'rejected', 'unknown', 'expired', 'cancelled')),
  reason text,
  params jsonb not null default '{}',
  source_time timestamptz not null,
  expires_at timestamptz,
  not_before timestamptz not null,
  hold text,
  attempts integer not null default 0,
  searches integer not null default 0,
  resends integer not null default 0,
  lease_owner uuid,
  lease_until timestamptz,
  created_at timestamptz not null,
  sending_at timestamptz,
  settled_at timestamptz,
  external_id text,
  error text,
  dedupe text not null,
  unique (org_id, destination, operation, dedupe)
);
create index deliveries_due on ops.deliveries (destination, not_before) where state in ('ready', 'sending', 'unknown');
create index deliveries_phone on ops.deliveries (org_id, phone) where phone is not null;
create index deliveries_sending on ops.deliveries (sending_at) where state = 'sending';
create index deliveries_expiry on ops.deliveries (expires_at) where state = 'ready';
create index deliveries_lead on ops.deliveries (org_id, lead_id);
create index deliveries_created on ops.deliveries (org_id, created_at desc, id);
comment on table ops.deliveries is 'Outbox: one intended effect at a destination a row (law 5)';
comment on column ops.deliveries.id is 'Id; Convolo gets it as lc_param_ref';
comment on column ops.deliveries.org_id is 'Organisation';
comment on column ops.deliveries.account_id is 'Vendor account it goes to';
comment on column ops.deliveries.destination is 'dialedin, convolo or lendworks';
comment on column ops.deliveries.operation is 'insert_lead, update_lead, start_call, dnc_add, …';
comment on column ops.deliveries.class is 'rings = at most once; repeatable = until confirmed; keyed = with the same key';
comment on column ops.deliveries.lead_id is 'Lead it is about';
comment on column ops.deliveries.phone is 'Phone it would ring or block, E.164';
comment on column ops.deliveries.state is 'ready, sending, confirmed, rejected, unknown, expired or cancelled';
comment on column ops.deliveries.reason is 'Why it is in that state, one word';
comment on column ops.deliveries.params is 'Parameters beside the lead''s own fields';
comment on column ops.deliveries.source_time is 'Earliest source time of the lead: the age that counts';
comment on column ops.deliveries.expires_at is 'Not sent after this time; null = never expires';
comment on column ops.deliveries.not_before is 'Not tried before this time';
comment on column ops.deliveries.hold is 'What it waits for: call_window, retry, search, …';
comment on column ops.deliveries.attempts is 'Requests sent';
comment on column ops.deliveries.searches is 'Searches that settled nothing yet';
comment on column ops.deliveries.resends is 'How often it went back from unknown to ready';
comment on column ops.deliveries.lease_owner is 'The daemon at work on it';
comment on column ops.deliveries.lease_until is 'When another daemon may take over';
comment on column ops.deliveries.created_at is 'When it was ordered';
comment on column ops.deliveries.sending_at is 'When sending was last committed';
comment on column ops.deliveries.settled_at is 'When it reached a final state';
comment on column ops.deliveries.external_id is 'The destination''s own id';
comment on column ops.deliveries.error is 'Last error, without personal data';
comment on column ops.deliveries.dedupe is 'What makes the effect one: a second order with the same value is none';

create table ops.delivery_attempts (
  delivery_id uuid not null references ops.deliveries on delete cascade,
  attempt integer not null,
  kind text not null check (kind in ('send', 'search')),
  daemon_id uuid not null,
  request text not null default '',
  checks jsonb not null default '{}',
  outcome text,
  detail text,
  started_at timestamptz not null,
  finished_at timestamptz,
  primary key (delivery_id, attempt)
);
comment on table ops.delivery_attempts is 'Every request made for a delivery';
comment on column ops.delivery_attempts.delivery_id is 'The delivery';
comment on column ops.delivery_attempts.attempt is 'Number of the attempt, from 1';
comment on column ops.delivery_attempts.kind is 'send or search';
comment on column ops.delivery_attempts.daemon_id is 'The daemon that made it';
comment on column ops.delivery_attempts.request is 'The request, secrets and personal data masked';
comment on column ops.delivery_attempts.checks is 'Every check just before the request, and what it said';
comment on column ops.delivery_attempts.outcome is 'What the destination''s answer meant';
comment on column ops.delivery_attempts.detail is 'The answer, masked';
comment on column ops.delivery_attempts.started_at is 'When sending was committed';
comment on column ops.delivery_attempts.finished_at is 'When the outcome was committed';
