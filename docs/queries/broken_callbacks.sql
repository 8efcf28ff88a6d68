-- Whom did we promise to call back, and did not? Callbacks of the last 30 days, a day old or more, after which there was no call.
-- Reads analytics.calls.
--
-- By the agent who promised. Leads that opted out since are left out: nobody may call them.
select
  coalesce(c.agent_name, '(none)') as agent,
  count(distinct c.lead_id) as leads,
  min(c.local_day) as oldest_day
from analytics.organisations o
join analytics.calls c
  on c.org_id = o.org_id and c.occurred_at >= now() - interval '30 days' and c.occurred_at < now() - interval '1 day'
join analytics.leads l
  on l.org_id = c.org_id and l.lead_id = c.lead_id
where c.disposition = 'callback'
  and not l.is_do_not_call
  and not exists (
    select
    from analytics.calls n
    where n.org_id = c.org_id
      and n.lead_id = c.lead_id
      and n.occurred_at > c.occurred_at)
group by 1
order by leads desc, agent;
