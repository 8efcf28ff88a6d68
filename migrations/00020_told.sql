-- +goose Up
alter table ops.deliveries add column told jsonb;
comment on column ops.deliveries.told is 'The lead as the destination knows it once the request has its effect, for update_lead to send what differs; null where that does not apply';
create index deliveries_ranked on ops.deliveries (destination, (case operation when 'dnc_add' then 0 when 'update_lead' then 2 else 1 end), not_before)
  where state in ('ready', 'sending', 'unknown');
