package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Backfill is an order to read streams over a range of time, and how far it is. Zero times and an empty Error mean none.
type Backfill struct {
	ID      uuid.UUID
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
	Streams []string
	Range   TimeRange
	// Window is the length of a window.
	Window     time.Duration
	Filters    map[string]string
	State      BackfillState
	Actor      string
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	Error      string
	Progress   BackfillProgress
}

// BackfillProgress counts a backfill's windows and their rows.
type BackfillProgress struct {
	// Windows are Done, Failed, Running, Waiting or Cancelled.
	Windows, Done, Failed, Running, Waiting, Cancelled int
	// Pages and Rows are committed; Changed of the rows were new or different, Quarantined are items that could not be read.
	Pages, Rows, Changed, Quarantined int64
	// RowsPerSecond is the pace over the last minute.
	RowsPerSecond float64
	// TimeLeft is reckoned from that pace and the rows of the windows that are done; false for unknown, as while no window is
	// done, or nothing is read.
	TimeLeft      time.Duration
	TimeLeftKnown bool
}

// Left is how many windows have not ended.
func (p BackfillProgress) Left() int { return p.Running + p.Waiting }

// Only the windows of the page's own backfills are counted. The pace is that of a minute that slides: what was committed in the minute before this one counts in proportion.
const backfillReadSQL = `
select b.id, b.org_id, b.account_id, b.source, b.streams, lower(b.range), upper(b.range), b.window_s, b.filters, b.state, b.actor,
  b.created_at, b.started_at, b.finished_at, b.error, b.windows,
  n.done, n.failed, n.running, n.waiting, n.cancelled, n.pages, n.rows, n.changed, n.quarantined, n.rows_done, n.recent
from (
  select *
  from ops.backfills
  where (@org::uuid is null or org_id = @org)
    and (@id::uuid is null or id = @id)
    and (not @open or state in ('planned', 'running', 'paused'))
  order by created_at desc, id desc
  limit @limit offset @offset
) b
cross join lateral (
  select count(*) filter (where w.state = 'done') as done,
    count(*) filter (where w.state = 'failed') as failed,
    count(*) filter (where w.state = 'running' and w.lease_until >= clock_timestamp()) as running,
    count(*) filter (where w.state = 'ready' or w.state = 'running' and w.lease_until < clock_timestamp()) as waiting,
    count(*) filter (where w.state = 'cancelled') as cancelled,
    coalesce(sum(w.pages), 0)::bigint as pages,
    coalesce(sum(w.rows), 0)::bigint as rows,
    coalesce(sum(w.changed), 0)::bigint as changed,
    coalesce(sum(w.quarantined), 0)::bigint as quarantined,
    coalesce(sum(w.rows) filter (where w.state = 'done'), 0)::bigint as rows_done,
    coalesce(sum(
      case w.minute
        when @minute::timestamptz then w.minute_rows + w.minute_before * @before::double precision
        when @minute::timestamptz - interval '1 minute' then w.minute_rows * @before::double precision
      end), 0)::double precision as recent
  from ops.walks w
  where w.backfill_id = b.id
) n
order by b.created_at desc, b.id desc`

const backfillCountSQL = `
select count(*)
from ops.backfills
where @org::uuid is null or org_id = @org`

// BackfillPage is a page of backfills, the latest first, and the number of all.
type BackfillPage struct {
	Backfills []Backfill
	Total     int64
}

// Backfills returns one page of an organisation's backfills, or of all when org is the zero id.
func (db *DB) Backfills(ctx context.Context, org uuid.UUID, offset int64, limit int) (BackfillPage, error) {
	var page BackfillPage
	err := db.onConn(ctx, func(q Queryer) (err error) {
		if page.Backfills, err = db.readBackfills(ctx, q, org, uuid.Nil, false, offset, limit); err != nil {
			return err
		}
		return q.QueryRow(ctx, backfillCountSQL, pgx.StrictNamedArgs{"org": uuidOrNull(org)}).Scan(&page.Total)
	})
	if err != nil {
		return BackfillPage{}, fmt.Errorf("listing backfills: %w", err)
	}
	return page, nil
}

// Backfill returns one backfill of an organisation, or of any when org is the zero id; ErrNotFound when there is none.
func (db *DB) Backfill(ctx context.Context, org, id uuid.UUID) (Backfill, error) {
	var list []Backfill
	err := db.onConn(ctx, func(q Queryer) (err error) {
		list, err = db.readBackfills(ctx, q, org, id, false, 0, 1)
		return err
	})
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Backfill{}, fmt.Errorf("reading backfill %s: %w", id, err)
	}
	return list[0], nil
}

// OpenBackfills returns backfills of all organisations that are planned, running or paused, the latest first.
func (db *DB) OpenBackfills(ctx context.Context, limit int) ([]Backfill, error) {
	var list []Backfill
	err := db.onConn(ctx, func(q Queryer) (err error) {
		list, err = db.readBackfills(ctx, q, uuid.Nil, uuid.Nil, true, 0, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing open backfills: %w", err)
	}
	return list, nil
}

func (db *DB) readBackfills(ctx context.Context, q Queryer, org, id uuid.UUID, open bool, offset int64, limit int) ([]Backfill, error) {
	now := db.Now()
	minute := now.Truncate(time.Minute)
	rows, err := q.Query(ctx, backfillReadSQL, pgx.StrictNamedArgs{
		"org": uuidOrNull(org), "id": uuidOrNull(id), "open": open, "offset": offset, "limit": limit,
		"minute": minute, "before": 1 - now.Sub(minute).Minutes(),
	})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Backfill, error) { return scanBackfill(row, now) })
}

func scanBackfill(row pgx.CollectableRow, now time.Time) (Backfill, error) {
	var b Backfill
	var started, finished *time.Time
	var problem *string
	var windowSeconds, rowsDone int64
	var recent float64
	p := &b.Progress
	err := row.Scan(&b.ID, &b.Org, &b.Account, &b.Source, &b.Streams, &b.Range.From, &b.Range.To, &windowSeconds, &b.Filters, &b.State,
		&b.Actor, &b.CreatedAt, &started, &finished, &problem, &p.Windows,
		&p.Done, &p.Failed, &p.Running, &p.Waiting, &p.Cancelled, &p.Pages, &p.Rows, &p.Changed, &p.Quarantined, &rowsDone, &recent)
	if err != nil {
		return b, err
	}
	b.Range = TimeRange{b.Range.From.UTC(), b.Range.To.UTC()}
	b.Window = time.Duration(windowSeconds) * time.Second
	b.CreatedAt, b.StartedAt, b.FinishedAt, b.Error = b.CreatedAt.UTC(), timeOf(started), timeOf(finished), textOf(problem)
	if b.State == BackfillRunning {
		p.reckon(recent, rowsDone, now.Sub(b.StartedAt))
	}
	return b, nil
}

// reckon finds the pace from the rows of the last minute, or of the time since the backfill began where that is shorter,
// and the time left from the pace. A window that has not ended is taken to be as large as the mean of those that are done.
func (p *BackfillProgress) reckon(recent float64, rowsDone int64, since time.Duration) {
	span := min(max(since, time.Second), time.Minute)
	p.RowsPerSecond = recent / span.Seconds()
	if p.Done == 0 || p.RowsPerSecond <= 0 {
		return
	}
	left := float64(rowsDone)/float64(p.Done)*float64(p.Left()) - float64(p.Rows-rowsDone)
	p.TimeLeft = time.Duration(max(left, 0) / p.RowsPerSecond * float64(time.Second))
	p.TimeLeftKnown = true
}

// BackfillWindow is one window of a backfill as operators see it. A zero Range is that of a whole snapshot.
type BackfillWindow struct {
	Walk   uuid.UUID
	Stream string
	Range  TimeRange
	// State is that of the walk: ready, running, done, failed or cancelled.
	State string
	Rows  int64
	Tries int
	// Error is why it failed; of an open window its last problem.
	Error      string
	FinishedAt time.Time
}

const backfillWindowsSQL = `
select id, stream, lower(time_window), upper(time_window), state, rows, tries, error, finished_at
from ops.walks
where backfill_id = @id
  and state = any(@states)
  and (@since::timestamptz is null or finished_at >= @since)
  and (not @troubled or error is not null)
order by finished_at nulls last, lower(time_window) nulls first, stream, id
limit @limit`

// EndedWindows returns windows of a backfill that are done or have failed, in the order in which they ended, at most limit.
// since, where it is not zero, leaves out those that ended before it by the clock of the daemon that read them.
func (db *DB) EndedWindows(ctx context.Context, backfill uuid.UUID, since time.Time, limit int) ([]BackfillWindow, error) {
	return db.backfillWindows(ctx, pgx.StrictNamedArgs{
		"id": backfill, "states": []string{"done", "failed"}, "since": timeOrNull(since), "troubled": false, "limit": limit,
	})
}

// TroubledWindows returns windows of a backfill that have failed, or met a problem and are not done, at most limit.
func (db *DB) TroubledWindows(ctx context.Context, backfill uuid.UUID, limit int) ([]BackfillWindow, error) {
	return db.backfillWindows(ctx, pgx.StrictNamedArgs{
		"id": backfill, "states": []string{"failed", "ready", "running"}, "since": nil, "troubled": true, "limit": limit,
	})
}

func (db *DB) backfillWindows(ctx context.Context, args pgx.StrictNamedArgs) ([]BackfillWindow, error) {
	var windows []BackfillWindow
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, backfillWindowsSQL, args)
		if err != nil {
			return err
		}
		windows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (BackfillWindow, error) {
			var w BackfillWindow
			var from, to, finished *time.Time
			var problem *string
			err := row.Scan(&w.Walk, &w.Stream, &from, &to, &w.State, &w.Rows, &w.Tries, &problem, &finished)
			w.Range, w.Error, w.FinishedAt = TimeRange{timeOf(from), timeOf(to)}, textOf(problem), timeOf(finished)
			return w, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing windows of backfill %s: %w", args["id"], err)
	}
	return windows, nil
}
