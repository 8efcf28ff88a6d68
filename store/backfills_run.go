package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// How a backfill's windows are worked on.
const (
	// BackfillAtOnce is how many windows of one backfill are read at once, whatever the number of daemons.
	BackfillAtOnce = 4
	// windowTries is how many failures a window may have that count against it.
	windowTries = 5
	// windowRest is how long a window rests after a problem; the first rests of failures that count are shorter.
	windowRest = 5 * time.Second
)

// A window that can be gone on with: nobody is at work on it, it does not rest, and neither does its stream.
const windowClaimable = `
  (w.state = 'ready' or w.state = 'running' and w.lease_until < clock_timestamp())
  and coalesce(w.retry_at <= @now, true)
  and not exists (
    select
    from ops.streams s
    where s.org_id = w.org_id
      and s.account_id = w.account_id
      and s.source = w.source
      and s.stream = w.stream
      and s.retry_at > @now)`

// A window that was begun goes first: its cursor may expire at the vendor.
const windowNextSQL = `
select w.id
from ops.walks w
join ops.backfills b on b.id = w.backfill_id
where b.id = @id
  and b.state in ('planned', 'running')
  and` + windowClaimable + `
  and (
    select count(*)
    from ops.walks o
    where o.backfill_id = b.id
      and o.state = 'running'
      and o.lease_until >= clock_timestamp()) < @most
order by w.started_at is null, lower(w.time_window) nulls first, w.stream, w.id
limit 1`

// NextWindow returns the walk of a backfill that is to be gone on with next, and false when none is: all have ended or
// are at work, rest after a problem, or the backfill does not run. It claims nothing.
func (db *DB) NextWindow(ctx context.Context, backfill uuid.UUID) (uuid.UUID, bool, error) {
	var walk uuid.UUID
	err := db.onConn(ctx, func(q Queryer) error {
		args := pgx.StrictNamedArgs{"id": backfill, "now": db.Now(), "most": BackfillAtOnce}
		return q.QueryRow(ctx, windowNextSQL, args).Scan(&walk)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, false, nil
	}
	if err != nil {
		return uuid.Nil, false, fmt.Errorf("looking for a window of backfill %s: %w", backfill, err)
	}
	return walk, true, nil
}

const windowLockBackfillSQL = `
select b.id
from ops.walks w
join ops.backfills b on b.id = w.backfill_id
where w.id = @id
  and b.state in ('planned', 'running')
for no key update of b`

const windowClaimSQL = `
update ops.walks w
set state = 'running',
    lease_owner = @owner,
    lease_until = clock_timestamp() + make_interval(secs => @lease),
    started_at = least(started_at, @now)
where id = @id
  and (state = 'ready' or state = 'running' and lease_until < clock_timestamp())
  and coalesce(retry_at <= @now, true)
  and (
    select count(*)
    from ops.walks o
    where o.backfill_id = w.backfill_id
      and o.state = 'running'
      and o.lease_until >= clock_timestamp()) < @most
returning` + walkColumns

const backfillBegunSQL = `
update ops.backfills
set state = 'running',
    started_at = least(started_at, @now)
where id = @id
  and (state = 'planned' or started_at is null)`

// claimWindow claims a walk that belongs to a backfill, and fails with ErrNotFound when it may not be worked on now. The
// backfill's lock, held to the end, makes the count of windows at work exact, and orders the claim before or after a pause.
func (db *DB) claimWindow(ctx context.Context, args pgx.StrictNamedArgs) (Walk, error) {
	var w Walk
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var backfill uuid.UUID
		err := tx.QueryRow(ctx, windowLockBackfillSQL, pgx.StrictNamedArgs{"id": args["id"]}).Scan(&backfill)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		args["most"] = BackfillAtOnce
		if w, err = oneWalk(ctx, tx, windowClaimSQL, args); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, backfillBegunSQL, pgx.StrictNamedArgs{"id": backfill, "now": args["now"]})
		return err
	})
	return w, err
}

// A failure of the window's own always counts. Trouble at the vendor counts only when the window got no further since its
// last problem while another walk of the account ended well: otherwise the vendor is down, which says nothing of the window.
const windowFailedSQL = `
with judged as (
  select w.id,
    @own or coalesce(w.pages <= w.tried_pages, false) and exists (
      select
      from ops.walks o
      where o.org_id = w.org_id
        and o.account_id = w.account_id
        and o.source = w.source
        and o.id <> w.id
        and o.state = 'done'
        and o.finished_at > w.tried_at) as counts
  from ops.walks w
  where w.id = @id
)
update ops.walks w
set tries = w.tries + j.counts::integer,
    state = case when w.tries + j.counts::integer >= @most then 'failed' else 'ready' end,
    finished_at = case when w.tries + j.counts::integer >= @most then @now::timestamptz end,
    error = @error,
    tried_at = @now,
    tried_pages = w.pages,
    retry_at = @now::timestamptz + make_interval(secs => case when j.counts then least(@rest, power(2, w.tries)) else @rest end)
from judged j
where w.id = j.id`

// windowFailed notes a problem at a backfill's window, whose run has ended. The window is tried again alone, and has failed
// for good once it had too many. The stream is left alone: live walks keep their pace. own tells that the vendor is well
// and the window itself is at fault.
func (db *DB) windowFailed(ctx context.Context, tx pgx.Tx, id uuid.UUID, problem string, own bool) error {
	_, err := tx.Exec(ctx, windowFailedSQL, pgx.StrictNamedArgs{
		"id": id, "own": own, "most": windowTries, "now": db.Now(), "rest": windowRest.Seconds(),
		"error": cleanText(problem, maxWalkError),
	})
	if err != nil {
		return fmt.Errorf("noting a problem of a window: %w", err)
	}
	return nil
}

const windowRowsSQL = `
update ops.walks
set minute_before = case
      when minute = @minute then minute_before
      when minute = @minute::timestamptz - interval '1 minute' then minute_rows
      else 0
    end,
    minute_rows = case when minute = @minute then minute_rows else 0 end + @rows,
    minute = @minute,
    error = case when state = 'done' then null else error end
where id = @id`

// windowCommitted counts what a backfill's window committed, by the minute, so that its pace can be told.
func (db *DB) windowCommitted(ctx context.Context, tx pgx.Tx, id uuid.UUID, rows int) error {
	args := pgx.StrictNamedArgs{"id": id, "minute": db.Now().Truncate(time.Minute), "rows": rows}
	if _, err := tx.Exec(ctx, windowRowsSQL, args); err != nil {
		return fmt.Errorf("counting a window's rows: %w", err)
	}
	return nil
}

const streamCoveredSQL = `
update ops.streams
set covered = covered + tstzmultirange(tstzrange(@from, @to))
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and @from::timestamptz < @to::timestamptz`

// streamCovered adds a backfill's window to the coverage, and touches nothing else: neither where live walks go on nor how
// the stream fares.
func streamCovered(ctx context.Context, tx pgx.Tx, key StreamKey, covers *TimeRange) error {
	if covers == nil {
		return nil
	}
	args := key.args(pgx.StrictNamedArgs{"from": micros(covers.From), "to": micros(covers.To)})
	if _, err := tx.Exec(ctx, streamCoveredSQL, args); err != nil {
		return fmt.Errorf("adding to the coverage of stream %s: %w", key, err)
	}
	return nil
}

const backfillSettleSQL = `
update ops.backfills b
set state = case when ended.failed = 0 then 'done' else 'failed' end,
    finished_at = @now,
    error = case when ended.failed > 0 then format('%s of %s windows failed: %s', ended.failed, b.windows, ended.problem) end
from ops.backfills o
cross join lateral (
  select count(*) filter (where w.state = 'failed') as failed,
    (array_agg(w.error order by w.finished_at, w.id) filter (where w.state = 'failed'))[1] as problem
  from ops.walks w
  where w.backfill_id = o.id
) ended
where b.id = o.id
  and o.state in ('planned', 'running')
  and b.state in ('planned', 'running')
  and (@id::uuid is null or o.id = @id)
  and not exists (
    select
    from ops.walks w
    where w.backfill_id = o.id
      and w.state in ('ready', 'running'))`

// SettleBackfill ends a backfill all of whose windows have ended, or, for the zero id, every such backfill.
func (db *DB) SettleBackfill(ctx context.Context, id uuid.UUID) error {
	err := db.onConn(ctx, func(q Queryer) error {
		_, err := q.Exec(ctx, backfillSettleSQL, pgx.StrictNamedArgs{"id": uuidOrNull(id), "now": db.Now()})
		return err
	})
	if err != nil {
		return fmt.Errorf("ending backfills: %w", err)
	}
	return nil
}

// BackfillWake is a backfill with windows that wait, and how many more jobs should be at work on them.
type BackfillWake struct {
	ID   uuid.UUID
	Jobs int
}

// A job that runs says nothing, for its daemon may be dead; the windows at work do, by their leases.
const backfillsToWakeSQL = `
select b.id, (least(@most - n.running, n.waiting) - j.woken)::integer
from ops.backfills b
cross join lateral (
  select count(*) filter (where w.state = 'running' and w.lease_until >= clock_timestamp()) as running,
    count(*) filter (where` + windowClaimable + `) as waiting
  from ops.walks w
  where w.backfill_id = b.id
    and w.state in ('ready', 'running')
) n
cross join lateral (
  select count(*) as woken
  from river.river_job
  where kind = 'backfill'
    and state in ('available', 'scheduled')
    and args ->> 'backfill_id' = b.id::text
) j
where b.state in ('planned', 'running')
  and least(@most - n.running, n.waiting) > j.woken
order by b.created_at`

// BackfillsToWake finds backfills whose windows wait although too few jobs are on the way to them.
func (db *DB) BackfillsToWake(ctx context.Context, q Queryer) ([]BackfillWake, error) {
	rows, err := q.Query(ctx, backfillsToWakeSQL, pgx.StrictNamedArgs{"now": db.Now(), "most": BackfillAtOnce})
	if err != nil {
		return nil, fmt.Errorf("looking for backfills that wait: %w", err)
	}
	wakes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[BackfillWake])
	if err != nil {
		return nil, fmt.Errorf("looking for backfills that wait: %w", err)
	}
	return wakes, nil
}
