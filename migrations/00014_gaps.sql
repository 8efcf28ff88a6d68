-- +goose Up
create index events_observed on convoso.events (org_id, account_id, observed_at);
create index events_started on convoso.events (observed_at) where type = 'call_event' and state = 'started';

create view analytics.gaps as
with hours as materialized (
  select date_trunc('hour', now()) - make_interval(hours => n) as hour
  from generate_series(1, 24) as n
), counted as materialized (
  select e.org_id, e.account_id, coalesce(e.campaign, '') as campaign, h.hour, w.weeks, count(*) as posts
  from hours h
  cross join generate_series(0, 4) as w (weeks)
  join convoso.events e
    on e.observed_at >= h.hour - make_interval(hours => 168 * w.weeks)
    and e.observed_at < h.hour - make_interval(hours => 168 * w.weeks - 1)
  group by 1, 2, 3, 4, 5
), quiet as (
  select c.org_id, c.account_id, c.campaign, c.hour, m.median
  from (
    select distinct org_id, account_id, campaign, hour
    from counted
    where weeks > 0
  ) c
  cross join lateral (
    select percentile_cont(0.5) within group (order by coalesce(b.posts, 0)) as median
    from generate_series(1, 4) as g (weeks)
    left join counted b
      on b.org_id = c.org_id and b.account_id = c.account_id and b.campaign = c.campaign and b.hour = c.hour and b.weeks = g.weeks
  ) m
  where m.median >= 10
    and not exists (
      select
      from counted b
      where b.org_id = c.org_id and b.account_id = c.account_id and b.campaign = c.campaign and b.hour = c.hour and b.weeks = 0)
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
comment on view analytics.gaps is 'Posts of Convoso that seem to have been lost, per campaign';
comment on column analytics.gaps.org_id is 'Organisation';
comment on column analytics.gaps.account_id is 'Vendor account';
comment on column analytics.gaps.source is 'Source whose posts are missed';
comment on column analytics.gaps.campaign is 'Campaign name or id; empty where posts tell none';
comment on column analytics.gaps.kind is 'quiet_hour = no post in an hour of the last 24 in which the four weeks before had ten or more in the median; no_disposition = calls started more than two hours and less than seven days ago of which nothing tells a disposition';
comment on column analytics.gaps.since is 'The hour, or when the first such call was told (UTC)';
comment on column analytics.gaps.missing is 'The median of the four weeks, or the number of such calls';

create or replace view analytics.freshness as
select
  s.org_id,
  s.account_id,
  s.source,
  s.stream,
  c.covered_through,
  extract(epoch from now() - coalesce(c.covered_through, case when s.capability = 'snapshot' then s.last_success_at end))::bigint as lag_s,
  coalesce(c.holes, 0) as holes,
  s.last_success_at,
  s.last_error
from ops.streams s
cross join lateral (
  select
    (select upper(r.r) from unnest(s.covered) as r (r) where r.r @> s.origin) as covered_through,
    (select greatest(count(*) - 1, 0)::integer from unnest(s.covered * tstzmultirange(tstzrange(s.origin, null))) as g (g)) as holes
) c
union all
select
  a.org_id,
  a.account_id,
  'convoso',
  'posts',
  null,
  null,
  (select count(*)::integer from analytics.gaps g where g.org_id = a.org_id and g.account_id = a.account_id),
  (select max(e.observed_at) from convoso.events e where e.org_id = a.org_id and e.account_id = a.account_id),
  null
from (
  select distinct o.org_id, 'default' as account_id
  from ops.organisations o
  where exists (select from convoso.events e where e.org_id = o.org_id and e.account_id = 'default')
) a;
comment on column analytics.freshness.holes is 'Gaps in the coverage; of convoso''s posts, rows of analytics.gaps';
comment on column analytics.freshness.last_success_at is 'When a walk last ended well, or a post last came (UTC)';
