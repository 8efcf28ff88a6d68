package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Refetched is what came of reading an object again.
type Refetched struct {
	Refetch Refetch
	Table   *TypedTable
	// Record is what the object said, nil when it is gone; Bad is set in its place when it could not be read.
	Record *LandRecord
	Bad    *QuarantineItem
	// AskedAt is when the request was sent.
	AskedAt time.Time
	// Enqueue is called in the transaction when something was written, and Wake when something was queued to be read again.
	Enqueue func(ctx context.Context, tx pgx.Tx, changed int) error
	Wake    func(ctx context.Context, tx pgx.Tx, at time.Time) error
}

const refetchDoneSQL = `
delete from ops.refetch
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id
  and lease_owner = @owner
  and wanted_at < @asked`

const refetchLaterSQL = `
update ops.refetch
set due_at = @due,
    tries = @tries,
    wanted_at = greatest(wanted_at, @asked),
    error = @error,
    lease_owner = null,
    lease_until = null
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id
  and lease_owner = @owner`

// SettleRefetch stores what came of a look: the record as a walk would store it, or that the object is gone, with the row that
// asked for it, which stays while the object is still open.
func (db *DB) SettleRefetch(ctx context.Context, d Refetched) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		t := Target{Org: d.Refetch.Key.Org, Account: d.Refetch.Key.Account, Source: d.Refetch.Key.Source, Stream: d.Refetch.Key.Stream, Table: d.Table}
		switch {
		case d.Record != nil:
			if err := db.landRefetched(ctx, tx, &t, &d); err != nil {
				return err
			}
		case d.Bad != nil:
			bad := *d.Bad
			bad.Org, bad.Account, bad.Source, bad.Stream = t.Org, t.Account, t.Source, t.Stream
			if err := db.Quarantine(ctx, tx, bad); err != nil {
				return err
			}
		default:
			if err := db.vanished(ctx, tx, &t, d.Refetch.ObjectID, d.AskedAt); err != nil {
				return err
			}
		}
		return db.answered(ctx, tx, &d)
	})
	if err != nil {
		return fmt.Errorf("storing %s %s: %w", d.Refetch.Key, d.Refetch.ObjectID, err)
	}
	return nil
}

func (db *DB) landRefetched(ctx context.Context, tx pgx.Tx, t *Target, d *Refetched) error {
	recs := []LandRecord{*d.Record}
	landed, rejected, err := db.LandEach(ctx, tx, *t, recs, LandOptions{Bump: true})
	if err != nil {
		return err
	}
	if len(rejected) > 0 {
		return db.Quarantine(ctx, tx, rejectedItem(t, &recs[0], rejected[0].Err))
	}
	if d.Enqueue != nil && landed.Written() > 0 {
		if err := d.Enqueue(ctx, tx, landed.Written()); err != nil {
			return fmt.Errorf("enqueueing what follows: %w", err)
		}
	}
	recs[0].Open = false // its own row is at hand
	if err := db.follow(ctx, tx, t, recs, d.Wake); err != nil {
		return err
	}
	return db.countLate(ctx, tx, t, recs)
}

// follow queues what written records ask for, and wakes those who read it.
func (db *DB) follow(ctx context.Context, tx pgx.Tx, t *Target, recs []LandRecord, wake func(context.Context, pgx.Tx, time.Time) error) error {
	due, err := db.queueRefetch(ctx, tx, t, recs)
	if err != nil || due.IsZero() || wake == nil {
		return err
	}
	return wake(ctx, tx, due)
}

// answered takes the object off the queue, unless it is still open or was asked for again meanwhile.
func (db *DB) answered(ctx context.Context, tx pgx.Tx, d *Refetched) error {
	r := &d.Refetch
	open := d.Record != nil && d.Record.Open && db.Now().Sub(d.Record.CreatedAt) < refetchFor
	if !open {
		tag, err := tx.Exec(ctx, refetchDoneSQL, r.args(pgx.StrictNamedArgs{"asked": d.AskedAt}))
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		return db.later(ctx, tx, r, touchedRest, 0, time.Time{}, "")
	}
	return db.later(ctx, tx, r, doubled(openRest, r.Tries+1), r.Tries+1, d.AskedAt, "")
}

// later puts a look off.
func (db *DB) later(ctx context.Context, q Queryer, r *Refetch, rest time.Duration, tries int, asked time.Time, problem string) error {
	var text *string
	if problem != "" {
		problem = cleanText(problem, maxWalkError)
		text = &problem
	}
	_, err := q.Exec(ctx, refetchLaterSQL, r.args(pgx.StrictNamedArgs{
		"due": db.Now().Add(rest), "tries": tries, "asked": timeOrNull(asked), "error": text,
	}))
	return err
}

func doubled(rest time.Duration, times int) time.Duration {
	for range times {
		if rest *= 2; rest >= mostRest {
			return mostRest
		}
	}
	return rest
}

const refetchForgetSQL = `
delete from ops.refetch
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id
  and lease_owner = @owner`

// FailRefetch puts a look that failed off, longer each time, and gives the object up to re-scans and sweeps in the end, which
// it then says.
func (db *DB) FailRefetch(ctx context.Context, r *Refetch, problem string) (givenUp bool, err error) {
	if db.Now().Sub(r.QueuedAt) >= refetchFor {
		return true, db.refetchExec(ctx, "giving up", refetchForgetSQL, r, pgx.StrictNamedArgs{})
	}
	err = db.onConn(ctx, func(q Queryer) error {
		return db.later(ctx, q, r, doubled(failedRest, r.Tries), r.Tries+1, time.Time{}, problem)
	})
	if err != nil {
		return false, fmt.Errorf("putting off %s %s: %w", r.Key, r.ObjectID, err)
	}
	return false, nil
}

// vanished marks an object's row as missing, unless it was observed since it was asked for.
func (db *DB) vanished(ctx context.Context, tx pgx.Tx, t *Target, objectID string, asked time.Time) error {
	if t.Table == nil || !t.Table.Missing {
		return nil
	}
	t.Table.prepare()
	_, err := tx.Exec(ctx, t.Table.vanish, t.Org, t.Account, string(t.Source), t.Stream, micros(asked), objectID, db.Now())
	if err != nil {
		return fmt.Errorf("marking a row of %s.%s as missing: %w", t.Table.Schema, t.Table.Name, err)
	}
	return nil
}
