-- +goose Up
-- The gap detector looks at hours of the weeks before, of all organisations: by an index that begins with the organisation that was
-- a pass over all posts for each hour.
create index events_time_told on convoso.events (observed_at);

-- The same answer as before, by one row an hour and campaign in place of a join of all of them with all.
create or replace view analytics.gaps as
with hours as materialized (
  select date_trunc('hour', now()) - make_interval(hours => n) as hour
  from generate_series(1, 24) as n
), counted as materialized (
  select e.org_id, e.account_id, coalesce(e.campaign, '') as campaign, h.hour,
    count(*) filter (where w.weeks = 0) as posts,
    count(*) filter (where w.weeks = 1) as one_before,
    count(*) filter (where w.weeks = 2) as two_before,
    count(*) filter (where w.weeks = 3) as three_before,
    count(*) filter (where w.weeks = 4) as four_before
  from hours h
  cross join generate_series(0, 4) as w (weeks)
  join convoso.events e
    on e.observed_at >= h.hour - make_interval(hours => 168 * w.weeks)
    and e.observed_at < h.hour - make_interval(hours => 168 * w.weeks - 1)
  group by 1, 2, 3, 4
), quiet as (
  select c.org_id, c.account_id, c.campaign, c.hour, m.median
  from counted c
  cross join lateral (
    select percentile_cont(0.5) within group (order by b.posts) as median
    from unnest(array[c.one_before, c.two_before, c.three_before, c.four_before]) as b (posts)
  ) m
  where c.posts = 0
    and m.median >= 10
)
select org_id, account_id, 'convoso' as source, campaign, 'quiet_hour' as kind, hour as since, median::integer as missing
from quiet
union all
select s.org_id, s.account_id, 'convoso', coalesce(s.campaign, ''), 'no_disposition', min(s.observed_at), count(distinct s.call_log_id)::integer
from convoso.events s
where s.type = 'call_event'
  and s.state = 'started'
  and s.call_log_id is not null
  and s.observed_at > now() - interval '7 days'
  and s.observed_at < now() - interval '2 hours'
  and not exists (
    select
    from pipeline.calls c
    where c.org_id = s.org_id and c.source = 'convoso' and c.account_id = s.account_id and c.external_call_id = s.call_log_id
      and c.disposition_raw is not null)
group by 1, 2, 4;

-- The page's list of webhook deliveries, and the count of those given up.
create index webhook_deliveries_state on ops.webhook_deliveries (state, created_at desc, delivery_id desc);

-- +goose Down
drop index ops.webhook_deliveries_state;
drop index convoso.events_time_told;
