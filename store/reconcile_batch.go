package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// batch is one transaction of a drain: some queued records with what is queued of the same leads. It is read and computed first,
// and then written.
type batch struct {
	org  uuid.UUID
	lock foldLock
	// seeds are the records it began with, also where it failed.
	seeds []int64
	// f is nil where there was nothing to fold, or somebody else is at it.
	f *folded
	// took is how long it was worked on, waits for other batches left out.
	took time.Duration

	conn *pgxpool.Conn
	tx   pgx.Tx
	// after is the batch that ends before this one does, nil for none.
	after *batch
	// written is closed when the transaction has ended; err then says how.
	written chan struct{}
	err     error
}

// A record is of one organisation, so that its number alone finds it: asked for both, Postgres reads all of the queue. For the same
// reason an organisation is asked for as a range of the queue's own order: of a queue that nobody has counted, Postgres takes any one
// organisation's part for a few rows, which it reads whole and sorts.
const reconcileClaimSQL = `
with claimed as (
  select record_id
  from ops.reconcile_queue
  where (org_id, queue_id) >= (@org, 0)
    and (org_id, queue_id) <= (@org, 9223372036854775807)
  order by org_id, queue_id
  limit @most
  for update skip locked
)
delete from ops.reconcile_queue
where record_id = any (array (select record_id from claimed))
returning record_id`

// read begins a batch with up to a number of queued records, and computes what they come to. The batch is returned in any case; where
// it failed, or has nothing to write, its transaction is over.
func (r *Reconciler) read(ctx context.Context, org uuid.UUID, lock foldLock, most int) (b *batch, err error) {
	started := r.DB.Now()
	b = &batch{org: org, lock: lock, written: make(chan struct{})}
	defer func() {
		if b.f == nil {
			b.drop(ctx)
		}
	}()
	defer r.shield(ctx, org, &err)
	if b.conn, err = r.DB.acquire(ctx); err != nil {
		return b, err
	}
	if b.tx, err = b.conn.Begin(ctx); err != nil {
		return b, fmt.Errorf("beginning a batch: %w", err)
	}
	f, err := r.readInto(ctx, b, most)
	if errors.Is(err, errTurnWaits) {
		return b, nil
	}
	if err != nil || f == nil {
		return b, err
	}
	b.f, b.took = f, r.DB.Now().Sub(started)
	return b, nil
}

func (r *Reconciler) readInto(ctx context.Context, b *batch, most int) (*folded, error) {
	got, err := b.lock(ctx, b.tx, b.org)
	if err != nil || !got {
		return nil, err
	}
	rows, err := b.tx.Query(ctx, reconcileClaimSQL, planned, pgx.StrictNamedArgs{"org": b.org, "most": most})
	if err != nil {
		return nil, fmt.Errorf("claiming records: %w", err)
	}
	b.seeds, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(b.seeds) == 0 {
		return nil, err
	}
	f := newFolded(b.org, r.DB.Now(), b.seeds)
	f.splits = len(f.seeds)
	if err := r.compute(ctx, b.tx, f); err != nil {
		return nil, err
	}
	f.forget()
	return f, f.choose(ctx, b.tx)
}

// drop ends a batch that is not to be written, if it has not ended.
func (b *batch) drop(ctx context.Context) {
	if b.conn == nil {
		return
	}
	if b.tx != nil {
		_ = b.tx.Rollback(ctx) // where that fails the connection is closed, which has the same effect
	}
	b.conn.Release()
	b.conn = nil
}

// shield makes an error of a panic: a fault of ours in the midst of a fold must not end the daemon, nor the batch beside it. What it
// happened to is then tried in parts, like anything else that fails.
func (r *Reconciler) shield(ctx context.Context, org uuid.UUID, err *error) {
	if p := recover(); p != nil {
		r.DB.Log.ErrorContext(ctx, "a fold panicked", "org_id", org, "stack", string(debug.Stack()))
		*err = fmt.Errorf("a fold panicked: %T", p)
	}
}

// write writes a batch that was read, and commits it.
func (r *Reconciler) write(ctx context.Context, b *batch) (err error) {
	started := r.DB.Now()
	defer func() {
		if err != nil {
			b.drop(ctx)
			return
		}
		err = b.tx.Commit(ctx)
		b.conn.Release()
		b.conn = nil
		b.took += r.DB.Now().Sub(started)
	}()
	defer r.shield(ctx, b.org, &err)
	b.f.now = started
	if err := r.writeApart(ctx, b.tx, b.f); err != nil {
		return err
	}
	if b.after != nil {
		waited := r.DB.Now()
		<-b.after.written
		b.took -= r.DB.Now().Sub(waited)
		b.after = nil
	}
	return r.writeInTurn(ctx, b.tx, b.f)
}

// foldBatch reads and writes one batch, with nothing beside it, and again with fewer records where it fails, down to one: that one is
// set aside, and never stops the others (law 13). One that takes Postgres too long goes to the end of the queue instead, for the fault
// may be a slow disk's. It returns how many records it folded: none when somebody else is folding. most is how many to begin with, and
// is left at how many should be taken next.
func (r *Reconciler) foldBatch(ctx context.Context, org uuid.UUID, lock foldLock, most *int) (int, error) {
	for ; ; *most = fewer(*most) {
		b, err := r.read(ctx, org, lock, *most)
		if err == nil && b.f == nil {
			return 0, nil
		}
		if err == nil {
			err = r.write(ctx, b)
		}
		switch last := *most == 1 && len(b.seeds) == 1; {
		case err == nil:
			*most = r.noteFolded(b, *most)
			return len(b.f.seeds), nil
		case stops(ctx, err), len(b.seeds) == 0 && !errors.Is(err, errTooMuch):
			return 0, err
		case last && TookTooLong(err):
			return 0, errors.Join(fmt.Errorf("folding record %d took too long: %w", b.seeds[0], err), r.putLast(ctx, org, b.seeds[0]))
		case last:
			return 1, r.setAside(ctx, org, b.seeds[0], err)
		}
	}
}

// stops tells whether a batch failed of something that would make every other one fail too.
func stops(ctx context.Context, err error) bool {
	return ctx.Err() != nil || Unavailable(err) && !TookTooLong(err) || errors.Is(err, errWake)
}

// fewer is how many records to begin with after so many have failed.
func fewer(most int) int { return max(1, most/8) }

// noteFolded tells of a batch that is committed, and returns how many records the next one should begin with after most: fewer where this
// one kept others waiting for long, or read more than it should.
func (r *Reconciler) noteFolded(b *batch, most int) int {
	r.tellSped(b.f)
	if r.Observe != nil {
		r.Observe(len(b.f.seeds), len(b.f.result.Leads), len(b.f.result.Calls), b.took)
	}
	if b.took > reconcileHold {
		return max(1, most/2)
	}
	return max(1, min(r.batchSize(), most*4, len(b.seeds)*r.batchSize()*reconcileRead/max(1, len(b.f.told))))
}
