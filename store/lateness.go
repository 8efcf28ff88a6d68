package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// latenessBounds are the upper bounds of the buckets, in order; what is later still goes into one of its own.
var latenessBounds = [...]time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 48 * time.Hour, 72 * time.Hour, 168 * time.Hour, 336 * time.Hour, 720 * time.Hour, 2160 * time.Hour,
}

// beyondLateness is the bound of the last bucket in seconds: the greatest integer.
const beyondLateness = 1<<31 - 1

func latenessBucket(late time.Duration) int32 {
	for _, bound := range latenessBounds {
		if late <= bound {
			return int32(bound / time.Second)
		}
	}
	return beyondLateness
}

// lateBy is how long after its creation a record changed, false for what is no change or has no time of creation. The
// source's own time tells when, where it moved; else the change was noticed when it was observed.
func (r *LandRecord) lateBy() (time.Duration, bool) {
	if r.landed != asChange || r.CreatedAt.IsZero() {
		return 0, false
	}
	at := r.ObservedAt
	if r.SourceTime.After(r.was) && r.SourceTime.Before(at) {
		at = r.SourceTime
	}
	return max(at.Sub(r.CreatedAt), 0), true
}

const latenessAddSQL = `
insert into ops.lateness as l (org_id, account_id, source, stream, up_to_s, changes, first_at, last_at)
select @org, @account, @source, @stream, g.up_to_s, g.changes, @now, @now
from unnest(@bounds::integer[], @changes::bigint[]) as g (up_to_s, changes)
order by g.up_to_s
on conflict (org_id, account_id, source, stream, up_to_s) do update
set changes = l.changes + excluded.changes,
    last_at = excluded.last_at`

// countLate adds the changes among landed records to their stream's histogram. It comes last in a transaction: others wait for
// its rows. A batch without changes costs nothing.
func (db *DB) countLate(ctx context.Context, tx pgx.Tx, t *Target, recs []LandRecord) error {
	counts := map[int32]int64{}
	for i := range recs {
		if late, ok := recs[i].lateBy(); ok {
			counts[latenessBucket(late)]++
		}
	}
	if len(counts) == 0 {
		return nil
	}
	bounds := slices.Sorted(maps.Keys(counts))
	changes := make([]int64, len(bounds))
	for i, b := range bounds {
		changes[i] = counts[b]
	}
	_, err := tx.Exec(ctx, latenessAddSQL, pgx.StrictNamedArgs{
		"org": t.Org, "account": t.Account, "source": string(t.Source), "stream": t.Stream, "bounds": bounds, "changes": changes, "now": db.Now(),
	})
	if err != nil {
		return fmt.Errorf("counting late changes of %s.%s: %w", t.Source, t.Stream, err)
	}
	return nil
}

// Lateness is how late the rows of a stream change after they were created.
type Lateness struct {
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
	Stream  string
	// Buckets count changes by the seconds they came after creation at most, in order.
	Buckets []LateBucket
}

// LateBucket counts the changes that came at most UpTo after creation, and later than the bucket before says; UpTo is below zero
// for any later.
type LateBucket struct {
	UpTo    time.Duration
	Changes int64
}

// Changes is the number of all changes.
func (l *Lateness) Changes() (n int64) {
	for _, b := range l.Buckets {
		n += b.Changes
	}
	return n
}

// Within is the number of changes that surely came within a time after creation: a bucket that reaches beyond it is left out.
func (l *Lateness) Within(reach time.Duration) (n int64) {
	for _, b := range l.Buckets {
		if b.UpTo >= 0 && b.UpTo <= reach {
			n += b.Changes
		}
	}
	return n
}

const latenessReadSQL = `
select org_id, account_id, source, stream, array_agg(up_to_s order by up_to_s), array_agg(changes order by up_to_s)
from ops.lateness
group by org_id, account_id, source, stream
order by org_id, account_id, source, stream`

// LatenessOfAll reads the histograms of all streams.
func (db *DB) LatenessOfAll(ctx context.Context, q Queryer) ([]Lateness, error) {
	rows, err := q.Query(ctx, latenessReadSQL)
	if err != nil {
		return nil, fmt.Errorf("reading how late rows change: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Lateness, error) {
		var l Lateness
		var bounds []int32
		var changes []int64
		err := row.Scan(&l.Org, &l.Account, &l.Source, &l.Stream, &bounds, &changes)
		for i, b := range bounds {
			bucket := LateBucket{UpTo: time.Duration(b) * time.Second, Changes: changes[i]}
			if b == beyondLateness {
				bucket.UpTo = -1
			}
			l.Buckets = append(l.Buckets, bucket)
		}
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading how late rows change: %w", err)
	}
	return all, nil
}
