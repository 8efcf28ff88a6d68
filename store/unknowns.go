package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Kinds of an Unknown: a member of an object, a type of object, a value that cannot be read as its column.
const (
	UnknownField = "field"
	UnknownType  = "type"
	UnknownValue = "value"
)

// Unknown is something that a stream holds and nobody here knows of.
type Unknown struct {
	Stream, Kind, Name string
}

// UnknownGauge counts what a stream holds and nobody here knows of: how many names, and how often they were read.
type UnknownGauge struct {
	Source, Stream, Kind string
	Names, Seen          float64
}

const unknownGaugesSQL = `
select source, stream, kind, count(distinct name)::double precision, sum(seen)::double precision
from ops.unknowns
group by source, stream, kind
order by source, stream, kind`

// Rows are written in the order of their key everywhere, so that two daemons do not wait for each other.
const unknownsCountSQL = `
insert into ops.unknowns as u (org_id, account_id, source, stream, kind, name, seen, first_seen_at, last_seen_at)
select @org, @account, @source, n.stream, n.kind, n.name, n.seen, @now, @now
from unnest(@streams::text[], @kinds::text[], @names::text[], @seen::bigint[]) as n (stream, kind, name, seen)
order by n.stream, n.kind, n.name
on conflict (org_id, account_id, source, stream, kind, name) do update
set seen = u.seen + excluded.seen,
    last_seen_at = greatest(u.last_seen_at, excluded.last_seen_at)
returning u.stream, u.kind, u.name, u.first_seen_at = @now and u.last_seen_at = @now`

// CountUnknowns adds to how often each was seen in an account, and returns those that had never been.
func (db *DB) CountUnknowns(ctx context.Context, key StreamKey, counts map[Unknown]int64) ([]Unknown, error) {
	all := slices.SortedFunc(maps.Keys(counts), func(a, b Unknown) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	var streams, kinds, names []string
	var seen []int64
	for _, what := range all {
		streams, kinds, names, seen = append(streams, what.Stream), append(kinds, what.Kind), append(names, what.Name), append(seen, counts[what])
	}
	var fresh []Unknown
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, unknownsCountSQL, pgx.StrictNamedArgs{
			"org": key.Org, "account": key.Account, "source": string(key.Source), "streams": streams, "kinds": kinds, "names": names, "seen": seen, "now": db.Now(),
		})
		if err != nil {
			return err
		}
		var what Unknown
		var first bool
		_, err = pgx.ForEachRow(rows, []any{&what.Stream, &what.Kind, &what.Name, &first}, func() error {
			if first {
				fresh = append(fresh, what)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("counting what nobody knows of: %w", err)
	}
	return fresh, nil
}
