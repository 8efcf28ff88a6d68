-- +goose Up
create table ipscape.activities (
  org_id uuid not null,
  account_id text not null,
  activity_id bigint not null,
  type text,
  lead_id bigint,
  attempt_id bigint,
  parent_activity_id bigint,
  root_activity_id bigint,
  campaign_id bigint,
  campaign_name text,
  agent_interaction_id bigint,
  agent_id bigint,
  agent_full_name text,
  source text,
  destination text,
  phone_number text,
  phone_index integer,
  status_id bigint,
  status_name text,
  dial_status_id bigint,
  dial_status_name text,
  wrap_code text,
  wrap_description text,
  created_at timestamptz,
  join_queue_at timestamptz,
  answered_at timestamptz,
  hung_up_at timestamptz,
  wrapped_up_at timestamptz,
  ivr_s integer,
  queue_s integer,
  hold_s integer,
  interaction_s integer,
  wrap_s integer,
  talk_s integer,
  dial_s integer,
  recording_status text,
  recording_media_id bigint,
  recording_media_uri text,
  recording_duration_s integer,
  recording_deleted boolean,
  survey jsonb,
  voicemails jsonb,
  quality_score integer,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, activity_id)
);
create index activities_created on ipscape.activities (org_id, created_at);
create index activities_lead on ipscape.activities (org_id, lead_id) where lead_id is not null;
comment on table ipscape.activities is 'Calls and other activities, latest state';
comment on column ipscape.activities.org_id is 'Organisation';
comment on column ipscape.activities.account_id is 'ipSCAPE account';
comment on column ipscape.activities.activity_id is 'ipSCAPE''s id of the activity';
comment on column ipscape.activities.type is 'call.inbound, call.outbound or another type, as sent';
comment on column ipscape.activities.lead_id is 'Lead that was called; outbound only';
comment on column ipscape.activities.attempt_id is 'Dial attempt that made the call';
comment on column ipscape.activities.parent_activity_id is 'Activity this one was transferred from';
comment on column ipscape.activities.root_activity_id is 'First activity of the transfer tree';
comment on column ipscape.activities.campaign_id is 'Campaign';
comment on column ipscape.activities.campaign_name is 'Campaign''s name at that time';
comment on column ipscape.activities.agent_interaction_id is 'Agent''s part in the call';
comment on column ipscape.activities.agent_id is 'Agent';
comment on column ipscape.activities.agent_full_name is 'Agent''s name';
comment on column ipscape.activities.source is 'Number that called, as sent';
comment on column ipscape.activities.destination is 'Number that was called, as sent';
comment on column ipscape.activities.phone_number is 'Number dialled, as sent';
comment on column ipscape.activities.phone_index is 'Which of the lead''s phones was dialled';
comment on column ipscape.activities.status_id is 'activityStatusId; its code space differs from dial status and lead status';
comment on column ipscape.activities.status_name is 'Words for status_id';
comment on column ipscape.activities.dial_status_id is 'dialStatusId';
comment on column ipscape.activities.dial_status_name is 'Words for dial_status_id';
comment on column ipscape.activities.wrap_code is 'Wrap-up code, as text';
comment on column ipscape.activities.wrap_description is 'Words for the wrap-up code';
comment on column ipscape.activities.created_at is 'Start of the call (UTC)';
comment on column ipscape.activities.join_queue_at is 'When the caller joined the queue (UTC)';
comment on column ipscape.activities.answered_at is 'When the call was answered (UTC)';
comment on column ipscape.activities.hung_up_at is 'When the call ended (UTC)';
comment on column ipscape.activities.wrapped_up_at is 'When the agent finished wrap-up (UTC)';
comment on column ipscape.activities.ivr_s is 'Seconds in the IVR';
comment on column ipscape.activities.queue_s is 'Seconds in the queue';
comment on column ipscape.activities.hold_s is 'Seconds on hold';
comment on column ipscape.activities.interaction_s is 'Seconds of interaction';
comment on column ipscape.activities.wrap_s is 'Seconds of wrap-up';
comment on column ipscape.activities.talk_s is 'Seconds of talk';
comment on column ipscape.activities.dial_s is 'Seconds of dialling';
comment on column ipscape.activities.recording_status is 'Recording status word';
comment on column ipscape.activities.recording_media_id is 'Media id of the recording';
comment on column ipscape.activities.recording_media_uri is 'URI of the recording''s media';
comment on column ipscape.activities.recording_duration_s is 'Seconds of recording';
comment on column ipscape.activities.recording_deleted is 'True once the recording was deleted';
comment on column ipscape.activities.survey is 'Survey object, as sent';
comment on column ipscape.activities.voicemails is 'Voicemails, as sent';
comment on column ipscape.activities.quality_score is 'Call quality score; inbound only';
comment on column ipscape.activities.observed_at is 'When we asked';
comment on column ipscape.activities.changed_at is 'When this row last changed here';

create table ipscape.leads (
  org_id uuid not null,
  account_id text not null,
  lead_id bigint not null,
  campaign_id bigint,
  campaign_name text,
  list_id bigint,
  list_name text,
  customer_key text,
  timezone text,
  completed boolean,
  agent_id bigint,
  agent_full_name text,
  last_status_code bigint,
  last_status_description text,
  outcome_type text,
  phones jsonb,
  data_fields jsonb,
  outcomes jsonb,
  total_attempts integer,
  created_at timestamptz,
  modified_at timestamptz,
  next_attempt_at timestamptz,
  missing_since timestamptz,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, lead_id)
);
create index leads_customer_key on ipscape.leads (org_id, customer_key) where customer_key is not null;
comment on table ipscape.leads is 'Leads in ipSCAPE, latest state';
comment on column ipscape.leads.org_id is 'Organisation';
comment on column ipscape.leads.account_id is 'ipSCAPE account';
comment on column ipscape.leads.lead_id is 'ipSCAPE''s id of the lead (not the API''s)';
comment on column ipscape.leads.campaign_id is 'Campaign';
comment on column ipscape.leads.campaign_name is 'Campaign''s name; may lag renames';
comment on column ipscape.leads.list_id is 'Lead list';
comment on column ipscape.leads.list_name is 'List''s name; may lag renames';
comment on column ipscape.leads.customer_key is 'The uploader''s own id';
comment on column ipscape.leads.timezone is 'IANA zone of the lead';
comment on column ipscape.leads.completed is 'True when it will not be dialled again';
comment on column ipscape.leads.agent_id is 'Assigned agent';
comment on column ipscape.leads.agent_full_name is 'Assigned agent''s name';
comment on column ipscape.leads.last_status_code is 'Last lead status; its code space differs from activity and dial status';
comment on column ipscape.leads.last_status_description is 'Words for last_status_code';
comment on column ipscape.leads.outcome_type is 'Outcome type, as sent';
comment on column ipscape.leads.phones is 'Phones, as sent';
comment on column ipscape.leads.data_fields is 'Custom fields, as sent';
comment on column ipscape.leads.outcomes is 'Outcomes by code, as sent';
comment on column ipscape.leads.total_attempts is 'Dial attempts so far';
comment on column ipscape.leads.created_at is 'Upload time (UTC)';
comment on column ipscape.leads.modified_at is 'Last change at ipSCAPE (UTC)';
comment on column ipscape.leads.next_attempt_at is 'Next planned attempt (UTC)';
comment on column ipscape.leads.missing_since is 'When a complete snapshot first lacked it; null = present';
comment on column ipscape.leads.observed_at is 'When we asked';
comment on column ipscape.leads.changed_at is 'When this row last changed here';

create table convoso.events (
  org_id uuid not null,
  account_id text not null,
  event_id text not null,
  inbox_id uuid not null,
  type text not null,
  state text,
  call_log_id text,
  lead_id text,
  remote_id text,
  phone text,
  status text,
  status_name text,
  agent_id text,
  agent_name text,
  agent_email text,
  campaign text,
  list_id text,
  queue text,
  direction text,
  term_reason text,
  duration_s integer,
  recording_url text,
  notes text,
  occurred_at timestamptz,
  zone_assumed boolean not null,
  unmapped jsonb,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, event_id)
);
create index events_call on convoso.events (org_id, call_log_id);
create index events_time on convoso.events (org_id, occurred_at);
comment on table convoso.events is 'Facts told by Convoso Connect posts, one row a fact';
comment on column convoso.events.org_id is 'Organisation';
comment on column convoso.events.account_id is 'Convoso account';
comment on column convoso.events.event_id is 'Stream and identity of the fact';
comment on column convoso.events.inbox_id is 'The post that told it last';
comment on column convoso.events.type is 'disposition, recording, call_event, lead_update or dnc';
comment on column convoso.events.state is 'started, answered or ended for call events';
comment on column convoso.events.call_log_id is 'Convoso''s id of the call';
comment on column convoso.events.lead_id is 'Convoso''s id of the lead';
comment on column convoso.events.remote_id is 'Id of the lead in the originating system';
comment on column convoso.events.phone is 'Phone in E.164 where valid, else as given';
comment on column convoso.events.status is 'Raw disposition code';
comment on column convoso.events.status_name is 'Words for the code';
comment on column convoso.events.agent_id is 'Agent number';
comment on column convoso.events.agent_name is 'Agent''s name';
comment on column convoso.events.agent_email is 'Agent''s e-mail';
comment on column convoso.events.campaign is 'Campaign name or id';
comment on column convoso.events.list_id is 'List';
comment on column convoso.events.queue is 'Inbound queue';
comment on column convoso.events.direction is 'inbound or outbound';
comment on column convoso.events.term_reason is 'How the call ended';
comment on column convoso.events.duration_s is 'Seconds of talk';
comment on column convoso.events.recording_url is 'URL or file name of the recording';
comment on column convoso.events.notes is 'Wrap-up notes';
comment on column convoso.events.occurred_at is 'When it happened (UTC)';
comment on column convoso.events.zone_assumed is 'True where the time had no zone and the configured one was taken';
comment on column convoso.events.unmapped is 'Keys that nothing maps';
comment on column convoso.events.observed_at is 'When the post came';
comment on column convoso.events.changed_at is 'When this row last changed here';

create table convolo.calls (
  org_id uuid not null,
  account_id text not null,
  call_id text not null,
  delivery_id uuid,
  status text,
  phone text,
  widget_key text,
  is_delayed boolean,
  agent_id text,
  agent_name text,
  agent_phone text,
  disconnected_by text,
  started_at timestamptz,
  agent_answered_at timestamptz,
  lead_answered_at timestamptz,
  ended_at timestamptz,
  talk_s integer,
  total_s integer,
  recording_url text,
  custom_params jsonb,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, call_id)
);
comment on table convolo.calls is 'Convolo calls, as its webhooks tell';
comment on column convolo.calls.org_id is 'Organisation';
comment on column convolo.calls.account_id is 'Convolo widget account';
comment on column convolo.calls.call_id is 'Convolo''s id of the call';
comment on column convolo.calls.delivery_id is 'Our delivery that started it, by lc_param_ref';
comment on column convolo.calls.status is 'answered, no_answer, missed or another word, as sent';
comment on column convolo.calls.phone is 'Number really called, E.164 where valid';
comment on column convolo.calls.widget_key is 'Widget';
comment on column convolo.calls.is_delayed is 'True when the call had been postponed';
comment on column convolo.calls.agent_id is 'Agent''s id';
comment on column convolo.calls.agent_name is 'Agent''s name';
comment on column convolo.calls.agent_phone is 'Agent''s phone';
comment on column convolo.calls.disconnected_by is 'agent, lead or another word';
comment on column convolo.calls.started_at is 'Start (UTC)';
comment on column convolo.calls.agent_answered_at is 'When the agent picked up (UTC)';
comment on column convolo.calls.lead_answered_at is 'When the lead picked up (UTC)';
comment on column convolo.calls.ended_at is 'End (UTC)';
comment on column convolo.calls.talk_s is 'Seconds of talk';
comment on column convolo.calls.total_s is 'Seconds in all';
comment on column convolo.calls.recording_url is 'Recording';
comment on column convolo.calls.custom_params is 'Custom parameters, as sent';
comment on column convolo.calls.observed_at is 'When the webhook came';
comment on column convolo.calls.changed_at is 'When this row last changed here';

create table dialedin.leads (
  org_id uuid not null,
  account_id text not null,
  client_id text not null,
  lead_id text,
  delivery_id uuid,
  state text not null,
  campaign text,
  detail text,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, client_id)
);
comment on table dialedin.leads is 'Leads we sent to DialedIn, and what it answered';
comment on column dialedin.leads.org_id is 'Organisation';
comment on column dialedin.leads.account_id is 'DialedIn account';
comment on column dialedin.leads.client_id is 'ClientId we sent: the lead''s id';
comment on column dialedin.leads.lead_id is 'DialedIn''s own id, where a search told it';
comment on column dialedin.leads.delivery_id is 'The delivery that sent it last';
comment on column dialedin.leads.state is 'State of that delivery';
comment on column dialedin.leads.campaign is 'Campaign it was sent to';
comment on column dialedin.leads.detail is 'What DialedIn answered, masked';
comment on column dialedin.leads.observed_at is 'When we asked';
comment on column dialedin.leads.changed_at is 'When this row last changed here';
