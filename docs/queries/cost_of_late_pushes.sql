-- What do late pushes cost? Leads of the last four weeks by the time from their creation to the first push, and how many answered.
-- Reads analytics.speed_to_lead.
--
-- The last column says how many more would have answered at the rate of the leads that were pushed within a minute. It is an
-- estimate: late leads may differ in more than their lateness.
with pushed as (
  select
    case
      when s.sent_s is null then '5 never'
      when s.sent_s <= 60 then '1 within a minute'
      when s.sent_s <= 300 then '2 within 5 minutes'
      when s.sent_s <= 3600 then '3 within an hour'
      else '4 later'
    end as pushed,
    s.first_answered_at is not null as answered
  from analytics.organisations o
  join analytics.speed_to_lead s
    on s.org_id = o.org_id and s.created_at >= now() - interval '28 days'
  where s.ready_at is not null
), rated as (
  select p.pushed, count(*) as leads, count(*) filter (where p.answered) as answered
  from pushed p
  group by p.pushed
)
select
  r.pushed,
  r.leads,
  r.answered,
  round(100.0 * r.answered / r.leads, 1) as answered_pct,
  greatest(round(r.leads * b.rate - r.answered, 1), 0) as answers_lost
from rated r
left join (
  select 1.0 * f.answered / f.leads as rate
  from rated f
  where f.pushed = '1 within a minute'
) b on true
order by r.pushed;
