-- How did outcomes move? Calls by disposition, last week beside the week before.
-- Reads analytics.calls.
with weeks as materialized (
  select
    o.org_id,
    (m.monday - interval '14 days') at time zone o.timezone as before,
    (m.monday - interval '7 days') at time zone o.timezone as since,
    m.monday at time zone o.timezone as until
  from analytics.organisations o
  cross join lateral (select date_trunc('week', now() at time zone o.timezone) as monday) m
), counted as (
  select
    c.disposition,
    count(*) filter (where c.occurred_at < w.since) as week_before,
    count(*) filter (where c.occurred_at >= w.since) as last_week
  from weeks w
  cross join lateral (
    select *
    from analytics.calls c
    where c.org_id = w.org_id and c.occurred_at >= w.before and c.occurred_at < w.until
    offset 0
  ) c
  where c.disposition is not null
  group by c.disposition
)
select
  d.disposition,
  d.week_before,
  d.last_week,
  round(100.0 * (d.last_week - d.week_before) / nullif(d.week_before, 0), 1) as change_pct
from counted d
order by d.last_week desc, d.disposition;
