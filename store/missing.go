package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// prepareMissing builds the statements of a table with missing_since. Records are locked before rows of the table, and both in
// the order of their ids, as Land does. Rows that are back are looked up one by one, where any are missing: in years many may have gone
// for good.
func (t *TypedTable) prepareMissing(table, key string) {
	t.back = `
with back as materialized (
  select m.key
  from unnest($3::text[], $4::timestamptz[]) as g (object_id, observed_at)
  cross join lateral (
    select t.` + key + ` as key
    from ` + table + ` t
    where t.org_id = $1
      and t.account_id = $2
      and t.` + key + `::text = g.object_id
      and t.missing_since is not null
      and t.missing_since < g.observed_at
    limit 1
    for no key update
  ) m
  where exists (
    select
    from ` + table + `
    where org_id = $1
      and account_id = $2
      and missing_since is not null)
)
update ` + table + ` t
set missing_since = null,
    changed_at = $5
from back
where t.org_id = $1
  and t.account_id = $2
  and t.` + key + ` = back.key`
	unseen := `
  from ` + table + ` t
  join ops.records r
    on r.org_id = t.org_id
    and r.account_id = t.account_id
    and r.source = $3
    and r.stream = $4
    and r.object_id = t.` + key + `::text
  where t.org_id = $1
    and t.account_id = $2
    and t.missing_since is null
    and r.observed_at < $5
    and not exists (
      select
      from ops.quarantine q
      where q.org_id = r.org_id
        and q.account_id = r.account_id
        and q.source = r.source
        and q.stream = r.stream
        and q.object_id = r.object_id
        and q.reason <> $6
        and q.last_seen_at >= $5)`
	t.gone = `
select
  (select count(*) from ` + table + ` where org_id = $1 and account_id = $2 and missing_since is null),
  (select count(*)` + unseen + `),
  (select count(*)
   from ops.quarantine
   where org_id = $1
     and account_id = $2
     and source = $3
     and stream = $4
     and object_id = ''
     and last_seen_at >= $5)`
	t.mark = `
with gone as materialized (
  select t.` + key + ` as key` + unseen + `
  order by r.object_id
  for no key update of r
)
update ` + table + ` t
set missing_since = $5,
    changed_at = $7
from gone
where t.org_id = $1
  and t.account_id = $2
  and t.` + key + ` = gone.key`
	t.vanish = `
with gone as materialized (
  select r.object_id
  from ops.records r
  where r.org_id = $1
    and r.account_id = $2
    and r.source = $3
    and r.stream = $4
    and r.object_id = $6
    and r.observed_at < $5
  for no key update
)
update ` + table + ` t
set missing_since = $5,
    changed_at = $7
from gone
where t.org_id = $1
  and t.account_id = $2
  and t.` + key + `::text = gone.object_id
  and t.missing_since is null`
}

// seenAgain takes the mark off rows that were marked as missing and have been observed since.
func (l *landing) seenAgain(ctx context.Context, obs []*observation) error {
	if l.t.Table == nil || !l.t.Table.Missing || len(obs) == 0 {
		return nil
	}
	l.t.Table.prepare()
	at := make([]time.Time, len(obs))
	for i, o := range obs {
		at[i] = o.observedAt
	}
	_, err := l.tx.Exec(ctx, l.t.Table.back, planned, l.t.Org, l.t.Account, objectIDs(obs), at, l.now)
	if err != nil {
		return fmt.Errorf("looking for rows that are back in %s.%s: %w", l.t.Table.Schema, l.t.Table.Name, err)
	}
	return nil
}

const missingOweSQL = `
update ops.streams
set missing_due = greatest(missing_due, @since)
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream`

// OweMissing notes in the caller's transaction that a read of the stream's whole list, begun at since, has come to its end:
// what it has not seen is to be looked for by JudgeMissing. While that is owed, every observation raises its record's
// observed_at.
func (db *DB) OweMissing(ctx context.Context, tx pgx.Tx, key StreamKey, since time.Time) error {
	if _, err := tx.Exec(ctx, missingOweSQL, key.args(pgx.StrictNamedArgs{"since": micros(since)})); err != nil {
		return fmt.Errorf("noting a whole read of stream %s: %w", key, err)
	}
	return nil
}

const missingDueSQL = `
select s.org_id, s.account_id, s.source, s.stream
from ops.streams s
where s.missing_due is not null
  and not exists (
    select
    from river.river_job j
    where j.kind = 'missing'
      and j.state = 'available'
      and j.args ->> 'stream' = s.stream)`

// MissingDue lists streams whose whole read waits to be judged and that no job is on its way to.
func (db *DB) MissingDue(ctx context.Context, q Queryer) ([]StreamKey, error) {
	rows, err := q.Query(ctx, missingDueSQL)
	if err != nil {
		return nil, fmt.Errorf("looking for whole reads to judge: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[StreamKey])
}

// Judgement is what became of a read of a whole list.
type Judgement struct {
	// Since is when the read began, zero when there was none to judge.
	Since time.Time
	// Present rows were not marked before, Gone of them were not seen, and Marked were marked now.
	Present, Gone, Marked int
	// Refused says why nothing was marked although rows are gone; empty otherwise.
	Refused string
}

const missingLockSQL = `
select pg_try_advisory_xact_lock(hashtextextended(concat_ws('/', 'trunkline.missing', @org::uuid, @account::text, @source::text, @stream::text), 0))`

const missingSinceSQL = `
select missing_due
from ops.streams
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream`

const missingSettleSQL = `
update ops.streams
set missing_due = nullif(missing_due, @since),
    warning = @warning,
    warned_at = case when @warning::text is not null then @now::timestamptz end
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream`

// A list of millions takes longer than any other statement may.
const missingPatienceSQL = `set local statement_timeout = '100s'`

// JudgeMissing marks the rows that the stream's latest whole read has not seen, as of when it began, and deletes nothing (law
// 8). It marks none, and says so at the stream, when more than a share of the present rows would be marked, or when an item
// was read whose id nobody could make out: it may be any of them. Whole reads that nobody has noted, and those that another
// daemon is judging, are passed over.
func (db *DB) JudgeMissing(ctx context.Context, key StreamKey, table *TypedTable, share float64) (Judgement, error) {
	table.prepare()
	var j Judgement
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		since, err := missingSince(ctx, tx, key)
		if err != nil || since.IsZero() {
			return err
		}
		j.Since = since
		if _, err := tx.Exec(ctx, missingPatienceSQL); err != nil {
			return err
		}
		unknown := 0
		args := []any{planned, key.Org, key.Account, string(key.Source), key.Stream, since, ReasonFacts}
		if err := tx.QueryRow(ctx, table.gone, args...).Scan(&j.Present, &j.Gone, &unknown); err != nil {
			return err
		}
		switch {
		case j.Gone == 0:
		case unknown > 0:
			j.Refused = fmt.Sprintf("the whole read lacks %d of %d objects, and has %d that could not be read: none is marked missing", j.Gone, j.Present, unknown)
		case float64(j.Gone) > share*float64(j.Present):
			j.Refused = fmt.Sprintf("the whole read lacks %d of %d objects, more than the share of %g: none is marked missing", j.Gone, j.Present, share)
		default:
			tag, err := tx.Exec(ctx, table.mark, append(args, db.Now())...)
			if err != nil {
				return err
			}
			j.Marked = int(tag.RowsAffected())
		}
		var warning *string
		if j.Refused != "" {
			warning = &j.Refused
		}
		_, err = tx.Exec(ctx, missingSettleSQL, key.args(pgx.StrictNamedArgs{"since": since, "warning": warning, "now": db.Now()}))
		return err
	})
	if err != nil {
		return Judgement{}, fmt.Errorf("judging a whole read of stream %s: %w", key, err)
	}
	return j, nil
}

// missingSince returns when the read to be judged began, zero when there is none or another daemon is at it.
func missingSince(ctx context.Context, tx pgx.Tx, key StreamKey) (time.Time, error) {
	var free bool
	if err := tx.QueryRow(ctx, missingLockSQL, key.args(pgx.StrictNamedArgs{})).Scan(&free); err != nil || !free {
		return time.Time{}, err
	}
	var since *time.Time
	err := tx.QueryRow(ctx, missingSinceSQL, key.args(pgx.StrictNamedArgs{})).Scan(&since)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return timeOf(since), err
}
