-- Rows of every kind that the status page shows, trunkline.rows of the plentiful ones, with names as long and as hostile as vendors'
-- can be. For tests: of the page's handlers, and of what a browser makes of it.
create function pg_temp.n() returns integer language sql as $$ select coalesce(nullif(current_setting('trunkline.rows', true), ''), '10')::integer $$;
create function pg_temp.org() returns uuid language sql as $$ select org_id from ops.organisations where is_default $$;
create function pg_temp.id(at timestamptz, n bigint) returns uuid language sql as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid $$;

insert into ops.streams (org_id, account_id, source, stream, capability, covered, origin, last_success_at, last_error, last_error_at)
values
  (pg_temp.org(), 'default', 'ipscape', 'activities', 'created',
    tstzmultirange(tstzrange(now() - interval '9 days', now() - interval '5 days'), tstzrange(now() - interval '4 days 20 hours', now() - interval '26 hours'),
      tstzrange(now() - interval '25 hours 50 minutes', now() - interval '70 seconds')), now() - interval '8 days', now() - interval '70 seconds', null, null),
  (pg_temp.org(), 'default', 'ipscape', 'leads', 'created', tstzmultirange(tstzrange(now() - interval '40 days', now() - interval '3 hours')), now() - interval '8 days',
    now() - interval '3 hours', 'ipscape list_leads: transient: dial: connect: connection refused <script>alert("leads")</script>', now() - interval '20 seconds'),
  (pg_temp.org(), 'default', 'ipscape', 'campaigns', 'snapshot', '{}', null, now() - interval '40 minutes', null, null),
  (pg_temp.org(), 'brisbane-office-second-account', 'ipscape', 'dial_attempts', 'created', '{}', null, null, null, null);

insert into ops.backfills (id, org_id, account_id, source, streams, range, window_s, state, actor, windows, created_at, started_at)
select pg_temp.id(now() - i * interval '1 hour', i), pg_temp.org(), 'default', 'ipscape', '{activities,leads,dial_attempts}',
  tstzrange(date_trunc('day', now()) - interval '200 days', date_trunc('day', now()) - interval '10 days'), 86400,
  (array['running', 'paused', 'planned', 'done', 'failed', 'cancelled'])[1 + i % 6], 'cli', 190, now() - i * interval '1 hour', now() - i * interval '1 hour'
from generate_series(0, greatest(pg_temp.n() / 40, 3)) i;
insert into ops.walks (id, org_id, account_id, source, stream, kind, lane, time_window, state, pages, rows, changed, created_at, started_at, finished_at, error, backfill_id, minute, minute_rows)
select pg_temp.id(b.created_at, w), b.org_id, b.account_id, b.source, 'activities', 'backfill', 'backfill',
  tstzrange(lower(b.range) + w * interval '1 day', lower(b.range) + (w + 1) * interval '1 day'),
  case when w % 90 = 89 then 'failed' when w < 120 or b.state = 'done' then 'done' else 'ready' end, 12, 1200, 1100, b.created_at, b.created_at, b.created_at + w * interval '2 seconds',
  case when w % 90 = 89 then 'ipscape list_activities: refused: status 400 "' || repeat('a very long answer of a vendor ', 6) || '"' end, b.id, date_trunc('minute', now()), 400
from ops.backfills b cross join generate_series(0, 189) w;
insert into ops.walks (id, org_id, account_id, source, stream, kind, lane, time_window, state, pages, rows, changed, created_at, started_at, finished_at, error)
select pg_temp.id(now() - i * interval '1 minute', i + 100000), pg_temp.org(), 'default', 'ipscape', 'activities', (array['live', 'live', 'lookback', 'hole'])[1 + i % 4], 'live',
  tstzrange(now() - i * interval '1 minute' - interval '15 minutes', now() - i * interval '1 minute'), case when i % 17 = 5 then 'failed' else 'done' end, 3, 250, 12,
  now() - i * interval '1 minute', now() - i * interval '1 minute', now() - i * interval '1 minute' + interval '1.4 seconds', case when i % 17 = 5 then 'cut' end
from generate_series(0, pg_temp.n()) i;

insert into pipeline.leads (org_id, lead_id, business_name, contact_first_name, email, phone, phones, source, priority, stage_key, content_hash, first_source_time, created_at, updated_at, first_dialled_at)
select pg_temp.org(), md5('lead' || i)::uuid, 'Canary Holdings <b>' || i, 'Canaria', 'canary' || i || '@canary.example', '+1305555' || lpad((i % 10000)::text, 4, '0'), '{}', 'api', 'normal', 'new_lead', '\x00',
  now() - i % 1400 * interval '1 minute', now() - i % 1400 * interval '1 minute', now(), case when i % 3 > 0 then now() - i % 1400 * interval '1 minute' + (i % 23) * (i % 23) * interval '11 seconds' end
from generate_series(1, pg_temp.n()) i;
insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, phone, state, reason, hold, source_time, not_before, attempts, created_at, sending_at, settled_at, external_id, error, dedupe)
select pg_temp.id(d.at, i), pg_temp.org(), 'default', k.destination, k.operation, k.class, case when k.operation <> 'dnc_add' then md5('lead' || i)::uuid end, '+1305555' || lpad((i % 10000)::text, 4, '0'), s.state,
  case s.state when 'rejected' then (array['duplicate_phone', 'not_nanp', 'no_valid_phone', 'a_reason_that_a_vendor_made_up_and_that_does_not_want_to_end'])[1 + i % 4] when 'cancelled' then 'do_not_call' when 'expired' then 'too_old' end,
  case s.state when 'ready' then (array['call_window', 'limited', 'phone_busy'])[1 + i % 3] when 'unknown' then 'person' end,
  d.at, now() + interval '6 hours', 1, d.at, case when s.state <> 'ready' then d.at + (i % 40) * interval '2 seconds' end, case when s.state not in ('ready', 'unknown') then d.at + interval '90 seconds' end,
  case when s.state = 'confirmed' then 'their-' || i end, case when s.state = 'unknown' then k.destination || ' ' || k.operation || ': unknown: the connection was cut after the request had left' end, i::text
from generate_series(1, pg_temp.n()) i
cross join lateral (select now() - i % 1400 * interval '1 minute' as at) d
cross join lateral (select * from (values ('convolo', 'start_call', 'rings'), ('dialedin', 'insert_lead', 'rings'), ('lendworks', 'insert_lead', 'keyed'), ('dialedin', 'dnc_add', 'repeatable')) v (destination, operation, class) offset i % 4 limit 1) k
cross join lateral (select (array['confirmed', 'confirmed', 'confirmed', 'ready', 'rejected', 'unknown', 'cancelled', 'confirmed', 'expired'])[1 + i % 9] as state) s;
insert into ops.delivery_attempts (delivery_id, attempt, kind, daemon_id, request, checks, outcome, detail, started_at, finished_at)
select id, 1, 'send', gen_random_uuid(), 'POST /rest/v1/ext/add_call_api/ phone=+*********23&name=***&note=<script>alert(1)</script>', '{"age": "ok", "call_window": "ok", "do_not_call": "ok"}', state,
  case reason when 'not_nanp' then 'nothing was sent: Trunkline refused it by itself' else 'status 200 {"ok":true}' end, created_at,
  created_at + interval '312 milliseconds'
from ops.deliveries where state <> 'ready';

insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, event_path, body, facts, attempts, error)
select pg_temp.id(p.at, i), pg_temp.org(), (array['convoso', 'convoso', 'convolo', 'lendworks'])[1 + i % 4], (array['done', 'done', 'done', 'duplicate', 'done', 'unparsable', 'unclassified'])[1 + i % 7], p.at, 'POST',
  'application/json', '', convert_to('{"call_log_id": ' || i || ', "first_name": "Canaria", "phone_number": "3055550123", "note": "<script>alert(2)</script>"}', 'UTF8'), 1, 1, case when i % 7 = 5 then 'not JSON: unexpected end' end
from generate_series(1, pg_temp.n() * 3) i
cross join lateral (select now() - (i * 37 % 3540) * interval '1 second' as at) p;
insert into convoso.events (org_id, account_id, event_id, inbox_id, type, state, call_log_id, campaign, zone_assumed, observed_at, changed_at)
select pg_temp.org(), 'default', 'gap-' || i, gen_random_uuid(), 'call_event', 'started', 'gap-' || i, (array['<script>alert("campaign")</script>', 'MCA Q3 ' || repeat('Überlangekampagne', 6)])[1 + i % 2], false, now() - interval '5 hours', now()
from generate_series(1, greatest(pg_temp.n() / 10, 2)) i;

insert into ops.quarantine (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, first_seen_at, last_seen_at)
select pg_temp.id(now() - i * interval '1 minute', i), pg_temp.org(), 'default', (array['ipscape', 'convoso'])[1 + i % 2], (array['activities', 'inbox'])[1 + i % 2], i::text, (array['decode', 'post'])[1 + i % 2],
  (array['field createdAt: "2026-13-' || i || '" is no time', 'field <script>alert("shape")</script>: ' || i || ' is not text', repeat('Donaudampfschifffahrtsgesellschaft', 5)])[1 + i % 3],
  convert_to('{"activityId": ' || i || ', "leadName": "Canaria <b>Holding</b>", "phone": "+13055550123"}', 'UTF8'), sha256(i::text::bytea), now() - i * interval '1 minute', now() - i * interval '10 seconds'
from generate_series(1, pg_temp.n()) i;
insert into river.river_job (kind, state, queue, max_attempts, args, scheduled_at, finalized_at, errors)
select (array['walk', 'deliver', 'inbox', 'reconcile', 'webhook'])[1 + i % 5], s.state::river.river_job_state, 'nobody', 12, '{}', now() + interval '1 hour' + i * interval '1 second', case when s.state = 'discarded' then now() end,
  case when s.state <> 'scheduled' then array['{"at": "2026-11-22T10:00:00Z", "attempt": 1, "error": "transient: status 503"}'::jsonb] end
from generate_series(1, pg_temp.n()) i cross join lateral (select (array['scheduled', 'retryable', 'discarded'])[1 + i % 3] as state) s;
insert into ops.attention (attention_id, kind, detail, since) values (gen_random_uuid(), 'restored', 'the database lost commits <script>alert("notice")</script>', now());
insert into ops.budgets (org_id, account_id, source, refilled_at, denied_at) values (pg_temp.org(), 'default', 'dialedin', now(), now());

-- What a backfill read before the stream had a live walk.
insert into ops.streams (org_id, account_id, source, stream, capability, covered, origin)
values (pg_temp.org(), 'default', 'ipscape', 'dial_attempts', 'created', tstzmultirange(tstzrange(now() - interval '6 days', now() - interval '5 days')), null);

insert into ops.webhook_endpoints (endpoint_id, org_id, url, events, secret_sealed, key_id, created_at, updated_at, failures, failing_since, open_until, last_failure_at, last_outcome)
select md5('endpoint' || e)::uuid, pg_temp.org(), 'https://hooks-' || e || '.example.com/' || repeat('a/very/long/path/', 5) || '?token=secret', '{lead.created,lead.status_changed,call.ended}', '\x00', 'k',
  now() - interval '20 days', now(), f.failures, f.since, now() + f.wait, f.since, case when f.failures > 0 then 'status_5xx' end
from generate_series(1, 3) e
cross join lateral (select case when e = 2 then 12 else 0 end as failures, case when e = 2 then now() - interval '3 hours' end as since, case when e = 2 then interval '20 minutes' end as wait) f;
insert into ops.webhook_events (event_id, org_id, event, subject, data, occurred_at, created_at, dedupe)
select pg_temp.id(now() - i * interval '1 minute', i), pg_temp.org(), 'lead.created', 'lead' || i, '{"businessName": "Canary Holdings <b>"}', now() - i * interval '1 minute', now() - i * interval '1 minute', i::text
from generate_series(1, pg_temp.n()) i;
insert into ops.webhook_deliveries (delivery_id, org_id, endpoint_id, event_id, event, subject, position, state, attempts, next_at, created_at, settled_at, last_status, last_outcome)
select pg_temp.id(v.created_at, 7), v.org_id, md5('endpoint' || 1 + i % 3)::uuid, v.event_id, v.event, v.subject, i, s.state, 1 + i % 16, v.created_at + interval '5 minutes', v.created_at,
  case when s.state <> 'pending' then v.created_at + interval '2 seconds' end, case when s.state = 'delivered' then 204 else 503 end, case when s.state = 'delivered' then 'delivered' else 'status_5xx' end
from (select *, row_number() over (order by event_id) as i from ops.webhook_events) v
cross join lateral (select (array['delivered', 'delivered', 'pending', 'failed'])[1 + v.i % 4] as state) s;
