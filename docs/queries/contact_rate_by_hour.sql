-- When do people pick up? Contact rate of last week's outbound calls, by campaign and local hour.
-- Reads analytics.calls.
--
-- A call counts as a contact where somebody spoke with the lead (see the disposition rules). Hours with few calls say little.
with week as materialized (
  select
    o.org_id,
    (m.monday - interval '7 days') at time zone o.timezone as since,
    m.monday at time zone o.timezone as until
  from analytics.organisations o
  cross join lateral (select date_trunc('week', now() at time zone o.timezone) as monday) m
)
select
  coalesce(c.campaign_name, '(none)') as campaign,
  c.local_hour,
  count(*) as calls,
  count(*) filter (where c.contacted) as contacts,
  round(100.0 * count(*) filter (where c.contacted) / count(*), 1) as contact_rate_pct
from week w
cross join lateral (
  select *
  from analytics.calls c
  where c.org_id = w.org_id and c.occurred_at >= w.since and c.occurred_at < w.until
  offset 0
) c
where c.direction = 'outbound'
group by 1, 2
order by 1, 2;
