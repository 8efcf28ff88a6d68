package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// StreamStatus is one stream as operators see it. Zero times, ids and texts mean none.
type StreamStatus struct {
	StreamState
	// CoveredThrough is the end of the coverage that reaches back to its origin without a gap.
	CoveredThrough time.Time
	// Lag is the time from CoveredThrough to now; of a snapshot stream, from the last success.
	Lag   time.Duration
	Holes int
	// OpenWalks are ready or running.
	OpenWalks int
	// DueAt is the slot of the live walk's schedule that the last success does not answer, or else the next one; zero when
	// it has no schedule.
	DueAt time.Time
	// The last live walk.
	LastWalk       uuid.UUID
	LastWalkKind   string
	LastWalkState  string
	LastWalkRows   int64
	LastWalkEndsAt time.Time
	// Sweep is the pass over the whole list that is under way, or waits; SweptAt is when the last one ended well.
	Sweep     *Sweep
	SweptAt   time.Time
	SweptRows int64
}

// Sweep is how far a pass over a whole list is.
type Sweep struct {
	StartedAt time.Time
	Rows      int64
}

const streamStatesSQL = `
select s.org_id, s.account_id, s.source, s.stream, s.capability,
  array(select lower(r) from unnest(s.covered) as r order by r) as lowers,
  array(select upper(r) from unnest(s.covered) as r order by r) as uppers,
  s.origin, s.last_success_at, s.last_error, s.last_error_at, s.failures, s.retry_at, s.warning, s.warned_at,
  (select count(*)
     from ops.walks o
    where o.org_id = s.org_id and o.account_id = s.account_id and o.source = s.source and o.stream = s.stream
      and o.state in ('ready', 'running')) as open_walks,
  case when d.last_slot > coalesce(s.last_success_at, '-infinity') then d.last_slot else d.next_slot end as due_at,
  w.id, w.kind, w.state, w.rows, w.finished_at,
  o.id, o.started_at, o.rows, e.finished_at, e.rows
from ops.streams s
left join ops.schedules d on d.name = s.source || '.' || s.stream || case when s.account_id = @default then '' else '.' || s.account_id end
left join lateral (
  select *
  from ops.walks w
  where w.org_id = s.org_id
    and w.account_id = s.account_id
    and w.source = s.source
    and w.stream = s.stream
    and w.kind = 'live'
    and w.backfill_id is null
  order by w.created_at desc
  limit 1
) w on true
left join lateral (
  select *
  from ops.walks o
  where o.org_id = s.org_id
    and o.account_id = s.account_id
    and o.source = s.source
    and o.stream = s.stream
    and o.kind = 'sweep'
    and o.backfill_id is null
    and o.state in ('ready', 'running')
  order by o.created_at desc
  limit 1
) o on true
left join lateral (
  select *
  from ops.walks e
  where e.org_id = s.org_id
    and e.account_id = s.account_id
    and e.source = s.source
    and e.stream = s.stream
    and e.kind = 'sweep'
    and e.backfill_id is null
    and e.state = 'done'
  order by e.created_at desc
  limit 1
) e on true
where @org::uuid is null or s.org_id = @org
order by s.org_id, s.account_id, s.source, s.stream`

// StreamStates returns every stream of an organisation, or of all when org is the zero id, for status.
func (db *DB) StreamStates(ctx context.Context, q Queryer, org uuid.UUID) ([]StreamStatus, error) {
	rows, err := q.Query(ctx, streamStatesSQL, pgx.StrictNamedArgs{"org": uuidOrNull(org), "default": DefaultAccount})
	if err != nil {
		return nil, fmt.Errorf("reading the state of streams: %w", err)
	}
	now := db.Now()
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (StreamStatus, error) {
		var s StreamStatus
		var walk, sweep *uuid.UUID
		var kind, state *string
		var walked, sweeping, swept *int64
		var due, ended, began, sweptAt *time.Time
		scan := tailScanner{row, []any{
			&s.OpenWalks, &due, &walk, &kind, &state, &walked, &ended, &sweep, &began, &sweeping, &sweptAt, &swept,
		}}
		base, err := scanStream(scan)
		if err != nil {
			return s, err
		}
		s.StreamState = base
		if walk != nil {
			s.LastWalk, s.LastWalkKind, s.LastWalkState = *walk, textOf(kind), textOf(state)
			s.LastWalkRows, s.LastWalkEndsAt = *walked, timeOf(ended)
		}
		s.DueAt = timeOf(due)
		if sweep != nil {
			s.Sweep = &Sweep{StartedAt: timeOf(began), Rows: *sweeping}
		}
		if swept != nil {
			s.SweptAt, s.SweptRows = timeOf(sweptAt), *swept
		}
		s.reckon(now)
		return s, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the state of streams: %w", err)
	}
	return states, nil
}

// reckon is what view analytics.freshness says, in Go.
func (s *StreamStatus) reckon(now time.Time) {
	from := s.LastSuccessAt
	if s.Capability != "snapshot" {
		from = time.Time{}
		for _, r := range s.Covered {
			if s.Origin.IsZero() || !s.Origin.Before(r.To) {
				continue
			}
			if !s.Origin.Before(r.From) {
				s.CoveredThrough = r.To
				from = r.To
			} else {
				s.Holes++
			}
		}
	}
	if !from.IsZero() {
		s.Lag = now.Sub(from)
	}
}

// tailScanner lets a scan function of some columns read rows that have more.
type tailScanner struct {
	pgx.CollectableRow
	tail []any
}

// Scan reads all columns: those asked for, then the tail.
func (t tailScanner) Scan(dest ...any) error {
	return t.CollectableRow.Scan(append(dest, t.tail...)...)
}
