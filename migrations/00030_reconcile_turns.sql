-- +goose Up
create table ops.reconcile_turns (
  org_id uuid primary key,
  holder uuid not null,
  taken_at timestamptz not null default now()
);
comment on table ops.reconcile_turns is 'Which drain may fold an organisation''s long queue by more than one transaction at a time';
comment on column ops.reconcile_turns.org_id is 'Organisation';
comment on column ops.reconcile_turns.holder is 'The drain that took the latest turn; it is over when somebody else''s begins';
comment on column ops.reconcile_turns.taken_at is 'When it was taken (UTC)';
