package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// DriftGone returns those of some stored objects that are still not marked as missing, and were not read since they were asked for.
func (db *DB) DriftGone(ctx context.Context, key StreamKey, table *TypedTable, ids []string, asked time.Time) (present []string, err error) {
	name, column := pgx.Identifier{table.Schema, table.Name}.Sanitize(), pgx.Identifier{table.Key}.Sanitize()
	err = db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, `
select t.`+column+`::text
from `+name+` t
join ops.records r
  on r.org_id = t.org_id and r.account_id = t.account_id and r.source = $3 and r.stream = $4 and r.object_id = t.`+column+`::text
where t.org_id = $1 and t.account_id = $2 and t.`+column+` = any($5::text[]::bigint[]) and t.missing_since is null and r.observed_at <= $6
order by 1`, key.Org, key.Account, string(key.Source), key.Stream, ids, micros(asked))
		if err != nil {
			return err
		}
		present, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for objects of %s that are gone: %w", key, err)
	}
	return present, nil
}

const driftAbsentSQL = `
select g.object_id
from unnest(@objects::text[]) as g (object_id)
where not exists (
    select
    from ops.records r
    where r.org_id = @org and r.account_id = @account and r.source = @source and r.stream = @stream and r.object_id = g.object_id)
  and not exists (
    select
    from ops.quarantine q
    where q.org_id = @org and q.account_id = @account and q.source = @source and q.stream = @stream and q.object_id = g.object_id and q.state = 'open')`

// DriftAbsent returns those of the vendor's objects that are neither stored, nor in quarantine, nor of somebody who was erased. It
// writes nothing.
func (db *DB) DriftAbsent(ctx context.Context, key StreamKey, told []LandRecord) (absent []string, err error) {
	err = db.looking(ctx, func(tx pgx.Tx) error {
		ids := make([]string, len(told))
		for i := range told {
			ids[i] = told[i].ObjectID
		}
		rows, err := tx.Query(ctx, driftAbsentSQL, key.args(pgx.StrictNamedArgs{"objects": ids}))
		if err != nil {
			return err
		}
		if absent, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(absent) == 0 {
			return err
		}
		var recs []*LandRecord
		for i := range told {
			if r := told[i]; slices.Contains(absent, r.ObjectID) {
				recs = append(recs, &r)
			}
		}
		t := Target{Org: key.Org, Account: key.Account, Source: key.Source, Stream: key.Stream}
		if _, _, err := db.keepOut(ctx, tx, &t, recs); err != nil {
			return err
		}
		absent = nil
		for _, r := range recs {
			if !r.erased {
				absent = append(absent, r.ObjectID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for missing objects of %s: %w", key, err)
	}
	return absent, nil
}

// ErrRefused means that Postgres cannot hold what the vendor says.
var ErrRefused = errors.New("postgres refuses what the vendor says")

// RewriteTyped writes the typed row of a record anew, where the record holds what is given. It fails with ErrRefused where no record can.
func (db *DB) RewriteTyped(ctx context.Context, key StreamKey, table *TypedTable, r *LandRecord) error {
	table.prepare()
	l := landing{t: &Target{Org: key.Org, Account: key.Account, Source: key.Source, Stream: key.Stream, Table: table}, now: db.Now()}
	row, err := l.typedJSON([]*observation{{LandRecord: r, observedAt: micros(r.ObservedAt)}})
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", key, r.ObjectID, err)
	}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		var same bool
		err := tx.QueryRow(ctx, `
select payload = @payload::jsonb
from ops.records
where org_id = @org and account_id = @account and source = @source and stream = @stream and object_id = @object
for update`, key.args(pgx.StrictNamedArgs{"object": r.ObjectID, "payload": string(r.Payload)})).Scan(&same)
		if err != nil && refusedData(err) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if err != nil || !same {
			return err
		}
		_, err = tx.Exec(ctx, table.upsert, row)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing the row of %s %s anew: %w", key, r.ObjectID, err)
	}
	return nil
}
