-- +goose Up
create table ipscape.lead_lists (
  org_id uuid not null,
  account_id text not null,
  list_id bigint not null,
  name text,
  campaign_id bigint,
  campaign_name text,
  in_dialler boolean,
  weight integer,
  created_at timestamptz,
  missing_since timestamptz,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, list_id)
);
comment on table ipscape.lead_lists is 'Lead lists in ipSCAPE, latest state';
comment on column ipscape.lead_lists.org_id is 'Organisation';
comment on column ipscape.lead_lists.account_id is 'ipSCAPE account';
comment on column ipscape.lead_lists.list_id is 'ipSCAPE''s id of the list';
comment on column ipscape.lead_lists.name is 'Name; free text, never a key';
comment on column ipscape.lead_lists.campaign_id is 'Campaign that dials the list';
comment on column ipscape.lead_lists.campaign_name is 'Campaign''s name; may lag renames';
comment on column ipscape.lead_lists.in_dialler is 'True while the list is selected for dialling';
comment on column ipscape.lead_lists.weight is 'Share of the campaign''s dials, relative to its other lists';
comment on column ipscape.lead_lists.created_at is 'When the list was created (UTC)';
comment on column ipscape.lead_lists.missing_since is 'When a complete snapshot first lacked it; null = present';
comment on column ipscape.lead_lists.observed_at is 'When we asked';
comment on column ipscape.lead_lists.changed_at is 'When this row last changed here';

create table ipscape.campaigns (
  org_id uuid not null,
  account_id text not null,
  campaign_id bigint not null,
  title text,
  description text,
  type text,
  group_name text,
  is_running boolean,
  allow_transfer_to_any_phone boolean,
  pay_settings_id bigint,
  merchant_alias text,
  missing_since timestamptz,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, campaign_id)
);
comment on table ipscape.campaigns is 'Campaigns in ipSCAPE, latest state';
comment on column ipscape.campaigns.org_id is 'Organisation';
comment on column ipscape.campaigns.account_id is 'ipSCAPE account';
comment on column ipscape.campaigns.campaign_id is 'ipSCAPE''s id of the campaign';
comment on column ipscape.campaigns.title is 'Title; elsewhere called campaign name';
comment on column ipscape.campaigns.description is 'Description';
comment on column ipscape.campaigns.type is 'Outbound, Inbound or another type, as sent';
comment on column ipscape.campaigns.group_name is 'Group of campaigns';
comment on column ipscape.campaigns.is_running is 'True while the campaign runs; whether that is what campaign_stats calls active is not known';
comment on column ipscape.campaigns.allow_transfer_to_any_phone is 'True where agents may transfer to any phone';
comment on column ipscape.campaigns.pay_settings_id is 'Payment settings; null where payments are off';
comment on column ipscape.campaigns.merchant_alias is 'Merchant of the payments';
comment on column ipscape.campaigns.missing_since is 'When a complete snapshot first lacked it; null = present';
comment on column ipscape.campaigns.observed_at is 'When we asked';
comment on column ipscape.campaigns.changed_at is 'When this row last changed here';

create table ipscape.users (
  org_id uuid not null,
  account_id text not null,
  user_id bigint not null,
  username text,
  first_name text,
  last_name text,
  email text,
  user_type text,
  timezone text,
  teams text,
  assigned_campaigns text,
  is_logged_in boolean,
  status text,
  time_in_status text,
  account_is_active boolean,
  missing_since timestamptz,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, user_id)
);
comment on table ipscape.users is 'Users in ipSCAPE, latest state; agents among them';
comment on column ipscape.users.org_id is 'Organisation';
comment on column ipscape.users.account_id is 'ipSCAPE account';
comment on column ipscape.users.user_id is 'ipSCAPE''s id of the user; agent_id elsewhere';
comment on column ipscape.users.username is 'Login name';
comment on column ipscape.users.first_name is 'First name';
comment on column ipscape.users.last_name is 'Last name';
comment on column ipscape.users.email is 'E-mail address';
comment on column ipscape.users.user_type is 'agent, user or another type, as sent';
comment on column ipscape.users.timezone is 'IANA zone of the user';
comment on column ipscape.users.teams is 'Teams in one text, as sent';
comment on column ipscape.users.assigned_campaigns is 'Campaigns in one text, as sent';
comment on column ipscape.users.is_logged_in is 'True while logged in';
comment on column ipscape.users.status is 'Status word when asked';
comment on column ipscape.users.time_in_status is 'Time in that status, as sent; its format is not documented';
comment on column ipscape.users.account_is_active is 'False once the account was closed';
comment on column ipscape.users.missing_since is 'When a complete snapshot first lacked it; null = present';
comment on column ipscape.users.observed_at is 'When we asked';
comment on column ipscape.users.changed_at is 'When this row last changed here';

create table ipscape.dial_attempts (
  org_id uuid not null,
  account_id text not null,
  attempt_id bigint not null,
  activity_id bigint,
  parent_activity_id bigint,
  root_activity_id bigint,
  lead_id bigint,
  campaign_id bigint,
  campaign_name text,
  type text,
  phone_number text,
  phone_index integer,
  dial_status_id bigint,
  dial_status_name text,
  dialled_at timestamptz,
  answered_at timestamptz,
  hung_up_at timestamptz,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, attempt_id)
);
create index dial_attempts_dialled on ipscape.dial_attempts (org_id, dialled_at);
create index dial_attempts_activity on ipscape.dial_attempts (org_id, activity_id) where activity_id is not null;
create index dial_attempts_lead on ipscape.dial_attempts (org_id, lead_id) where lead_id is not null;
comment on table ipscape.dial_attempts is 'Attempts of ipSCAPE''s dialler, latest state; one without an activity became no call';
comment on column ipscape.dial_attempts.org_id is 'Organisation';
comment on column ipscape.dial_attempts.account_id is 'ipSCAPE account';
comment on column ipscape.dial_attempts.attempt_id is 'ipSCAPE''s id of the attempt';
comment on column ipscape.dial_attempts.activity_id is 'Activity that the attempt became, if it became one';
comment on column ipscape.dial_attempts.parent_activity_id is 'Activity that one was transferred from';
comment on column ipscape.dial_attempts.root_activity_id is 'First activity of the transfer tree';
comment on column ipscape.dial_attempts.lead_id is 'Lead that was dialled';
comment on column ipscape.dial_attempts.campaign_id is 'Campaign';
comment on column ipscape.dial_attempts.campaign_name is 'Campaign''s name at that time';
comment on column ipscape.dial_attempts.type is 'call.outbound or another type, as sent';
comment on column ipscape.dial_attempts.phone_number is 'Number dialled, as sent';
comment on column ipscape.dial_attempts.phone_index is 'Which of the lead''s phones was dialled';
comment on column ipscape.dial_attempts.dial_status_id is 'dialStatusId; its code space differs from activity status and lead status';
comment on column ipscape.dial_attempts.dial_status_name is 'Words for dial_status_id';
comment on column ipscape.dial_attempts.dialled_at is 'Start of the dial (UTC)';
comment on column ipscape.dial_attempts.answered_at is 'When it was answered (UTC)';
comment on column ipscape.dial_attempts.hung_up_at is 'When it ended (UTC)';
comment on column ipscape.dial_attempts.observed_at is 'When we asked';
comment on column ipscape.dial_attempts.changed_at is 'When this row last changed here';

create table ipscape.campaign_stats (
  org_id uuid not null,
  account_id text not null,
  campaign_id bigint not null,
  kind text not null,
  period text not null,
  taken_at timestamptz not null,
  campaign_name text,
  timezone text,
  is_active boolean,
  agents_assigned integer,
  agents_available integer,
  agents_busy integer,
  agents_paused integer,
  calls_waiting integer,
  calls_received integer,
  calls_abandoned_in_workflow integer,
  calls_abandoned_in_queue integer,
  max_wait_s integer,
  average_wait_s integer,
  estimated_wait_s integer,
  created_at timestamptz,
  last_updated_at timestamptz,
  lists jsonb,
  observed_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (org_id, account_id, campaign_id, kind, period, taken_at)
);
create index campaign_stats_taken on ipscape.campaign_stats (org_id, taken_at);
comment on table ipscape.campaign_stats is 'Campaigns as they were at moments: snapshots over time, which cannot be read later';
comment on column ipscape.campaign_stats.org_id is 'Organisation';
comment on column ipscape.campaign_stats.account_id is 'ipSCAPE account';
comment on column ipscape.campaign_stats.campaign_id is 'ipSCAPE''s id of the campaign';
comment on column ipscape.campaign_stats.kind is 'outbound or inbound';
comment on column ipscape.campaign_stats.period is 'hour or day that inbound calls were counted over; empty for outbound';
comment on column ipscape.campaign_stats.taken_at is 'ipSCAPE''s own time of the snapshot (UTC), or when we asked';
comment on column ipscape.campaign_stats.campaign_name is 'Campaign''s name at that time';
comment on column ipscape.campaign_stats.timezone is 'IANA zone of the campaign';
comment on column ipscape.campaign_stats.is_active is 'True while the campaign was active; outbound only';
comment on column ipscape.campaign_stats.agents_assigned is 'Agents assigned; the states need not add up to it';
comment on column ipscape.campaign_stats.agents_available is 'Agents available';
comment on column ipscape.campaign_stats.agents_busy is 'Agents busy';
comment on column ipscape.campaign_stats.agents_paused is 'Agents paused';
comment on column ipscape.campaign_stats.calls_waiting is 'Calls in the queue; inbound only, as are the next six';
comment on column ipscape.campaign_stats.calls_received is 'Calls received in the period';
comment on column ipscape.campaign_stats.calls_abandoned_in_workflow is 'Calls given up in the workflow in the period';
comment on column ipscape.campaign_stats.calls_abandoned_in_queue is 'Calls given up in the queue in the period';
comment on column ipscape.campaign_stats.max_wait_s is 'Longest wait in seconds';
comment on column ipscape.campaign_stats.average_wait_s is 'Average wait in seconds';
comment on column ipscape.campaign_stats.estimated_wait_s is 'Estimated wait in seconds';
comment on column ipscape.campaign_stats.created_at is 'When the campaign was created (UTC); outbound only, as are the next two';
comment on column ipscape.campaign_stats.last_updated_at is 'When the campaign was changed last (UTC)';
comment on column ipscape.campaign_stats.lists is 'The campaign''s lead lists with their weights, as sent';
comment on column ipscape.campaign_stats.observed_at is 'When we asked';
comment on column ipscape.campaign_stats.changed_at is 'When this row last changed here';
