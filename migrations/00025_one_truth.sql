-- +goose Up
-- A clock that is ahead of ours: with the furthest time that it told of an object, and the first look at that, what the object's
-- present version is worth follows from all looks at it alone, in whatever order they arrived (law 3).
alter table ops.records add column ahead_time timestamptz, add column ahead_seen_at timestamptz;
comment on column ops.records.source_time is 'The source''s own time of this version, as it told it: one that lay ahead of our clock counts as of ahead_seen_at, or observed_at; null = none told';
comment on column ops.records.ahead_time is 'The latest source time of any version that lay ahead of our clock when it was told; null = none did';
comment on column ops.records.ahead_seen_at is 'The first observation that told ahead_time: as of which a version with that source time counts';

-- +goose Down
alter table ops.records drop column ahead_time, drop column ahead_seen_at;
