-- +goose Up
create table pipeline.stages (
  org_id uuid not null,
  stage_id uuid not null,
  stage_key text not null,
  label text not null,
  color text not null,
  semantic_slot text not null,
  position integer not null,
  primary key (org_id, stage_key),
  unique (stage_id)
);
comment on table pipeline.stages is 'Stages of the lead pipeline, per organisation';
comment on column pipeline.stages.org_id is 'Organisation';
comment on column pipeline.stages.stage_id is 'Id of the stage in the API';
comment on column pipeline.stages.stage_key is 'Key, such as contacted';
comment on column pipeline.stages.label is 'Label for people';
comment on column pipeline.stages.color is 'Colour as #rrggbb';
comment on column pipeline.stages.semantic_slot is 'Meaning: new, working, contacted, qualified, application, won or lost';
comment on column pipeline.stages.position is 'Order; the first is the default';

create table pipeline.leads (
  org_id uuid not null,
  lead_id uuid not null,
  business_name text,
  contact_first_name text,
  contact_last_name text,
  email text,
  phone text,
  phone_e164 text,
  phones text[] not null default '{}',
  industry text,
  monthly_revenue numeric,
  requested_amount numeric,
  source text not null,
  priority text not null,
  timezone text,
  city text,
  state text,
  postal_code text,
  tags jsonb not null default '[]',
  custom_fields jsonb not null default '{}',
  external_ids jsonb not null default '{}',
  stage_key text not null,
  stage_changed_at timestamptz,
  last_contacted_at timestamptz,
  attempts integer not null default 0,
  first_dialled_at timestamptz,
  first_answered_at timestamptz,
  is_do_not_call boolean not null default false,
  dnc_reason text,
  dnc_at timestamptz,
  field_sources jsonb not null default '{}',
  content_hash bytea not null,
  first_source_time timestamptz not null,
  split_from uuid,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  search tsvector generated always as (
    to_tsvector('simple',
      coalesce(business_name, '') || ' ' || coalesce(contact_first_name, '') || ' ' ||
      coalesce(contact_last_name, '') || ' ' || replace(replace(coalesce(email, ''), '@', ' '), '.', ' ') || ' ' || coalesce(email, ''))
  ) stored,
  primary key (org_id, lead_id)
);
create index leads_newest on pipeline.leads (org_id, created_at desc, lead_id desc);
create index leads_search on pipeline.leads using gin (search);
create index leads_phone on pipeline.leads (org_id, phone_e164) where phone_e164 is not null;
comment on table pipeline.leads is 'One row a lead, folded from all that the sources say of it';
comment on column pipeline.leads.org_id is 'Organisation';
comment on column pipeline.leads.lead_id is 'Our id of the lead; the API''s id';
comment on column pipeline.leads.business_name is 'Business name';
comment on column pipeline.leads.contact_first_name is 'Contact''s first name';
comment on column pipeline.leads.contact_last_name is 'Contact''s last name';
comment on column pipeline.leads.email is 'E-mail';
comment on column pipeline.leads.phone is 'Phone as given';
comment on column pipeline.leads.phone_e164 is 'Phone in E.164 where the numbering plan knows it';
comment on column pipeline.leads.phones is 'Every valid phone of the lead in E.164';
comment on column pipeline.leads.industry is 'Industry';
comment on column pipeline.leads.monthly_revenue is 'Monthly revenue, in the account''s currency';
comment on column pipeline.leads.requested_amount is 'Requested amount, in the account''s currency';
comment on column pipeline.leads.source is 'manual, csv_import, api, web_form, referral or dialer';
comment on column pipeline.leads.priority is 'low, normal, high or urgent';
comment on column pipeline.leads.timezone is 'IANA zone that a source stated';
comment on column pipeline.leads.city is 'City';
comment on column pipeline.leads.state is 'State';
comment on column pipeline.leads.postal_code is 'Postal code';
comment on column pipeline.leads.tags is 'Tags';
comment on column pipeline.leads.custom_fields is 'Custom fields';
comment on column pipeline.leads.external_ids is 'The lead''s ids at the vendors: a string, or an array when several';
comment on column pipeline.leads.stage_key is 'Stage';
comment on column pipeline.leads.stage_changed_at is 'When the stage was reached (UTC)';
comment on column pipeline.leads.last_contacted_at is 'Last time somebody spoke with the lead (UTC)';
comment on column pipeline.leads.attempts is 'Outbound calls so far';
comment on column pipeline.leads.first_dialled_at is 'First outbound call (UTC)';
comment on column pipeline.leads.first_answered_at is 'First answered call (UTC)';
comment on column pipeline.leads.is_do_not_call is 'True while an opt-out holds for the lead or one of its phones';
comment on column pipeline.leads.dnc_reason is 'Reason of the opt-out';
comment on column pipeline.leads.dnc_at is 'When the opt-out was told (UTC)';
comment on column pipeline.leads.field_sources is 'Per field: which source''s value won, and its time';
comment on column pipeline.leads.content_hash is 'Hash of what the fold says; the row is written only when it differs';
comment on column pipeline.leads.first_source_time is 'Earliest source time: the age that law 7 counts';
comment on column pipeline.leads.split_from is 'The lead this one was split from; such a lead is never pushed by itself';
comment on column pipeline.leads.created_at is 'When the lead came to be at its first source (UTC)';
comment on column pipeline.leads.updated_at is 'When this row last changed here (UTC)';
comment on column pipeline.leads.search is 'Words of business name, contact name and e-mail, for the API''s search';

create table pipeline.lead_keys (
  org_id uuid not null,
  kind text not null,
  account_id text not null,
  value text not null,
  lead_id uuid not null,
  rule text not null,
  evidence text not null,
  linked_at timestamptz not null,
  primary key (org_id, kind, account_id, value, lead_id)
);
create index lead_keys_lead on pipeline.lead_keys (org_id, lead_id);
comment on table pipeline.lead_keys is 'Keys that point at a lead now, each with the rule and the evidence';
comment on column pipeline.lead_keys.org_id is 'Organisation';
comment on column pipeline.lead_keys.kind is 'Kind of key';
comment on column pipeline.lead_keys.account_id is 'Vendor account where the value is unique within one only, else empty';
comment on column pipeline.lead_keys.value is 'Value of the key';
comment on column pipeline.lead_keys.lead_id is 'The lead';
comment on column pipeline.lead_keys.rule is 'identity, strong_key or phone; shared for a phone that links none';
comment on column pipeline.lead_keys.evidence is 'The record that told it: source/stream/object';
comment on column pipeline.lead_keys.linked_at is 'When the link was made here (UTC)';

create table pipeline.lead_ledger (
  org_id uuid not null,
  kind text not null,
  account_id text not null,
  value text not null,
  lead_id uuid not null,
  first_source_time timestamptz not null,
  handed_out_at timestamptz not null,
  primary key (org_id, kind, account_id, value)
);
create index lead_ledger_lead on pipeline.lead_ledger (org_id, lead_id);
comment on table pipeline.lead_ledger is 'Which id each key was first given: keeps ids stable through merge, split and rebuild';
comment on column pipeline.lead_ledger.org_id is 'Organisation';
comment on column pipeline.lead_ledger.kind is 'Kind of key';
comment on column pipeline.lead_ledger.account_id is 'Vendor account, else empty';
comment on column pipeline.lead_ledger.value is 'Value of the key';
comment on column pipeline.lead_ledger.lead_id is 'The id handed out for it';
comment on column pipeline.lead_ledger.first_source_time is 'Earliest source time of the key; decides between two ids';
comment on column pipeline.lead_ledger.handed_out_at is 'When (UTC)';

create table pipeline.lead_merges (
  org_id uuid not null,
  lead_id uuid not null,
  into_lead_id uuid not null,
  merged_at timestamptz not null,
  primary key (org_id, lead_id)
);
create index lead_merges_into on pipeline.lead_merges (org_id, into_lead_id);
comment on table pipeline.lead_merges is 'Ids that now resolve to another lead';
comment on column pipeline.lead_merges.org_id is 'Organisation';
comment on column pipeline.lead_merges.lead_id is 'The id that gave way';
comment on column pipeline.lead_merges.into_lead_id is 'The lead it resolves to';
comment on column pipeline.lead_merges.merged_at is 'When (UTC)';

create table pipeline.lead_splits (
  org_id uuid not null,
  lead_id uuid not null,
  split_from uuid not null,
  split_at timestamptz not null,
  primary key (org_id, lead_id)
);
comment on table pipeline.lead_splits is 'Leads that once were part of another one: such a lead is never pushed by itself, whatever happens to it later';
comment on column pipeline.lead_splits.org_id is 'Organisation';
comment on column pipeline.lead_splits.lead_id is 'The lead that was split off';
comment on column pipeline.lead_splits.split_from is 'The lead it was part of';
comment on column pipeline.lead_splits.split_at is 'When (UTC)';

create table pipeline.calls (
  org_id uuid not null,
  source text not null,
  account_id text not null,
  external_call_id text not null,
  lead_id uuid,
  agent_external_id text,
  agent_name text,
  agent_email text,
  direction text,
  campaign_name text,
  from_number text,
  to_number text,
  started_at timestamptz,
  answered_at timestamptz,
  ended_at timestamptz,
  talk_s integer,
  disposition text,
  disposition_raw text,
  disposition_name text,
  contacted boolean not null default false,
  recording_url text,
  recording_deleted boolean,
  notes text,
  parent_external_id text,
  root_external_id text,
  lead_rule text,
  provenance jsonb not null default '[]',
  content_hash bytea not null,
  occurred_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, source, account_id, external_call_id)
);
create index calls_lead on pipeline.calls (org_id, lead_id, occurred_at) where lead_id is not null;
create index calls_time on pipeline.calls (org_id, occurred_at);
create index calls_agent on pipeline.calls (org_id, source, account_id, agent_external_id, occurred_at desc)
  where agent_external_id is not null;
comment on table pipeline.calls is 'One row per dialler and external id, folded from all that tells of the call';
comment on column pipeline.calls.org_id is 'Organisation';
comment on column pipeline.calls.source is 'The dialler';
comment on column pipeline.calls.account_id is 'The dialler''s account';
comment on column pipeline.calls.external_call_id is 'The dialler''s id of the call';
comment on column pipeline.calls.lead_id is 'Lead of the call; null when no record names a known lead';
comment on column pipeline.calls.agent_external_id is 'The dialler''s id of the agent';
comment on column pipeline.calls.agent_name is 'Agent''s name';
comment on column pipeline.calls.agent_email is 'Agent''s e-mail';
comment on column pipeline.calls.direction is 'inbound or outbound';
comment on column pipeline.calls.campaign_name is 'Campaign';
comment on column pipeline.calls.from_number is 'Number that called, E.164 where valid';
comment on column pipeline.calls.to_number is 'Number that was called, E.164 where valid';
comment on column pipeline.calls.started_at is 'Start (UTC)';
comment on column pipeline.calls.answered_at is 'Answer (UTC)';
comment on column pipeline.calls.ended_at is 'End (UTC)';
comment on column pipeline.calls.talk_s is 'Seconds of talk';
comment on column pipeline.calls.disposition is 'Outcome by the disposition rules';
comment on column pipeline.calls.disposition_raw is 'The dialler''s own code';
comment on column pipeline.calls.disposition_name is 'The dialler''s own words';
comment on column pipeline.calls.contacted is 'True when somebody spoke with the lead';
comment on column pipeline.calls.recording_url is 'Recording';
comment on column pipeline.calls.recording_deleted is 'True once the recording was deleted';
comment on column pipeline.calls.notes is 'Wrap-up notes';
comment on column pipeline.calls.parent_external_id is 'Call this one was transferred from';
comment on column pipeline.calls.root_external_id is 'First call of the transfer tree';
comment on column pipeline.calls.lead_rule is 'How the lead was found: the kind of the key';
comment on column pipeline.calls.provenance is 'Records that tell of the call: source/stream/object';
comment on column pipeline.calls.content_hash is 'Hash of what the fold says';
comment on column pipeline.calls.occurred_at is 'Start, else the earliest time known of the call (UTC)';
comment on column pipeline.calls.updated_at is 'When this row last changed here (UTC)';

create table pipeline.call_events (
  org_id uuid not null,
  source text not null,
  account_id text not null,
  external_call_id text not null,
  event_type text not null,
  occurred_at timestamptz not null,
  disposition text not null default '',
  lead_id uuid,
  told_by text not null,
  primary key (org_id, source, account_id, external_call_id, event_type, occurred_at, disposition)
);
create index call_events_lead on pipeline.call_events (org_id, lead_id, occurred_at) where lead_id is not null;
comment on table pipeline.call_events is 'Steps in the lives of calls';
comment on column pipeline.call_events.org_id is 'Organisation';
comment on column pipeline.call_events.source is 'The dialler';
comment on column pipeline.call_events.account_id is 'The dialler''s account';
comment on column pipeline.call_events.external_call_id is 'The dialler''s id of the call';
comment on column pipeline.call_events.event_type is 'call_started, call_answered, call_ended, disposition, transfer, hold, resume or recording';
comment on column pipeline.call_events.occurred_at is 'When (UTC)';
comment on column pipeline.call_events.disposition is 'Raw code for disposition events, else empty';
comment on column pipeline.call_events.lead_id is 'Lead of the call';
comment on column pipeline.call_events.told_by is 'The record that told it: source/stream/object';

create table pipeline.agents (
  org_id uuid not null,
  agent_id uuid not null,
  source text not null,
  account_id text not null,
  external_id text not null,
  name text,
  email text,
  updated_at timestamptz not null,
  primary key (org_id, agent_id),
  unique (org_id, source, account_id, external_id)
);
comment on table pipeline.agents is 'Agents, as the diallers name them';
comment on column pipeline.agents.org_id is 'Organisation';
comment on column pipeline.agents.agent_id is 'Our id; the API''s userId';
comment on column pipeline.agents.source is 'Who names the agent';
comment on column pipeline.agents.account_id is 'Vendor account';
comment on column pipeline.agents.external_id is 'The vendor''s id of the agent';
comment on column pipeline.agents.name is 'Name';
comment on column pipeline.agents.email is 'E-mail';
comment on column pipeline.agents.updated_at is 'When this row last changed here (UTC)';

create table pipeline.presence (
  org_id uuid not null,
  agent_id uuid not null,
  status text not null check (status in ('online', 'on_call', 'break', 'offline')),
  current_call_id text,
  current_lead_id uuid,
  metadata jsonb not null default '{}',
  status_changed_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, agent_id)
);
comment on table pipeline.presence is 'What each agent is doing now';
comment on column pipeline.presence.org_id is 'Organisation';
comment on column pipeline.presence.agent_id is 'Agent';
comment on column pipeline.presence.status is 'online, on_call, break or offline';
comment on column pipeline.presence.current_call_id is 'External id of the call in progress';
comment on column pipeline.presence.current_lead_id is 'Lead of that call';
comment on column pipeline.presence.metadata is 'Whatever the client added';
comment on column pipeline.presence.status_changed_at is 'When the status was taken (UTC)';
comment on column pipeline.presence.updated_at is 'Last report (UTC)';

create table pipeline.do_not_call (
  org_id uuid not null,
  phone text not null,
  reason text not null,
  source text not null,
  since timestamptz not null,
  lifted_at timestamptz,
  evidence text not null,
  updated_at timestamptz not null,
  primary key (org_id, phone)
);
comment on table pipeline.do_not_call is 'Phones that opted out, and those whose opt-out was lifted';
comment on column pipeline.do_not_call.org_id is 'Organisation';
comment on column pipeline.do_not_call.phone is 'Phone in E.164';
comment on column pipeline.do_not_call.reason is 'Raw code or words of the opt-out';
comment on column pipeline.do_not_call.source is 'Who told us';
comment on column pipeline.do_not_call.since is 'When the opt-out was told (UTC)';
comment on column pipeline.do_not_call.lifted_at is 'When it was lifted; null = it holds';
comment on column pipeline.do_not_call.evidence is 'The record that told it: source/stream/object';
comment on column pipeline.do_not_call.updated_at is 'When this row last changed here (UTC)';
