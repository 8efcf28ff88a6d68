-- +goose Up
alter table ops.deliveries add column told jsonb;
comment on column ops.deliveries.told is 'The lead as the destination knows it once the request has its effect, for update_lead to send what differs; null where that does not apply';
