-- +goose Up
-- Whatever is queued of a lead is folded with it, which looks records up in the queue.
create index reconcile_queue_record on ops.reconcile_queue (record_id);

-- +goose Down
drop index ops.reconcile_queue_record;
