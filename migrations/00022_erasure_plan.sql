-- +goose Up
-- What an erasure removes is found by indexes, for whoever folds and writes over the API waits for it.
create index leads_email on pipeline.leads using hash (lower(email)) where email is not null;
create index inbox_duplicate on ops.inbox (duplicate_of) where duplicate_of is not null;
create index calls_phone on convolo.calls (org_id, phone) where phone is not null;
create index calls_delivery on convolo.calls (org_id, delivery_id) where delivery_id is not null;
create index calls_call on convolo.calls (org_id, call_id);
create index leads_client on dialedin.leads (org_id, client_id);
drop index ops.suppressions_object;
create index suppressions_object on ops.suppressions (org_id, source, stream, object_id);
comment on column ops.erasure_hashes.kind is 'Kind of name: phone, email, digits, a vendor''s lead or a call; opt-out is one that was lifted before, and says nothing of a name';

-- A row that everybody counts in is a lock that everybody waits for, in whatever order they come to it.
create table ops.erasure_arrivals (
  erasure_id uuid not null,
  arrived_at timestamptz not null,
  records bigint not null
);
comment on table ops.erasure_arrivals is 'What was kept out and is not yet counted in ops.erasures, which upkeep does; a row a batch';
comment on column ops.erasure_arrivals.erasure_id is 'The erasure';
comment on column ops.erasure_arrivals.arrived_at is 'When they came (UTC)';
comment on column ops.erasure_arrivals.records is 'Records that came';
comment on column ops.erasures.kept_out is 'Records that came since and were not kept; those in ops.erasure_arrivals come on top';

alter table ops.erasure_hashes add column sealed bytea;
comment on column ops.erasure_hashes.sealed is 'Of a lead''s or call''s id: the person''s phones, encrypted (AES-256-GCM) with a key that only that id and the file''s key make, so that an opt-out which names nothing else can be kept; null = of a name that needs none, or of an erasure before there were any';

comment on index ops.deliveries_due is 'Whether anything is due at all, which every sweep asks: with a long queue that is held until tomorrow it is one look; deliveries_ranked, by which claims are ordered, would be read whole';
comment on index ops.deliveries_ranked is 'The order of claims: opt-outs, pushes, updates, each by when they are due. 200,000 that are ready are claimed without a sort';
