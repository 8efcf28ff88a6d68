-- +goose Up
alter table ops.deliveries add column dials boolean not null default false;
comment on column ops.deliveries.dials is 'True once a request was sent that makes a phone ring by itself, not only imports';

-- Calls of nobody known are found by the number that was rung; those of a lead by the lead.
create index calls_unlinked on pipeline.calls (org_id, to_number, occurred_at) where lead_id is null and to_number is not null;
