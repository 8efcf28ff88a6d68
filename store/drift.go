package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The kinds of drift: what may be wrong with an object that is stored, or should be.
const (
	// DriftMissing is an object that the vendor lists, within what is covered, and that is not stored.
	DriftMissing = "missing"
	// DriftExtra is a stored object that the vendor no longer has, and that is not marked so.
	DriftExtra = "extra"
	// DriftStale is an object that has changed at the vendor since it was read.
	DriftStale = "stale"
	// DriftMapped is an object whose record is as the vendor says, while its typed row or the pipeline says otherwise.
	DriftMapped = "mapped_wrong"
)

// DriftFinding is one object with which something is wrong.
type DriftFinding struct {
	Kind, ObjectID string
	// Detail says what differs, by names only.
	Detail string
	// Repair is the command that mends it.
	Repair string
}

// DriftRun is one look at a sample of a stream.
type DriftRun struct {
	ID                    uuid.UUID
	Key                   StreamKey
	StartedAt, FinishedAt time.Time
	// Compared counts stored objects that the vendor was asked for, Listed objects of its list that were looked for here.
	Compared, Listed int
	Findings         []DriftFinding
	// Error is why the look ended early, empty when it did not.
	Error string
}

// Count counts the findings of a kind.
func (r *DriftRun) Count(kind string) int {
	n := 0
	for _, f := range r.Findings {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

// driftKept is how long looks are kept.
const driftKept = 365 * 24 * time.Hour

const driftRunPutSQL = `
insert into ops.drift_runs (run_id, org_id, account_id, source, stream, started_at, finished_at, compared, listed, missing, extra, stale, mapped_wrong, error)
values (@id, @org, @account, @source, @stream, @started, @finished, @compared, @listed, @missing, @extra, @stale, @mapped, @error)`

const driftFindingsPutSQL = `
insert into ops.drift_findings (run_id, kind, object_id, detail, repair)
select @id, g.kind, g.object_id, g.detail, g.repair
from unnest(@kinds::text[], @objects::text[], @details::text[], @repairs::text[]) as g (kind, object_id, detail, repair)`

const driftForgetSQL = `delete from ops.drift_runs where started_at < @before`

// PutDrift keeps a look, and forgets those of more than a year ago.
func (db *DB) PutDrift(ctx context.Context, r *DriftRun) error {
	var problem *string
	if r.Error != "" {
		text := cleanText(r.Error, maxWalkError)
		problem = &text
	}
	n := len(r.Findings)
	kinds, objects, details, repairs := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, f := range r.Findings {
		kinds[i], objects[i], details[i], repairs[i] = f.Kind, f.ObjectID, f.Detail, f.Repair
	}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, driftRunPutSQL, r.Key.args(pgx.StrictNamedArgs{
			"id": r.ID, "started": r.StartedAt, "finished": r.FinishedAt, "compared": r.Compared, "listed": r.Listed, "error": problem,
			"missing": r.Count(DriftMissing), "extra": r.Count(DriftExtra), "stale": r.Count(DriftStale), "mapped": r.Count(DriftMapped),
		}))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, driftFindingsPutSQL, pgx.StrictNamedArgs{"id": r.ID, "kinds": kinds, "objects": objects, "details": details, "repairs": repairs})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, driftForgetSQL, pgx.StrictNamedArgs{"before": r.StartedAt.Add(-driftKept)})
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping what a look at %s found: %w", r.Key, err)
	}
	return nil
}

// DriftState is the latest look at a stream, in numbers.
type DriftState struct {
	Source, Stream                                       string
	CheckedAt                                            time.Time
	Compared, Listed, Missing, Extra, Stale, MappedWrong int
	// Error is why the look ended early, empty when it did not.
	Error string
}

// State is the look in numbers.
func (r *DriftRun) State() DriftState {
	return DriftState{
		Source: string(r.Key.Source), Stream: r.Key.Stream, CheckedAt: r.StartedAt, Compared: r.Compared, Listed: r.Listed, Error: r.Error,
		Missing: r.Count(DriftMissing), Extra: r.Count(DriftExtra), Stale: r.Count(DriftStale), MappedWrong: r.Count(DriftMapped),
	}
}

const driftLatestSQL = `
select distinct on (source, stream, org_id, account_id)
  source, stream, started_at, compared, listed, missing, extra, stale, mapped_wrong, coalesce(error, '')
from ops.drift_runs
order by source, stream, org_id, account_id, started_at desc`

// DriftLatest reads the latest look at each stream, of all organisations.
func (db *DB) DriftLatest(ctx context.Context, q Queryer) ([]DriftState, error) {
	rows, err := q.Query(ctx, driftLatestSQL)
	if err != nil {
		return nil, fmt.Errorf("reading the latest looks for drift: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DriftState])
	if err != nil {
		return nil, fmt.Errorf("reading the latest looks for drift: %w", err)
	}
	return list, nil
}

// DriftLate is for how many seconds longer than two steps of its schedule nothing of a stream was compared, negative while it is in
// time.
type DriftLate struct {
	Source, Stream string
	Overdue        float64
}

// A look waits for its turn behind all other work, so one step is given to it.
const driftLateSQL = `
select n.source, n.stream, extract(epoch from @now::timestamptz - r.at - 2 * (d.next_slot - d.last_slot))::double precision
from unnest(@schedules::text[], @sources::text[], @streams::text[]) as n (schedule, source, stream)
join ops.schedules d
  on d.name = n.schedule
join (
  select source, stream, max(started_at) as at
  from ops.drift_runs
  where error is null or compared > 0
  group by source, stream
) r on r.source = n.source and r.stream = n.stream
where d.last_slot is not null
order by n.source, n.stream`

// DriftSchedule names the schedule of the looks at a stream.
func DriftSchedule(key StreamKey) string { return string(key.Source) + "." + key.Stream + ".drift" }

// DriftOverdue tells how late the looks at some streams are. One whose schedule is off, and one that was never looked
// at, is left out.
func (db *DB) DriftOverdue(ctx context.Context, q Queryer, keys []StreamKey) ([]DriftLate, error) {
	var schedules, sources, streams []string
	for _, key := range keys {
		schedules, sources, streams = append(schedules, DriftSchedule(key)), append(sources, string(key.Source)), append(streams, key.Stream)
	}
	rows, err := q.Query(ctx, driftLateSQL, pgx.StrictNamedArgs{"schedules": schedules, "sources": sources, "streams": streams, "now": db.Now()})
	if err != nil {
		return nil, fmt.Errorf("reading how late looks for drift are: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DriftLate])
	if err != nil {
		return nil, fmt.Errorf("reading how late looks for drift are: %w", err)
	}
	return list, nil
}

const driftGoingSQL = `
select exists (
  select
  from river.river_job
  where kind = 'drift'
    and state in ('available', 'scheduled', 'retryable', 'running')
    and args ->> 'stream' = @stream
    and args ->> 'source' = @source
    and args ->> 'account' = @account
    and args ->> 'org' = @org::uuid::text)`

// DriftGoing tells whether a job that looks at the stream is under way, or waits.
func (db *DB) DriftGoing(ctx context.Context, q Queryer, key StreamKey) (bool, error) {
	var going bool
	if err := q.QueryRow(ctx, driftGoingSQL, key.args(pgx.StrictNamedArgs{})).Scan(&going); err != nil {
		return false, fmt.Errorf("asking whether %s is being looked at: %w", key, err)
	}
	return going, nil
}

// errLooked ends a transaction that must leave nothing behind.
var errLooked = errors.New("looked")

// looking runs fn in a transaction of which nothing stays.
func (db *DB) looking(ctx context.Context, fn func(tx pgx.Tx) error) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errLooked
	})
	if errors.Is(err, errLooked) {
		return nil
	}
	return err
}
