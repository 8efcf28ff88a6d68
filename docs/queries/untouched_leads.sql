-- Which leads have been forgotten? Leads of the last 30 days that are more than a day old and that nobody has called.
-- Reads analytics.leads.
select
  l.source,
  l.priority,
  count(*) as leads,
  count(*) filter (where l.first_pushed_at is null) as never_pushed,
  min(l.created_local_day) as oldest_day
from analytics.organisations o
join analytics.leads l
  on l.org_id = o.org_id and l.created_at >= now() - interval '30 days' and l.created_at < now() - interval '1 day'
where l.attempts = 0
  and not l.is_do_not_call
group by l.source, l.priority
order by leads desc, l.source, l.priority;
