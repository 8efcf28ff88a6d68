-- +goose Up
-- A bulk create was known by a hash of each whole request, and not known any more once its leads were cut into other ones. Now each
-- lead is. Of requests before this the leads cannot be told.
alter table ipscape.bulk_creates
  drop column fingerprint,
  drop constraint bulk_creates_state_check,
  add constraint bulk_creates_state_check check (state in ('sending', 'taken', 'unknown', 'refused', 'lost'));
comment on column ipscape.bulk_creates.state is 'sending (or cut off in it), taken, unknown (it may have been taken), refused, or lost: none of its leads was there an hour later';
comment on column ipscape.bulk_creates.found is 'How many of the leads have been found there';
comment on column ipscape.bulk_creates.twice is 'How many of them were there more than once';

create table ipscape.bulk_leads (
  org_id uuid not null,
  account_id text not null,
  list_id bigint not null,
  hash bytea not null,
  bulk_id uuid,
  copies integer,
  primary key (org_id, account_id, list_id, hash),
  foreign key (org_id, account_id, bulk_id) references ipscape.bulk_creates (org_id, account_id, bulk_id) on delete cascade
);
create index bulk_leads_bulk on ipscape.bulk_leads (org_id, account_id, bulk_id);
create index bulk_leads_hash on ipscape.bulk_leads (org_id, hash);
comment on table ipscape.bulk_leads is 'Leads that bulk creates sent, or may have sent, or found there: one row a lead, which no other bulk create sends again. Gone once the request was refused, the lead was not there an hour later, or its person was erased';
comment on column ipscape.bulk_leads.org_id is 'Organisation';
comment on column ipscape.bulk_leads.account_id is 'ipSCAPE account';
comment on column ipscape.bulk_leads.list_id is 'List that the lead is for: in another list it is another lead';
comment on column ipscape.bulk_leads.hash is 'SHA-256 of the organisation and the lead''s customer key';
comment on column ipscape.bulk_leads.bulk_id is 'Request that sent it; null = somebody looked for it and it was there, whoever created it';
comment on column ipscape.bulk_leads.copies is 'How many leads of its list and key were there when it was found last, 2 for more than one; 0 = looked for and not found, null = not looked for';
