package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Reconciler folds new records into the pipeline. Its fields are set once, before use.
type Reconciler struct {
	DB *DB
	// Facts turns a record into facts; an error puts the record into quarantine, where its facts say nothing.
	Facts func(*pipeline.Record) (pipeline.Facts, error)
	// Rules are those that hold for every organisation; what operators set for one is laid over them: see RulesOf.
	Rules pipeline.Rules
	// MaxAge is how old a lead may be to be pushed by itself (law 7), counted from its earliest source time.
	MaxAge time.Duration
	// Blockers are the destinations that must hear of an opt-out.
	Blockers []string
	// LocalBlockers are diallers that cannot be told of an opt-out: our own check blocks it, and a settled row says so.
	LocalBlockers []string
	// Wake is called in the transaction with the destinations that got deliveries; it may be nil.
	Wake func(ctx context.Context, tx pgx.Tx, destinations []string) error
	// WakeWebhooks is called in the transaction when it ordered webhooks. Where it is nil nothing is told of: a rebuild, which
	// brings about nothing new, sets none (law 7).
	WakeWebhooks func(ctx context.Context, tx pgx.Tx) error
	// Batch is how many queued records one transaction begins with at the most; 0 means 150. Whatever else is queued of the same
	// leads is folded with them, so that it need not be large for a lead to be folded once, and a small one keeps memory low.
	Batch int
	// Observe is told of every batch; it may be nil.
	Observe func(records, leads, calls int, took time.Duration)
	// Sped is told how long after its lead came to be a first push was ordered (ready), or a pushed lead was first dialled or
	// answered; it may be nil.
	Sped func(destination, step string, took time.Duration)
	// Tells says whether an update_lead with these parameters, of a lead that the destination was told as one and that is now the
	// other, would tell it anything: it may have no field for what changed. Where it is nil, or says yes in error, the update is
	// decided away when its turn has come.
	Tells func(destination string, params json.RawMessage, was, now pipeline.LeadView) bool

	// repairing makes a fold write every row, whatever the stored hashes say, and push nothing (law 7).
	repairing bool
}

// reconcileBatch is Reconciler.Batch where nothing else is said.
const reconcileBatch = 150

// reconcileHold is how long a batch may keep its organisation to itself before the next one is made smaller: a write whose
// answer shows its result waits for it.
const reconcileHold = time.Second

// reconcileRead is about how many records a batch may read for each that it may begin with. It keeps the memory of a fold, some
// kilobytes a record, from growing with the history of leads.
const reconcileRead = 4

// errTooMuch stops a batch with which far more belongs together than it may read, before that is read.
var errTooMuch = errors.New("too much belongs together with the batch")

// Organisations take turns: one with a long queue keeps no other waiting.
const reconcileOrgSQL = `
select org_id
from ops.reconcile_queue
where org_id > @last
  and not org_id = any(@busy)
order by org_id
limit 1`

// Drain folds until nothing is left to fold that another daemon is not at work on, or its turn is over: then it returns
// ErrMore. It returns how many records it folded.
func (r *Reconciler) Drain(ctx context.Context) (int, error) {
	total := 0
	busy := []uuid.UUID{}
	most := r.batchSize()
	keyed, last := map[uuid.UUID]*ahead{}, uuid.Nil
	for over := r.DB.Now().Add(drainTurn); ; {
		if !r.DB.Now().Before(over) {
			return total, ErrMore
		}
		var org uuid.UUID
		err := r.DB.Pool.QueryRow(ctx, reconcileOrgSQL, pgx.StrictNamedArgs{"busy": busy, "last": last}).Scan(&org)
		switch {
		case errors.Is(err, pgx.ErrNoRows) && last != uuid.Nil:
			last = uuid.Nil // round again
			continue
		case errors.Is(err, pgx.ErrNoRows):
			return total, nil
		case err != nil:
			return total, fmt.Errorf("looking for records to fold: %w", err)
		}
		last = org
		if keyed[org] == nil {
			keyed[org] = &ahead{}
		}
		more, err := r.keyAhead(ctx, org, keyed[org])
		if err != nil {
			return total, fmt.Errorf("keying records of organisation %s ahead: %w", org, err)
		}
		if more {
			continue
		}
		n, err := r.batch(ctx, org, &most)
		if err != nil {
			return total, fmt.Errorf("folding records of organisation %s: %w", org, err)
		}
		if n == 0 {
			busy = append(busy, org)
		}
		total += n
		keyed[org].left -= n
	}
}

func (r *Reconciler) batchSize() int {
	if r.Batch > 0 {
		return r.Batch
	}
	return reconcileBatch
}

// The lock makes one batch of an organisation at a time. Locking each key of a component instead would let two batches
// run side by side, at thousands of locks a batch; one organisation's records fold faster than they come either way.
const reconcileLockSQL = `select pg_try_advisory_xact_lock(hashtextextended('trunkline.reconcile.' || @org::text, 0))`

// A record is of one organisation, so that its number alone finds it: asked for both, Postgres reads all of the queue.
const reconcileClaimSQL = `
with claimed as (
  select record_id
  from ops.reconcile_queue
  where org_id = @org
  order by queue_id
  limit @most
  for update skip locked
)
delete from ops.reconcile_queue
where record_id = any (array (select record_id from claimed))
returning record_id`

// batch folds one batch; it returns 0 when another daemon is folding this organisation. A batch that fails is tried again
// with fewer records, down to one: that one is set aside, and never stops the others (law 13). One that takes Postgres too
// long goes to the end of the queue instead, for the fault may be a slow disk's.
// most is how many to begin with, and is left at how many should be taken next.
func (r *Reconciler) batch(ctx context.Context, org uuid.UUID, most *int) (int, error) {
	for ; ; *most = max(1, *most/8) {
		started := r.DB.Now()
		seeds, f, err := r.attempt(ctx, org, *most)
		switch {
		case errors.Is(err, errTooMuch):
			continue
		case err == nil && f == nil:
			return 0, nil
		case err == nil && r.DB.Now().Sub(started) > reconcileHold:
			*most = max(1, *most/2)
			return len(f.seeds), nil
		case err == nil:
			*most = max(1, min(r.batchSize(), *most*4, len(seeds)*r.batchSize()*reconcileRead/max(1, len(f.told))))
			return len(f.seeds), nil
		case ctx.Err() != nil, Unavailable(err) && !TookTooLong(err), errors.Is(err, errWake):
			return 0, err
		case *most == 1 && len(seeds) == 1 && TookTooLong(err):
			return 0, errors.Join(fmt.Errorf("folding record %d took too long: %w", seeds[0], err), r.putLast(ctx, org, seeds[0]))
		case *most == 1 && len(seeds) == 1:
			return 1, r.setAside(ctx, org, seeds[0], err)
		case len(seeds) == 0:
			return 0, err
		}
	}
}

// tryFold keeps others from folding records of the organisation until the transaction ends, and tells whether nobody does already.
func tryFold(ctx context.Context, tx pgx.Tx, org uuid.UUID) (got bool, err error) {
	if err := tx.QueryRow(ctx, reconcileLockSQL, pgx.StrictNamedArgs{"org": org}).Scan(&got); err != nil {
		return false, fmt.Errorf("taking the reconcile lock: %w", err)
	}
	return got, nil
}

// attempt folds up to a number of queued records in one transaction, with what is queued of the same leads. It returns those it
// began with, also when it fails, and what was folded; that is nil where there was nothing or somebody else is folding.
func (r *Reconciler) attempt(ctx context.Context, org uuid.UUID, most int) (seeds []int64, out *folded, err error) {
	started := r.DB.Now()
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		got, err := tryFold(ctx, tx, org)
		if err != nil || !got {
			return err
		}
		rows, err := tx.Query(ctx, reconcileClaimSQL, planned, pgx.StrictNamedArgs{"org": org, "most": most})
		if err != nil {
			return fmt.Errorf("claiming records: %w", err)
		}
		seeds, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(seeds) == 0 {
			return err
		}
		f := newFolded(org, r.DB.Now(), seeds)
		f.splits = len(f.seeds)
		if err = r.foldInto(ctx, tx, f); err != nil {
			return err
		}
		out = f
		return nil
	})
	if err != nil || out == nil {
		return seeds, nil, err
	}
	r.tellSped(out)
	if r.Observe != nil {
		r.Observe(len(out.seeds), len(out.result.Leads), len(out.result.Calls), r.DB.Now().Sub(started))
	}
	return seeds, out, nil
}

const queueDropSQL = `delete from ops.reconcile_queue where org_id = @org and record_id = @id`

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

const recordBodySQL = `
select account_id, source, stream, object_id, payload::text
from ops.records
where record_id = @id`

// setAside puts a record that cannot be folded into quarantine and takes it from the queue. Its next version is tried anew.
func (r *Reconciler) setAside(ctx context.Context, org uuid.UUID, id int64, problem error) error {
	r.DB.Log.WarnContext(ctx, "a record cannot be folded and is set aside", "record_id", id, "error", Loggable(problem))
	return r.DB.InTx(ctx, func(tx pgx.Tx) error {
		// First, so that a version that lands meanwhile is queued anew.
		if _, err := tx.Exec(ctx, queueDropSQL, pgx.StrictNamedArgs{"org": org, "id": id}); err != nil {
			return err
		}
		q := QuarantineItem{Org: org, Reason: ReasonFacts, Error: Loggable(problem)}
		var body string
		err := tx.QueryRow(ctx, recordBodySQL, pgx.StrictNamedArgs{"id": id}).Scan(&q.Account, &q.Source, &q.Stream, &q.ObjectID, &body)
		if err != nil {
			return fmt.Errorf("reading record %d, which cannot be folded: %w", id, err)
		}
		q.Body = []byte(body)
		return r.DB.Quarantine(ctx, tx, q)
	})
}
