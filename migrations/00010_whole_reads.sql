-- +goose Up
alter table ops.streams
  add column missing_due timestamptz,
  add column warning text,
  add column warned_at timestamptz;
comment on column ops.streams.missing_due is 'Start of the latest complete read of the whole list whose missing objects are still to be looked for; null = none';
comment on column ops.streams.warning is 'Why the latest complete read of the whole list marked nothing as missing; null = it was judged';
comment on column ops.streams.warned_at is 'When that was';

-- What status and upkeep ask of walks that are no windows of a backfill.
create index walks_latest on ops.walks (org_id, account_id, source, stream, kind, created_at desc) where backfill_id is null;

alter table ipscape.activities add column missing_since timestamptz;
comment on column ipscape.activities.missing_since is 'When it was first asked for by id and was gone; null = present';

-- Whoever sees one again that was missing finds it here, by its id as text.
create index activities_missing on ipscape.activities (org_id, account_id, (activity_id::text)) where missing_since is not null;
create index leads_missing on ipscape.leads (org_id, account_id, (lead_id::text)) where missing_since is not null;
create index lead_lists_missing on ipscape.lead_lists (org_id, account_id, (list_id::text)) where missing_since is not null;
create index campaigns_missing on ipscape.campaigns (org_id, account_id, (campaign_id::text)) where missing_since is not null;
create index users_missing on ipscape.users (org_id, account_id, (user_id::text)) where missing_since is not null;

alter table ipscape.campaign_stats add column payload jsonb;
comment on column ipscape.campaign_stats.payload is 'The whole answer, as sent';
