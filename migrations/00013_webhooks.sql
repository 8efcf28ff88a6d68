-- +goose Up
create table ops.webhook_endpoints (
  endpoint_id uuid primary key,
  org_id uuid not null references ops.organisations,
  url text not null,
  events text[] not null check (cardinality(events) > 0),
  secret_sealed bytea not null,
  key_id text not null,
  is_active boolean not null default true,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  disabled_at timestamptz,
  disabled_reason text,
  failures integer not null default 0,
  failing_since timestamptz,
  open_until timestamptz,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  last_outcome text
);
create index webhook_endpoints_org on ops.webhook_endpoints (org_id, created_at);
comment on table ops.webhook_endpoints is 'Subscriptions to webhooks out';
comment on column ops.webhook_endpoints.endpoint_id is 'Id; the API''s whsub_…';
comment on column ops.webhook_endpoints.org_id is 'Organisation';
comment on column ops.webhook_endpoints.url is 'Where events are posted to';
comment on column ops.webhook_endpoints.events is 'Names of the events it wants';
comment on column ops.webhook_endpoints.secret_sealed is 'Signing secret, encrypted with the key of TRUNKLINE_WEBHOOK_KEY_FILE';
comment on column ops.webhook_endpoints.key_id is 'Fingerprint of that key: daemons that have another one leave the endpoint to those that have it';
comment on column ops.webhook_endpoints.is_active is 'False when its owner switched it off, or we did (disabled_at)';
comment on column ops.webhook_endpoints.created_at is 'When it was made';
comment on column ops.webhook_endpoints.updated_at is 'When its owner last changed it';
comment on column ops.webhook_endpoints.disabled_at is 'When we switched it off because it failed for days';
comment on column ops.webhook_endpoints.disabled_reason is 'Why';
comment on column ops.webhook_endpoints.failures is 'Failures in a row, over all its deliveries';
comment on column ops.webhook_endpoints.failing_since is 'First failure after the last success';
comment on column ops.webhook_endpoints.open_until is 'The breaker is open: nothing is sent before this time';
comment on column ops.webhook_endpoints.last_success_at is 'Last success, to the minute';
comment on column ops.webhook_endpoints.last_failure_at is 'Last failure';
comment on column ops.webhook_endpoints.last_outcome is 'What the last failure was';

create table ops.webhook_events (
  event_id uuid primary key,
  org_id uuid not null,
  position bigint generated always as identity,
  event text not null,
  subject text not null,
  data json not null,
  occurred_at timestamptz not null,
  created_at timestamptz not null,
  dedupe text not null,
  unique (org_id, dedupe)
);
create index webhook_events_age on ops.webhook_events (created_at);
comment on table ops.webhook_events is 'What webhooks tell of: events that some endpoint wanted when they came about';
comment on column ops.webhook_events.event_id is 'Id; evt_… in what is posted, and X-Webhook-Id';
comment on column ops.webhook_events.org_id is 'Organisation';
comment on column ops.webhook_events.position is 'Order within the organisation: the fold writes one batch of it at a time';
comment on column ops.webhook_events.event is 'Name, such as lead.created';
comment on column ops.webhook_events.subject is 'What order is kept for: the lead, else the call or the phone';
comment on column ops.webhook_events.data is 'The data of the envelope, as posted';
comment on column ops.webhook_events.occurred_at is 'When it happened (UTC)';
comment on column ops.webhook_events.created_at is 'When we learned of it (UTC)';
comment on column ops.webhook_events.dedupe is 'What makes the event one: the same told again is none';

create table ops.webhook_deliveries (
  delivery_id uuid primary key,
  org_id uuid not null,
  endpoint_id uuid not null references ops.webhook_endpoints on delete cascade,
  event_id uuid not null references ops.webhook_events on delete cascade,
  event text not null,
  subject text not null,
  position bigint not null,
  state text not null default 'pending' check (state in ('pending', 'delivered', 'failed')),
  attempts integer not null default 0,
  tries integer not null default 0,
  next_at timestamptz not null,
  lease_owner uuid,
  lease_until timestamptz,
  created_at timestamptz not null,
  settled_at timestamptz,
  last_status integer,
  last_outcome text,
  unique (endpoint_id, event_id)
);
create index webhook_deliveries_due on ops.webhook_deliveries (endpoint_id, next_at) where state = 'pending';
create index webhook_deliveries_order on ops.webhook_deliveries (endpoint_id, subject, position) where state = 'pending';
create index webhook_deliveries_event on ops.webhook_deliveries (event_id);
comment on table ops.webhook_deliveries is 'Outbox of webhooks: one event at one endpoint a row';
comment on column ops.webhook_deliveries.delivery_id is 'Id';
comment on column ops.webhook_deliveries.org_id is 'Organisation';
comment on column ops.webhook_deliveries.endpoint_id is 'Where to';
comment on column ops.webhook_deliveries.event_id is 'What';
comment on column ops.webhook_deliveries.event is 'Name under which the endpoint asked for the event';
comment on column ops.webhook_deliveries.subject is 'Of one subject''s pending deliveries to one endpoint only the first can be claimed';
comment on column ops.webhook_deliveries.position is 'The event''s place in that order';
comment on column ops.webhook_deliveries.state is 'pending, delivered, or failed (given up after days)';
comment on column ops.webhook_deliveries.attempts is 'Requests made';
comment on column ops.webhook_deliveries.tries is 'Requests made since it was ordered or sent again: its place in the schedule of retries';
comment on column ops.webhook_deliveries.next_at is 'Not tried before this time';
comment on column ops.webhook_deliveries.lease_owner is 'The daemon at work on it';
comment on column ops.webhook_deliveries.lease_until is 'When another daemon may take over';
comment on column ops.webhook_deliveries.created_at is 'When it was ordered';
comment on column ops.webhook_deliveries.settled_at is 'When it was delivered or given up';
comment on column ops.webhook_deliveries.last_status is 'HTTP status of the last request; null = there was no answer';
comment on column ops.webhook_deliveries.last_outcome is 'What the last request came to, one word';

create table ops.webhook_attempts (
  delivery_id uuid not null references ops.webhook_deliveries on delete cascade,
  attempt integer not null,
  daemon_id uuid not null,
  outcome text not null,
  status integer,
  started_at timestamptz not null,
  finished_at timestamptz not null,
  primary key (delivery_id, attempt)
);
comment on table ops.webhook_attempts is 'Every request made for a webhook delivery';
comment on column ops.webhook_attempts.delivery_id is 'The delivery';
comment on column ops.webhook_attempts.attempt is 'Number of the attempt, from 1';
comment on column ops.webhook_attempts.daemon_id is 'The daemon that made it';
comment on column ops.webhook_attempts.outcome is 'ok, redirect, status_4xx, status_5xx, timeout, connect, tls, …; never what the endpoint answered';
comment on column ops.webhook_attempts.status is 'HTTP status; null = there was no answer';
comment on column ops.webhook_attempts.started_at is 'When the request was begun';
comment on column ops.webhook_attempts.finished_at is 'When it was over';
