-- +goose Up
create table pipeline.disposition_rules (
  org_id uuid not null,
  source text not null,
  code text not null check (code = upper(code) and length(code) between 1 and 200),
  outcome text not null check (outcome <> ''),
  stage_key text not null default '',
  contacted boolean,
  opt_out boolean not null default false,
  updated_at timestamptz not null,
  primary key (org_id, source, code)
);
comment on table pipeline.disposition_rules is 'What raw disposition codes mean, where the organisation says otherwise than the built-in rules and the environment';
comment on column pipeline.disposition_rules.org_id is 'Organisation';
comment on column pipeline.disposition_rules.source is 'Whose code it is: a dialler, or api';
comment on column pipeline.disposition_rules.code is 'The raw code in upper case; codes compare without case';
comment on column pipeline.disposition_rules.outcome is 'The code in our words; analysts group by it';
comment on column pipeline.disposition_rules.stage_key is 'Stage that the lead moves to; empty = none';
comment on column pipeline.disposition_rules.contacted is 'Whether somebody spoke with the lead; null = when the call was answered';
comment on column pipeline.disposition_rules.opt_out is 'Whether the code asks not to be called again; tells analysts, the opt-out itself is decided on the raw code';
comment on column pipeline.disposition_rules.updated_at is 'When it was last set (UTC)';

create table pipeline.blocked_phones (
  org_id uuid not null,
  phone text not null,
  blocked_at timestamptz not null,
  primary key (org_id, phone)
);
comment on table pipeline.blocked_phones is 'Phones that link no leads, by an operator''s word: switchboards and the like';
comment on column pipeline.blocked_phones.org_id is 'Organisation';
comment on column pipeline.blocked_phones.phone is 'Phone in E.164';
comment on column pipeline.blocked_phones.blocked_at is 'When (UTC)';

comment on column pipeline.lead_keys.rule is 'identity, strong_key or phone; shared for a phone that links none, unlinked for one that an operator keeps from linking this lead, contact for an e-mail';
