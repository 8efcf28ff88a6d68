-- What did each agent do yesterday, by the local calendar?
-- Reads analytics.calls.
--
-- analytics.agent_local_days has the same counts for every day; first and last call need the calls themselves.
with yesterday as materialized (
  select
    o.org_id,
    (m.midnight - interval '1 day') at time zone o.timezone as since,
    m.midnight at time zone o.timezone as until,
    o.timezone
  from analytics.organisations o
  cross join lateral (select date_trunc('day', now() at time zone o.timezone) as midnight) m
)
select
  c.agent_name,
  count(*) as calls,
  count(*) filter (where c.contacted) as contacts,
  round(100.0 * count(*) filter (where c.contacted) / count(*), 1) as contact_rate_pct,
  round(coalesce(sum(c.talk_s), 0) / 60.0, 1) as talk_min,
  count(c.disposition) as dispositions,
  to_char(min(c.occurred_at) at time zone y.timezone, 'HH24:MI') as first_call,
  to_char(max(c.occurred_at) at time zone y.timezone, 'HH24:MI') as last_call
from yesterday y
cross join lateral (
  select *
  from analytics.calls c
  where c.org_id = y.org_id and c.occurred_at >= y.since and c.occurred_at < y.until
  offset 0
) c
where c.agent_id is not null
group by c.org_id, c.agent_id, c.agent_name, y.timezone
order by calls desc, c.agent_name;
