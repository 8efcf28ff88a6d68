-- How often must we call until somebody speaks with us? Leads first reached last week, by the attempt that reached them.
-- Reads analytics.calls.
--
-- The last column is the share reached by that attempt or an earlier one: where it flattens, further attempts hardly pay.
with week as materialized (
  select
    o.org_id,
    (m.monday - interval '7 days') at time zone o.timezone as since,
    m.monday at time zone o.timezone as until
  from analytics.organisations o
  cross join lateral (select date_trunc('week', now() at time zone o.timezone) as monday) m
), reached as (
  select distinct c.org_id, c.lead_id, w.since
  from week w
  cross join lateral (
    select *
    from analytics.calls c
    where c.org_id = w.org_id and c.occurred_at >= w.since and c.occurred_at < w.until
    offset 0
  ) c
  where c.direction = 'outbound' and c.contacted and c.lead_id is not null
), firsts as (
  select r.org_id, r.lead_id, r.since, a.attempt, a.occurred_at
  from reached r
  cross join lateral (
    select n.attempt, n.occurred_at
    from (
      select c.contacted, c.occurred_at, row_number() over (order by c.occurred_at) as attempt
      from analytics.calls c
      where c.org_id = r.org_id and c.lead_id = r.lead_id and c.direction = 'outbound'
    ) n
    where n.contacted
    order by n.attempt
    limit 1
  ) a
)
select
  f.attempt,
  count(*) as leads,
  round(100.0 * sum(count(*)) over (order by f.attempt) / sum(count(*)) over (), 1) as reached_so_far_pct
from firsts f
where f.occurred_at >= f.since
group by f.attempt
order by f.attempt;
