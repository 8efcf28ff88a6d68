package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Walk is one read of a stream, as its row says.
type Walk struct {
	ID  uuid.UUID
	Key StreamKey
	// Kind is live, lookback, rescan, sweep, backfill or hole; Lane is live, reread or backfill.
	Kind, Lane string
	// Window is nil for a whole snapshot.
	Window *TimeRange
	// Filters are the stream's own; a walk with any reads a part only and claims no coverage.
	Filters map[string]string
	// Backfill is the backfill that the walk is a window of, the zero id for none.
	Backfill uuid.UUID
	State    string
	// Cursor is of the next page to ask for, empty for the first.
	Cursor      string
	Pages       int
	Rows        int64
	Changed     int64
	Quarantined int64
	Restarts    int
	CreatedAt   time.Time
	StartedAt   time.Time
	FinishedAt  time.Time
	Error       string
}

// NewWalk is an order for a walk.
type NewWalk struct {
	Key        StreamKey
	Kind, Lane string
	Window     *TimeRange
	Filters    map[string]string
	// Alone makes nothing while a walk of the same kind is open in the stream.
	Alone bool
}

// maxWalkError bounds stored error texts.
const maxWalkError = 2000

const walkColumns = ` id, org_id, account_id, source, stream, kind, lane, lower(time_window), upper(time_window), filters, state, cursor,
  pages, rows, changed, quarantined, restarts, created_at, started_at, finished_at, error, backfill_id`

const walkInsertSQL = `
insert into ops.walks (id, org_id, account_id, source, stream, kind, lane, time_window, filters, created_at)
select @id, @org, @account, @source, @stream, @kind, @lane, tstzrange(@from, @to), @filters, @now
where @from::timestamptz is not null
on conflict do nothing
returning` + walkColumns

const walkInsertWholeSQL = `
insert into ops.walks (id, org_id, account_id, source, stream, kind, lane, filters, created_at)
values (@id, @org, @account, @source, @stream, @kind, @lane, @filters, @now)
on conflict do nothing
returning` + walkColumns

const walkOpenOfKindSQL = `
select` + walkColumns + `
from ops.walks
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and kind = @kind
  and state in ('ready', 'running')
order by created_at
limit 1`

// ErrWalkOpen means that a walk of the kind is open already; it is returned with that walk.
var ErrWalkOpen = errors.New("a walk of this kind is open already")

// CreateWalk orders a walk in the caller's transaction, so that the walk and the job that wakes it are made together (law
// 2). Of live walks there is one at a time: another gives ErrWalkOpen, as NewWalk.Alone does for other kinds.
func (db *DB) CreateWalk(ctx context.Context, tx pgx.Tx, order NewWalk) (Walk, error) {
	alone := order.Alone || order.Kind == "live"
	if alone {
		open, err := oneWalk(ctx, tx, walkOpenOfKindSQL, order.Key.args(pgx.StrictNamedArgs{"kind": order.Kind}))
		if err == nil {
			return open, ErrWalkOpen
		}
		if !errors.Is(err, ErrNotFound) {
			return Walk{}, fmt.Errorf("looking for open walks of stream %s: %w", order.Key, err)
		}
	}
	filters := []byte("{}")
	if len(order.Filters) > 0 {
		var err error
		if filters, err = json.Marshal(order.Filters); err != nil {
			return Walk{}, fmt.Errorf("writing the filters of a walk: %w", err)
		}
	}
	sql := walkInsertWholeSQL
	args := order.Key.args(pgx.StrictNamedArgs{
		"id": newID(), "kind": order.Kind, "lane": order.Lane, "filters": string(filters), "now": db.Now(),
	})
	if order.Window != nil {
		sql = walkInsertSQL
		args["from"], args["to"] = micros(order.Window.From), micros(order.Window.To)
		if !order.Window.From.Before(order.Window.To) {
			return Walk{}, fmt.Errorf("ordering a walk of stream %s: its window is empty", order.Key)
		}
	}
	w, err := oneWalk(ctx, tx, sql, args)
	if errors.Is(err, ErrNotFound) {
		return Walk{}, ErrWalkOpen // made by somebody else this moment
	}
	if err != nil {
		return Walk{}, fmt.Errorf("ordering a walk of stream %s: %w", order.Key, err)
	}
	return w, nil
}

// Planned is what PlanLive did.
type Planned int

// What PlanLive did: made a walk, found one open, waits out the stream's rest after a failure, or had nothing to read.
const (
	PlannedNew Planned = iota + 1
	PlannedOpen
	PlannedLater
	PlannedNothing
)

// PlanLive makes the stream's next live walk in the caller's transaction, from what plan says of the stream's state: a
// window, nil for a whole snapshot, or false for nothing to read. The stream's row is made when it is missing, and locked.
func (db *DB) PlanLive(ctx context.Context, tx pgx.Tx, key StreamKey, capability string, plan func(StreamState) (*TimeRange, bool)) (Walk, Planned, error) {
	if err := db.EnsureStream(ctx, tx, key, capability); err != nil {
		return Walk{}, 0, err
	}
	state, err := readStream(ctx, tx, streamLockSQL, key)
	if err != nil {
		return Walk{}, 0, err
	}
	if state.RetryAt.After(db.Now()) {
		return Walk{}, PlannedLater, nil
	}
	window, ok := plan(state)
	if !ok {
		return Walk{}, PlannedNothing, nil
	}
	w, err := db.CreateWalk(ctx, tx, NewWalk{Key: key, Kind: "live", Lane: "live", Window: window})
	if errors.Is(err, ErrWalkOpen) {
		return w, PlannedOpen, nil
	}
	return w, PlannedNew, err
}

const walkReadSQL = `
select` + walkColumns + `
from ops.walks
where id = @id`

// Walk returns one walk, or ErrNotFound.
func (db *DB) Walk(ctx context.Context, q Queryer, id uuid.UUID) (Walk, error) {
	w, err := oneWalk(ctx, q, walkReadSQL, pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return Walk{}, fmt.Errorf("reading walk %s: %w", id, err)
	}
	return w, nil
}

// What nobody is at work on: ready, or left behind by a daemon whose lease ran out. A stream at rest after a failure is
// left out, and so are a backfill's windows, which have wake-ups of their own. Leases are reckoned by the database's clock,
// the one that all daemons share.
const walksOpenSQL = `
select` + walkColumns + `
from ops.walks w
where (w.state = 'ready' or w.state = 'running' and w.lease_until < clock_timestamp())
  and w.backfill_id is null
  and not exists (
    select
    from ops.streams s
    where s.org_id = w.org_id
      and s.account_id = w.account_id
      and s.source = w.source
      and s.stream = w.stream
      and s.retry_at > @now)
order by case w.lane when 'live' then 0 when 'reread' then 1 else 2 end, w.created_at, w.id
limit @most`

// OpenWalks returns walks that wait for somebody to work on them, live ones first, at most limit. Windows of backfills are
// not among them: see BackfillsToWake.
func (db *DB) OpenWalks(ctx context.Context, q Queryer, limit int) ([]Walk, error) {
	rows, err := q.Query(ctx, walksOpenSQL, pgx.StrictNamedArgs{"now": db.Now(), "most": limit})
	if err != nil {
		return nil, fmt.Errorf("listing open walks: %w", err)
	}
	walks, err := pgx.CollectRows(rows, scanWalk)
	if err != nil {
		return nil, fmt.Errorf("listing open walks: %w", err)
	}
	return walks, nil
}

// oneWalk runs a statement that returns one walk or none.
func oneWalk(ctx context.Context, q Queryer, sql string, args pgx.StrictNamedArgs) (Walk, error) {
	rows, err := q.Query(ctx, sql, args)
	if err != nil {
		return Walk{}, err
	}
	w, err := pgx.CollectExactlyOneRow(rows, scanWalk)
	if errors.Is(err, pgx.ErrNoRows) {
		return Walk{}, ErrNotFound
	}
	return w, err
}

func scanWalk(row pgx.CollectableRow) (Walk, error) {
	var w Walk
	var from, to, started, finished *time.Time
	var problem *string
	var backfill *uuid.UUID
	err := row.Scan(&w.ID, &w.Key.Org, &w.Key.Account, &w.Key.Source, &w.Key.Stream, &w.Kind, &w.Lane, &from, &to, &w.Filters,
		&w.State, &w.Cursor, &w.Pages, &w.Rows, &w.Changed, &w.Quarantined, &w.Restarts, &w.CreatedAt, &started, &finished, &problem, &backfill)
	if err != nil {
		return w, err
	}
	if backfill != nil {
		w.Backfill = *backfill
	}
	if from != nil && to != nil {
		w.Window = &TimeRange{from.UTC(), to.UTC()}
	}
	w.CreatedAt, w.StartedAt, w.FinishedAt, w.Error = w.CreatedAt.UTC(), timeOf(started), timeOf(finished), textOf(problem)
	return w, nil
}
