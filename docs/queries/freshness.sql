-- Can I trust today's figures? Through when each stream is complete, the furthest behind first.
-- Reads analytics.freshness.
--
-- Data of a stream are whole up to complete_through; later rows may be there and others missing. Holes are read by themselves.
select
  f.source,
  f.stream,
  coalesce(f.covered_through, f.last_success_at) as complete_through,
  extract(epoch from now() - coalesce(f.covered_through, f.last_success_at))::bigint as behind_s,
  f.holes,
  f.last_error is not null as fails
from analytics.freshness f
order by behind_s desc nulls first, f.source, f.stream;
