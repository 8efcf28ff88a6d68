-- +goose Up
-- What the status page reads every few seconds must not cost more as tables grow: what is open or went wrong is little beside what
-- went well, and has an index of its own.
create index inbox_bad on ops.inbox (id) where state in ('unclassified', 'unparsable', 'quarantined');
create index quarantine_open on ops.quarantine (id) where state = 'open';
create index quarantine_open_streams on ops.quarantine (source, stream) where state = 'open';
create index webhook_deliveries_failed on ops.webhook_deliveries (endpoint_id) where state = 'failed';
create index deliveries_ended_badly on ops.deliveries (org_id, created_at desc, id) where state in ('rejected', 'expired', 'cancelled');
