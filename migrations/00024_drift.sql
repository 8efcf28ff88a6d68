-- +goose Up
create table ops.drift_runs (
  run_id uuid primary key,
  org_id uuid not null,
  account_id text not null,
  source text not null,
  stream text not null,
  started_at timestamptz not null,
  finished_at timestamptz not null,
  compared integer not null,
  listed integer not null,
  missing integer not null,
  extra integer not null,
  stale integer not null,
  mapped_wrong integer not null,
  error text
);
create index drift_runs_latest on ops.drift_runs (org_id, account_id, source, stream, started_at desc);
create index drift_runs_started on ops.drift_runs (started_at);
comment on table ops.drift_runs is 'Samples of stored rows that were read again at the vendor and compared: one row a look at one stream';
comment on column ops.drift_runs.run_id is 'Id';
comment on column ops.drift_runs.org_id is 'Organisation';
comment on column ops.drift_runs.account_id is 'Vendor account';
comment on column ops.drift_runs.source is 'Source';
comment on column ops.drift_runs.stream is 'Stream, short name';
comment on column ops.drift_runs.started_at is 'When the look began (UTC)';
comment on column ops.drift_runs.finished_at is 'When it ended (UTC)';
comment on column ops.drift_runs.compared is 'Stored objects that the vendor was asked for';
comment on column ops.drift_runs.listed is 'Objects of the vendor''s list, within what is covered, that were looked for here';
comment on column ops.drift_runs.missing is 'Of those listed: not here';
comment on column ops.drift_runs.extra is 'Of those compared: gone at the vendor, and not marked so here';
comment on column ops.drift_runs.stale is 'Of those compared: changed at the vendor since they were read';
comment on column ops.drift_runs.mapped_wrong is 'Of those compared: as the vendor says, but the typed row or the pipeline says otherwise';
comment on column ops.drift_runs.error is 'Why the look ended early; null = it did not';

create table ops.drift_findings (
  run_id uuid not null references ops.drift_runs on delete cascade,
  kind text not null check (kind in ('missing', 'extra', 'stale', 'mapped_wrong')),
  object_id text not null,
  detail text not null,
  repair text not null,
  primary key (run_id, kind, object_id)
);
comment on table ops.drift_findings is 'What such a look found, object by object';
comment on column ops.drift_findings.run_id is 'The look';
comment on column ops.drift_findings.kind is 'missing, extra, stale or mapped_wrong';
comment on column ops.drift_findings.object_id is 'The vendor''s id of the object';
comment on column ops.drift_findings.detail is 'What differs: names of fields, columns and tables, never their values';
comment on column ops.drift_findings.repair is 'The command that mends it';

create view analytics.drift as
select
  r.org_id, r.account_id, r.source, r.stream, r.started_at as checked_at, r.compared, r.listed, r.missing, r.extra, r.stale, r.mapped_wrong,
  round(100.0 * (r.extra + r.stale + r.mapped_wrong) / nullif(r.compared, 0), 2) as drift_pct,
  round(100.0 * r.missing / nullif(r.listed, 0), 2) as missing_pct,
  r.error is not null as cut_short,
  (r.started_at at time zone o.timezone)::date as checked_local_day
from ops.drift_runs r
left join ops.organisations o
  on o.org_id = r.org_id;
comment on view analytics.drift is 'How far what is stored differs from what the vendor says, by samples: one row a look at one stream';
comment on column analytics.drift.org_id is 'Organisation';
comment on column analytics.drift.account_id is 'Vendor account';
comment on column analytics.drift.source is 'Source';
comment on column analytics.drift.stream is 'Stream, short name';
comment on column analytics.drift.checked_at is 'When the look began (UTC)';
comment on column analytics.drift.compared is 'Stored objects that the vendor was asked for';
comment on column analytics.drift.listed is 'Objects of the vendor''s list that were looked for here';
comment on column analytics.drift.missing is 'Of those listed: not here';
comment on column analytics.drift.extra is 'Of those compared: gone at the vendor, and not marked so here';
comment on column analytics.drift.stale is 'Of those compared: changed at the vendor since they were read';
comment on column analytics.drift.mapped_wrong is 'Of those compared: as the vendor says, but the typed row or the pipeline says otherwise';
comment on column analytics.drift.drift_pct is 'Extra, stale and mapped wrong in per cent of those compared';
comment on column analytics.drift.missing_pct is 'Missing in per cent of those listed';
comment on column analytics.drift.cut_short is 'True when the look ended before its sample did';
comment on column analytics.drift.checked_local_day is 'Local day of checked_at';
