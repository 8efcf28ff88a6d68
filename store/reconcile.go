package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
// with fewer records, down to one, which never stops the others (law 13): see isolate.
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
		case noRecordsFault(ctx, err):
			return 0, err
		case *most == 1 && len(seeds) == 1:
			return r.isolate(ctx, org, seeds[0], err)
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
	r.tellFolded(out, started)
	return seeds, out, nil
}

// tellFolded tells who watches of a batch that was committed.
func (r *Reconciler) tellFolded(f *folded, started time.Time) {
	r.tellSped(f)
	if r.Observe != nil {
		r.Observe(len(f.seeds), len(f.result.Leads), len(f.result.Calls), r.DB.Now().Sub(started))
	}
}

const reconcileWaitSQL = `select pg_advisory_xact_lock(hashtextextended('trunkline.reconcile.' || @org::text, 0))`

const queueTakeSQL = `
delete from ops.reconcile_queue
where record_id = any(@ids)
returning record_id`

// FoldNow folds the given records in the caller's transaction, for a write whose answer shows its result, and takes them
// from the queue. The lock is the transaction's until its end.
func (r *Reconciler) FoldNow(ctx context.Context, tx pgx.Tx, org uuid.UUID, records []int64) error {
	if len(records) == 0 {
		return nil
	}
	if err := lockFold(ctx, tx, org); err != nil {
		return err
	}
	f, err := r.fold(ctx, tx, org, records)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, queueTakeSQL, pgx.StrictNamedArgs{"ids": records}); err != nil {
		return fmt.Errorf("taking folded records from the queue: %w", err)
	}
	// The commit is the caller's and all but done.
	r.tellSped(f)
	return nil
}

// lockFold waits until nobody else folds records of the organisation, and keeps them away until the transaction ends.
func lockFold(ctx context.Context, tx pgx.Tx, org uuid.UUID) error {
	if _, err := tx.Exec(ctx, reconcileWaitSQL, pgx.StrictNamedArgs{"org": org}); err != nil {
		return fmt.Errorf("taking the reconcile lock: %w", err)
	}
	return nil
}

// folded is what one batch works on.
type folded struct {
	org   uuid.UUID
	now   time.Time
	seeds map[int64]bool
	// unread are records whose facts could not be read.
	unread map[int64]bool
	told   map[int64]pipeline.Told
	rules  pipeline.Rules
	region *closure
	result pipeline.Result
	ids    pipeline.Assignment
	// splits is into how many batches what is folded could be split; more than one lets a batch be refused for its size.
	splits int
	// sped are the steps that leads take with this fold.
	sped []sped
	// force writes rows also where the stored hash says that nothing changed.
	force bool
	// shadow keeps the fold from writing anything but keys; of the unsettled records it leaves those alone too.
	shadow    bool
	unsettled recordSet
	// alone has what waits for its own turn left out, and refused are records that cannot be folded, and why: they say nothing.
	alone   bool
	refused map[int64]error
}

func newFolded(org uuid.UUID, now time.Time, seeds []int64) *folded {
	f := &folded{org: org, now: now, seeds: map[int64]bool{}, unread: map[int64]bool{}, told: map[int64]pipeline.Told{}}
	for _, id := range seeds {
		f.seeds[id] = true
	}
	return f
}

func (r *Reconciler) fold(ctx context.Context, tx pgx.Tx, org uuid.UUID, seeds []int64) (*folded, error) {
	f := newFolded(org, r.DB.Now(), seeds)
	return f, r.foldInto(ctx, tx, f)
}

// foldInto folds what belongs together with f's seeds and writes what changed.
func (r *Reconciler) foldInto(ctx context.Context, tx pgx.Tx, f *folded) error {
	f.force = r.repairing
	if err := r.compute(ctx, tx, f); err != nil {
		return err
	}
	if err := f.assign(ctx, tx); err != nil {
		return err
	}
	before, err := r.watchWebhooks(ctx, tx, f)
	if err != nil {
		return err
	}
	if err := r.watchSteps(ctx, tx, f); err != nil {
		return err
	}
	changed, err := f.writeLeads(ctx, tx)
	if err != nil {
		return err
	}
	if err := f.writeCalls(ctx, tx); err != nil {
		return err
	}
	if err := f.writePresence(ctx, tx); err != nil {
		return err
	}
	destinations, err := r.writeDNC(ctx, tx, f)
	if err != nil {
		return err
	}
	var pushed []string
	if !r.repairing {
		if err := r.announce(ctx, tx, f, before, changed); err != nil {
			return err
		}
		if pushed, err = r.push(ctx, tx, f, changed); err != nil {
			return err
		}
	}
	if destinations = append(destinations, pushed...); len(destinations) > 0 && r.Wake != nil {
		if err := r.Wake(ctx, tx, destinations); err != nil {
			return fmt.Errorf("%w: deliveries: %w", errWake, err)
		}
	}
	return nil
}

// compute folds all that belongs together with the seeds.
func (r *Reconciler) compute(ctx context.Context, tx pgx.Tx, f *folded) error {
	seeds := slices.Sorted(maps.Keys(f.seeds)) // a record may be queued more than once
	var err error
	if f.rules, err = r.RulesOf(ctx, tx, f.org); err != nil {
		return err
	}
	if err := r.tell(ctx, tx, f, seeds); err != nil {
		return err
	}
	gone, err := rekey(ctx, tx, f, seeds)
	if err != nil {
		return err
	}
	if err := r.gather(ctx, tx, f, seeds, gone); err != nil {
		return err
	}
	told := make([]pipeline.Told, 0, len(f.told))
	for _, t := range f.told {
		told = append(told, t)
	}
	f.rules.Blocked = f.region.shared
	f.result = pipeline.Fold(told, f.rules)
	if r.repairing {
		return r.refuseUnsettled(ctx, tx, f)
	}
	return nil
}

// gather finds and reads everything that belongs together with the seeds. A record may have landed anew since its keys were
// written, and be read here before its own turn: its keys are brought in step, and the search goes on until none differs.
func (r *Reconciler) gather(ctx context.Context, tx pgx.Tx, f *folded, start []int64, gone []keyName) (err error) {
	take := func(ctx context.Context, ids []int64) ([]int64, error) { return f.take(ctx, tx, ids) }
	if f.shadow || f.alone || r.repairing {
		take = nil
	}
	for {
		if f.region, err = loadClosure(ctx, tx, f.org, start, gone, f.rules.Blocked, take); err != nil {
			return err
		}
		if len(f.region.records) > 2*r.batchSize()*reconcileRead && f.splits > 1 {
			return errTooMuch
		}
		fresh := f.region.untold(f.told)
		if f.alone {
			if fresh, err = f.leaveWaiting(ctx, tx, fresh); err != nil {
				return err
			}
		}
		if err := r.tell(ctx, tx, f, fresh); err != nil {
			return err
		}
		var drifted []int64
		for _, id := range fresh {
			if !f.unsettled.has(id) && !maps.Equal(f.region.have[id], keysOf(f.told[id].Facts)) {
				drifted = append(drifted, id)
			}
		}
		if len(drifted) == 0 {
			return nil
		}
		more, err := rekey(ctx, tx, f, drifted)
		if err != nil {
			return err
		}
		start, gone = slices.Concat(start, f.region.taken, drifted), append(gone, more...)
	}
}

// A time ahead of our clock counts as of the first look at it; see aheadTime.
const recordsByIDSQL = `
select record_id, account_id, source, stream, object_id, payload::text, observed_at, first_seen_at,
  case when source_time = ahead_time then ahead_seen_at when source_time > observed_at then observed_at else source_time end, zone_assumed
from ops.records
where record_id = any(@ids)`

// tell reads records and their facts. A record whose facts cannot be read goes to quarantine and says nothing.
func (r *Reconciler) tell(ctx context.Context, tx pgx.Tx, f *folded, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	type bad struct {
		rec *pipeline.Record
		err error
	}
	var failed []bad
	var well []factID
	rows, err := tx.Query(ctx, recordsByIDSQL, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		id, rec, err := scanRecord(rows, f.org)
		if err != nil {
			return err
		}
		facts, err := r.factsOf(rec)
		if err == nil {
			err = f.refused[id]
		}
		if err != nil {
			facts = pipeline.Facts{}
			f.unread[id] = true
			failed = append(failed, bad{rec, err})
		} else if f.seeds[id] {
			well = append(well, factID{f.org, rec.Account, string(rec.Source), rec.Stream, rec.ObjectID})
		}
		f.told[id] = pipeline.TellOf(rec, facts)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	if f.shadow {
		return nil
	}
	for _, b := range failed {
		q := QuarantineItem{
			Org: f.org, Account: b.rec.Account, Source: b.rec.Source, Stream: b.rec.Stream, ObjectID: b.rec.ObjectID,
			Reason: ReasonFacts, Error: b.err.Error(), Body: b.rec.Payload,
		}
		if err := r.DB.Quarantine(ctx, tx, q); err != nil {
			return err
		}
	}
	return markFixed(ctx, tx, ReasonFacts, well)
}

// scanRecord reads a row of recordsByIDSQL.
func scanRecord(rows pgx.Rows, org uuid.UUID) (id int64, rec *pipeline.Record, err error) {
	var payload string
	var sourceTime *time.Time
	rec = &pipeline.Record{Org: org}
	if err := rows.Scan(&id, &rec.Account, &rec.Source, &rec.Stream, &rec.ObjectID, &payload, &rec.ObservedAt,
		&rec.FirstSeenAt, &sourceTime, &rec.ZoneAssumed); err != nil {
		return 0, nil, fmt.Errorf("reading a record: %w", err)
	}
	rec.Payload = []byte(payload)
	rec.ObservedAt, rec.FirstSeenAt = rec.ObservedAt.UTC(), rec.FirstSeenAt.UTC()
	if sourceTime != nil {
		rec.SourceTime = sourceTime.UTC()
	}
	return id, rec, nil
}

// factsOf shields the batch from a record that breaks the code that reads it.
func (r *Reconciler) factsOf(rec *pipeline.Record) (facts pipeline.Facts, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the facts of a %s record panicked: %T", rec.Source, p)
		}
	}()
	return r.Facts(rec)
}
