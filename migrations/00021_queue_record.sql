-- +goose Up
-- Whatever is queued of a lead is folded with it, which looks records up in the queue.
create index reconcile_queue_record on ops.reconcile_queue (record_id);
-- Each fold asks for the latest call that tells an agent's name, and e-mail. Where none does, all calls of the agent were read.
create index calls_agent_name on pipeline.calls (org_id, agent_source, agent_account_id, agent_external_id, occurred_at desc, external_call_id desc)
  where agent_name is not null;
create index calls_agent_email on pipeline.calls (org_id, agent_source, agent_account_id, agent_external_id, occurred_at desc, external_call_id desc)
  where agent_email is not null;

-- +goose Down
drop index pipeline.calls_agent_email;
drop index pipeline.calls_agent_name;
drop index ops.reconcile_queue_record;
