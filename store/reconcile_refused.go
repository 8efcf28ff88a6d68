package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// noRecordsFault tells whether a fold failed for reasons that lie in none of its records.
func noRecordsFault(ctx context.Context, err error) bool {
	return ctx.Err() != nil || Unavailable(err) && !TookTooLong(err) || errors.Is(err, errWake)
}

const queueDropSQL = `delete from ops.reconcile_queue where org_id = @org and record_id = @id`

// isolate folds a record with which a fold failed, but for what waits for its own turn: that may be at fault. If the record is, it
// goes into quarantine, where it says nothing, and what it belongs to is folded without it; its next version is tried anew. One
// that takes Postgres too long goes to the end of the queue instead, for the fault may be a slow disk's. It returns how many
// records it took from the queue.
func (r *Reconciler) isolate(ctx context.Context, org uuid.UUID, id int64, problem error) (int, error) {
	started := r.DB.Now()
	n := 0
	var out *folded
	if !TookTooLong(problem) {
		problem = r.DB.InTx(ctx, func(tx pgx.Tx) error {
			if err := lockFold(ctx, tx, org); err != nil {
				return err
			}
			// First, so that a version that lands meanwhile is queued anew.
			tag, err := tx.Exec(ctx, queueDropSQL, pgx.StrictNamedArgs{"org": org, "id": id})
			if err != nil || tag.RowsAffected() == 0 {
				return err // somebody else has folded it
			}
			n = 1
			out, err = r.foldAlone(ctx, tx, org, id)
			return err
		})
	}
	switch {
	case problem == nil && out != nil:
		r.tellFolded(out, started)
		return n, nil
	case TookTooLong(problem):
		return 0, errors.Join(fmt.Errorf("folding record %d took too long: %w", id, problem), r.putLast(ctx, org, id))
	case problem != nil:
		return 0, problem
	}
	return n, nil
}

// foldAlone folds a record with nothing that waits, or without what it says. It returns nil where neither goes.
func (r *Reconciler) foldAlone(ctx context.Context, tx pgx.Tx, org uuid.UUID, id int64) (*folded, error) {
	try := func(refusal error) (f *folded, err error) {
		f = newFolded(org, r.DB.Now(), []int64{id})
		f.alone = true
		if refusal != nil {
			f.refused = map[int64]error{id: refusal}
		}
		return f, pgx.BeginFunc(ctx, tx, func(sp pgx.Tx) error { return r.foldInto(ctx, sp, f) })
	}
	f, err := try(nil)
	if err == nil || noRecordsFault(ctx, err) || TookTooLong(err) {
		return f, err
	}
	problem := errors.New(Loggable(err))
	r.DB.Log.WarnContext(ctx, "a record cannot be folded and is set aside", "record_id", id, "error", problem.Error())
	if f, err = try(problem); err == nil || noRecordsFault(ctx, err) || TookTooLong(err) {
		return f, err
	}
	r.DB.Log.WarnContext(ctx, "what belongs to a record that was set aside cannot be folded", "record_id", id, "error", Loggable(err))
	return nil, r.shelve(ctx, tx, org, id, problem)
}

const recordKeysDropSQL = `delete from ops.record_keys where record_id = @id`

const recordBodySQL = `
select account_id, source, stream, object_id, payload::text
from ops.records
where record_id = @id`

// shelve puts a record into quarantine without folding anything. Its keys go, or it would stop whatever shares one with it.
func (r *Reconciler) shelve(ctx context.Context, tx pgx.Tx, org uuid.UUID, id int64, problem error) error {
	if _, err := tx.Exec(ctx, recordKeysDropSQL, pgx.StrictNamedArgs{"id": id}); err != nil {
		return fmt.Errorf("dropping the keys of record %d, which cannot be folded: %w", id, err)
	}
	q := QuarantineItem{Org: org, Reason: ReasonFacts, Error: problem.Error()}
	var body string
	err := tx.QueryRow(ctx, recordBodySQL, pgx.StrictNamedArgs{"id": id}).Scan(&q.Account, &q.Source, &q.Stream, &q.ObjectID, &body)
	if err != nil {
		return fmt.Errorf("reading record %d, which cannot be folded: %w", id, err)
	}
	q.Body = []byte(body)
	return r.DB.Quarantine(ctx, tx, q)
}

const queuedAmongSQL = `
select distinct record_id
from ops.reconcile_queue
where record_id = any(@ids)`

// leaveWaiting returns those of some records that do not wait for their own turn. The others say nothing until then, so that no
// opt-out of theirs is taken back.
func (f *folded) leaveWaiting(ctx context.Context, tx pgx.Tx, ids []int64) ([]int64, error) {
	rows, err := tx.Query(ctx, queuedAmongSQL, planned, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return nil, fmt.Errorf("asking what waits for its own turn: %w", err)
	}
	waiting, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("asking what waits for its own turn: %w", err)
	}
	for _, id := range waiting {
		f.unread[id] = true
	}
	return slices.DeleteFunc(ids, func(id int64) bool { return f.unread[id] }), nil
}

const queueLastSQL = `
with taken as (
  delete from ops.reconcile_queue
  where org_id = @org and record_id = @id
)
insert into ops.reconcile_queue (org_id, record_id)
values (@org, @id)`

// putLast lets the others go before a record.
func (r *Reconciler) putLast(ctx context.Context, org uuid.UUID, id int64) error {
	if _, err := r.DB.Pool.Exec(ctx, queueLastSQL, pgx.StrictNamedArgs{"org": org, "id": id}); err != nil {
		return fmt.Errorf("putting record %d last: %w", id, err)
	}
	return nil
}
