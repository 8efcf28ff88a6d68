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

// Rows are written in the order of their key everywhere, so that two daemons do not wait for each other. Names that are not here yet
// have what room is left; two daemons that fill it at once may each fill it.
const unknownsCountSQL = `
with told as (
  select n.stream, n.kind, n.name, n.seen, exists (
    select
    from ops.unknowns k
    where k.org_id = @org and k.account_id = @account and k.source = @source
      and k.stream = n.stream and k.kind = n.kind and k.name = n.name) as known
  from unnest(@streams::text[], @kinds::text[], @names::text[], @seen::bigint[]) as n (stream, kind, name, seen)
), placed as (
  select t.stream, t.kind, t.seen,
    case when t.known or t.name = any(@apart::text[]) or (
      select count(*)
      from ops.unknowns k
      where k.org_id = @org and k.account_id = @account and k.source = @source
        and k.stream = t.stream and k.kind = t.kind and k.name <> all(@apart::text[])
      ) + row_number() over (partition by t.stream, t.kind, t.known or t.name = any(@apart::text[]) order by t.name) <= @most::bigint
      then t.name else @others::text end as name
  from told t
)
insert into ops.unknowns as u (org_id, account_id, source, stream, kind, name, seen, first_seen_at, last_seen_at)
select @org, @account, @source, p.stream, p.kind, p.name, sum(p.seen), @now, @now
from placed p
group by p.stream, p.kind, p.name
order by p.stream, p.kind, p.name
on conflict (org_id, account_id, source, stream, kind, name) do update
set seen = u.seen + excluded.seen,
    last_seen_at = greatest(u.last_seen_at, excluded.last_seen_at)
returning u.stream, u.kind, u.name, u.first_seen_at = @now and u.last_seen_at = @now`

// Names that stand for others: for those past MaxUnknowns, and for one that may be somebody's number.
const (
	OtherUnknowns = "(others)"
	OddUnknown    = "(digits)"
)

// MaxUnknowns bounds the names of a stream and kind that are told apart; a vendor may make up a name for each item.
const MaxUnknowns = 200

// CountUnknowns adds to how often each was seen in an account, and returns those that had never been. Past MaxUnknowns names, further
// ones count as OtherUnknowns, whichever daemon met them.
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
			"apart": []string{OtherUnknowns, OddUnknown}, "others": OtherUnknowns, "most": int64(MaxUnknowns),
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
