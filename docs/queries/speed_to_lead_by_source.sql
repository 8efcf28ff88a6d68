-- How fast do we call a new lead? Leads of last week by source, those that nobody has called yet included.
-- Reads analytics.speed_to_lead.
--
-- The median takes an open lead for one that waits for ever, so that it cannot look better because leads are left lying;
-- empty = half of them or more have not been called. Leads that opted out before the first call are left out.
with week as materialized (
  select
    o.org_id,
    (m.monday - interval '7 days') at time zone o.timezone as since,
    m.monday at time zone o.timezone as until
  from analytics.organisations o
  cross join lateral (select date_trunc('week', now() at time zone o.timezone) as monday) m
)
select
  s.source,
  count(*) as leads,
  count(*) filter (where s.dialled_s <= 300) as within_5_min,
  round(100.0 * count(*) filter (where s.dialled_s <= 300) / count(*), 1) as within_5_min_pct,
  nullif(percentile_disc(0.5) within group (order by coalesce(s.dialled_s, 'infinity'::float8)), 'infinity') as median_s,
  count(*) filter (where s.first_dialled_at is null) as open,
  max(extract(epoch from now() - s.created_at)::bigint) filter (where s.first_dialled_at is null) as longest_open_s
from week w
cross join lateral (
  select *
  from analytics.speed_to_lead s
  where s.org_id = w.org_id and s.created_at >= w.since and s.created_at < w.until
  offset 0
) s
where s.first_dialled_at is not null or not s.is_do_not_call
group by s.source
order by s.source;
