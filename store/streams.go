package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// StreamKey names one list of one vendor account.
type StreamKey struct {
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
	Stream  string
}

func (k StreamKey) args(a pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	a["org"], a["account"], a["source"], a["stream"] = k.Org, k.Account, string(k.Source), k.Stream
	return a
}

// String names the stream in errors and logs.
func (k StreamKey) String() string {
	return string(k.Source) + "." + k.Stream + " of account " + k.Account
}

// TimeRange is half-open: From is in it, To is not. Both are UTC.
type TimeRange struct {
	From, To time.Time
}

// StreamState is how far a stream is read and how it fares. Zero times and an empty LastError mean never.
type StreamState struct {
	Key        StreamKey
	Capability string
	// Covered is in order, without overlap.
	Covered []TimeRange
	// Origin is the lower end of the first live window.
	Origin        time.Time
	LastSuccessAt time.Time
	LastError     string
	LastErrorAt   time.Time
	Failures      int
	// RetryAt is when the stream may be tried again.
	RetryAt time.Time
	// Warning is why the latest read of the whole list marked nothing as missing, empty when it was judged; WarnedAt is when.
	Warning  string
	WarnedAt time.Time
}

const streamEnsureSQL = `
insert into ops.streams (org_id, account_id, source, stream, capability)
values (@org, @account, @source, @stream, @capability)
on conflict (org_id, account_id, source, stream) do update
set capability = excluded.capability
where streams.capability <> excluded.capability`

// EnsureStream makes the stream's row; capability is created or snapshot.
func (db *DB) EnsureStream(ctx context.Context, q Queryer, key StreamKey, capability string) error {
	if _, err := q.Exec(ctx, streamEnsureSQL, key.args(pgx.StrictNamedArgs{"capability": capability})); err != nil {
		return fmt.Errorf("making the row of stream %s: %w", key, err)
	}
	return nil
}

const streamReadSQL = `
select org_id, account_id, source, stream, capability,
  array(select lower(r) from unnest(covered) as r order by r) as lowers,
  array(select upper(r) from unnest(covered) as r order by r) as uppers,
  origin, last_success_at, last_error, last_error_at, failures, retry_at, warning, warned_at
from ops.streams
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream`

const streamLockSQL = streamReadSQL + `
for update`

// StreamState returns one stream, or ErrNotFound.
func (db *DB) StreamState(ctx context.Context, q Queryer, key StreamKey) (StreamState, error) {
	return readStream(ctx, q, streamReadSQL, key)
}

func readStream(ctx context.Context, q Queryer, sql string, key StreamKey) (StreamState, error) {
	rows, err := q.Query(ctx, sql, key.args(pgx.StrictNamedArgs{}))
	if err != nil {
		return StreamState{}, fmt.Errorf("reading stream %s: %w", key, err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanStream)
	if errors.Is(err, pgx.ErrNoRows) {
		return StreamState{}, fmt.Errorf("stream %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return StreamState{}, fmt.Errorf("reading stream %s: %w", key, err)
	}
	return s, nil
}

func scanStream(row pgx.CollectableRow) (StreamState, error) {
	var s StreamState
	var lowers, uppers []time.Time
	var origin, success, failed, retry, warned *time.Time
	var problem, warning *string
	err := row.Scan(&s.Key.Org, &s.Key.Account, &s.Key.Source, &s.Key.Stream, &s.Capability, &lowers, &uppers,
		&origin, &success, &problem, &failed, &s.Failures, &retry, &warning, &warned)
	if err != nil {
		return s, err
	}
	for i := range lowers {
		s.Covered = append(s.Covered, TimeRange{lowers[i].UTC(), uppers[i].UTC()})
	}
	s.Origin, s.LastSuccessAt, s.LastErrorAt, s.RetryAt = timeOf(origin), timeOf(success), timeOf(failed), timeOf(retry)
	s.LastError, s.Warning, s.WarnedAt = textOf(problem), textOf(warning), timeOf(warned)
	return s, nil
}

// The gaps within the coverage from its origin on, without what an open walk is about to read.
const streamHolesSQL = `
select lower(g), upper(g)
from ops.streams s
cross join lateral unnest(
  tstzmultirange(tstzrange(s.origin, upper(s.covered)))
  - s.covered
  - coalesce((
      select range_agg(w.time_window)
      from ops.walks w
      where w.org_id = s.org_id
        and w.account_id = s.account_id
        and w.source = s.source
        and w.stream = s.stream
        and w.state in ('ready', 'running')
        and w.filters = '{}'
        and w.time_window is not null), '{}')
) as g
where s.org_id = @org
  and s.account_id = @account
  and s.source = @source
  and s.stream = @stream
  and s.origin < upper(s.covered)
order by g`

// Holes returns the gaps of a stream's coverage that no open walk is going to read: each wants a walk of kind hole.
func (db *DB) Holes(ctx context.Context, q Queryer, key StreamKey) ([]TimeRange, error) {
	rows, err := q.Query(ctx, streamHolesSQL, key.args(pgx.StrictNamedArgs{}))
	if err != nil {
		return nil, fmt.Errorf("looking for holes of stream %s: %w", key, err)
	}
	holes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (TimeRange, error) {
		var r TimeRange
		err := row.Scan(&r.From, &r.To)
		return TimeRange{r.From.UTC(), r.To.UTC()}, err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for holes of stream %s: %w", key, err)
	}
	return holes, nil
}

const streamSucceededSQL = `
update ops.streams
set covered = case
      when @from::timestamptz < @to::timestamptz then covered + tstzmultirange(tstzrange(@from, @to))
      else covered
    end,
    origin = coalesce(origin, @origin),
    last_success_at = @now,
    last_error = null,
    last_error_at = null,
    failures = 0,
    retry_at = null
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream`

// streamSucceeded adds a walk's coverage, where it has any, and clears the marks of failure.
func streamSucceeded(ctx context.Context, tx pgx.Tx, key StreamKey, covers *TimeRange, live bool, now time.Time) error {
	args := key.args(pgx.StrictNamedArgs{"from": nil, "to": nil, "origin": nil, "now": now})
	if covers != nil {
		args["from"], args["to"] = micros(covers.From), micros(covers.To)
		if live {
			args["origin"] = args["from"]
		}
	}
	if _, err := tx.Exec(ctx, streamSucceededSQL, args); err != nil {
		return fmt.Errorf("adding to the coverage of stream %s: %w", key, err)
	}
	return nil
}

// The breaker: how long a stream rests after a failure (interface.md section 6).
const (
	breakerFirst = 250 * time.Millisecond
	breakerMost  = 5 * time.Second
)

const streamFailedSQL = `
update ops.streams
set last_error = @error,
    last_error_at = @now,
    failures = failures + 1,
    retry_at = @now::timestamptz + least(make_interval(secs => @most), make_interval(secs => @first) * power(2, least(failures, 10)))
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream`

// streamFailed notes why a stream's last walk failed, and lets the stream rest for a moment.
func streamFailed(ctx context.Context, tx pgx.Tx, key StreamKey, problem string, now time.Time) error {
	_, err := tx.Exec(ctx, streamFailedSQL, key.args(pgx.StrictNamedArgs{
		"error": cleanText(problem, maxWalkError), "now": now,
		"first": breakerFirst.Seconds(), "most": breakerMost.Seconds(),
	}))
	if err != nil {
		return fmt.Errorf("noting the failure of stream %s: %w", key, err)
	}
	return nil
}
