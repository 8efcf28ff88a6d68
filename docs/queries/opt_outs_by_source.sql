-- Who asked not to be called again last week, and by which way did we hear of it?
-- Reads analytics.do_not_call.
--
-- An opt-out that was lifted since is not counted.
with week as materialized (
  select
    o.org_id,
    (m.monday - interval '7 days') at time zone o.timezone as since,
    m.monday at time zone o.timezone as until
  from analytics.organisations o
  cross join lateral (select date_trunc('week', now() at time zone o.timezone) as monday) m
)
select
  n.source,
  n.reason,
  count(*) as phones,
  min(n.since_local_day) as first_day,
  max(n.since_local_day) as last_day
from week w
cross join lateral (
  select *
  from analytics.do_not_call n
  where n.org_id = w.org_id and n.since >= w.since and n.since < w.until
  offset 0
) n
group by n.source, n.reason
order by phones desc, n.source, n.reason;
