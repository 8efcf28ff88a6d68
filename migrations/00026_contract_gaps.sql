-- +goose Up
comment on column pipeline.leads.stage_history is 'Steps from stage to stage that led to the present one, by time: from, to, at, and by where somebody chose it: source, and account_id and agent of a disposition''s agent';
