-- +goose Up
alter table ops.api_keys add column family_id uuid;
comment on column ops.api_keys.family_id is 'The first of the keys that were rotated into one another, which share a monthly quota; null = this one';
comment on column ops.api_usage.key_id is 'The key; of keys that were rotated into one another, the first';

with recursive families as (
  select k.key_id, k.key_id as family_id, k.rotated_to
  from ops.api_keys k
  where not exists (
    select
    from ops.api_keys p
    where p.rotated_to = k.key_id)
  union all
  select k.key_id, f.family_id, k.rotated_to
  from families f
  join ops.api_keys k
    on k.key_id = f.rotated_to
)
update ops.api_keys k
set family_id = f.family_id
from families f
where f.key_id = k.key_id
  and f.family_id <> f.key_id;

-- A successor began where its predecessor was: the greatest is what the family used at least.
insert into ops.api_usage as u (key_id, month, requests)
select k.family_id, m.month, max(m.requests)
from ops.api_usage m
join ops.api_keys k
  on k.key_id = m.key_id
where k.family_id is not null
group by k.family_id, m.month
on conflict (key_id, month) do update
set requests = greatest(u.requests, excluded.requests);

delete from ops.api_usage u
using ops.api_keys k
where k.key_id = u.key_id
  and k.family_id is not null;
