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
	// rekeyed tells that this fold wrote keys of records.
	rekeyed bool
	// known are the leads that may be among those folded, by their ids now or before.
	known map[uuid.UUID]bool
	// before is how things stood before anything was written, for webhooks; agents are those that written calls tell of.
	before *webhookWatch
	agents []agentName
	// agentsTold tells that something was told by which agents are one person or another.
	agentsTold bool
	// force writes rows also where the stored hash says that nothing changed.
	force bool
	// shadow keeps the fold from writing anything but keys; of the unsettled records it leaves those alone too.
	shadow    bool
	unsettled recordSet
}

func newFolded(org uuid.UUID, now time.Time, seeds []int64) *folded {
	f := &folded{org: org, now: now, seeds: map[int64]bool{}, unread: map[int64]bool{}, told: map[int64]pipeline.Told{}}
	for _, id := range seeds {
		f.seeds[id] = true
	}
	return f
}

// fold folds what belongs together with some records, in the caller's transaction and under the lock that it has.
func (r *Reconciler) fold(ctx context.Context, tx pgx.Tx, org uuid.UUID, seeds []int64) (*folded, error) {
	f := newFolded(org, r.DB.Now(), seeds)
	if err := r.compute(ctx, tx, f); err != nil {
		return f, err
	}
	if err := f.choose(ctx, tx); err != nil {
		return f, err
	}
	return f, r.writeFolded(ctx, tx, f)
}

// writeFolded writes what changed with what was computed.
func (r *Reconciler) writeFolded(ctx context.Context, tx pgx.Tx, f *folded) error {
	if err := r.writeApart(ctx, tx, f); err != nil {
		return err
	}
	return r.writeInTurn(ctx, tx, f)
}

// writeApart writes what belongs to the calls of a batch alone, beside another one that it does not meet: it is the larger half.
func (r *Reconciler) writeApart(ctx context.Context, tx pgx.Tx, f *folded) (err error) {
	f.force = r.repairing
	if f.before, err = r.watchWebhooks(ctx, tx, f); err != nil {
		return err
	}
	return f.writeCalls(ctx, tx)
}

// writeInTurn writes what one batch at a time may write: agents, of whom every batch tells, all that an organisation counts or
// orders, and the leads, which that follows from. Everything that it compares with it reads anew.
func (r *Reconciler) writeInTurn(ctx context.Context, tx pgx.Tx, f *folded) error {
	if err := f.remember(ctx, tx); err != nil {
		return err
	}
	if err := r.watchSteps(ctx, tx, f); err != nil {
		return err
	}
	changed, err := f.writeLeads(ctx, tx)
	if err != nil {
		return err
	}
	if err := f.writeAgents(ctx, tx, f.agents); err != nil {
		return err
	}
	if err := f.writePresence(ctx, tx); err != nil {
		return err
	}
	if f.agentsTold {
		if err := matchPeople(ctx, tx, f.org); err != nil {
			return err
		}
	}
	destinations, err := r.writeDNC(ctx, tx, f)
	if err != nil {
		return err
	}
	var pushed []string
	if !r.repairing {
		if err := r.announce(ctx, tx, f, f.before, changed); err != nil {
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

// forget lets go of what the records said, once all is computed from it: half of what a batch holds, while the next one is read.
func (f *folded) forget() {
	for id, t := range f.told {
		t.Facts = pipeline.Facts{}
		f.told[id] = t
	}
	f.region.have = nil
}

// gather finds and reads everything that belongs together with the seeds. A record may have landed anew since its keys were
// written, and be read here before its own turn: its keys are brought in step, and the search goes on until none differs.
func (r *Reconciler) gather(ctx context.Context, tx pgx.Tx, f *folded, start []int64, gone []keyName) (err error) {
	take := func(ctx context.Context, ids []int64) ([]int64, error) { return f.take(ctx, tx, ids) }
	if f.shadow || r.repairing {
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
		if err := r.tell(ctx, tx, f, fresh); err != nil {
			return err
		}
		var drifted []int64
		for _, id := range fresh {
			if !f.unsettled.has(id) && !maps.Equal(f.region.have[id], f.keysNow(id, f.region.have[id])) {
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

// meets tells whether two batches of an organisation have anything in common, so that one must be written before the other is read.
// Where neither of them wrote keys, both asked the same ones: then a phone that is in both joins nothing, or they had a record in common.
func (f *folded) meets(o *folded) bool {
	a, b := f.region, o.region
	return f.org == o.org && (shareAny(a.records, b.records) || shareAny(a.keys, b.keys) || shareAny(f.known, o.known) ||
		(f.rekeyed || o.rekeyed) && (shareAny(a.phones, b.phones) || shareAny(a.looked, b.keys) || shareAny(a.keys, b.looked)))
}

// shareAny tells whether two sets have a member in common.
func shareAny[K comparable](a, b map[K]bool) bool {
	if len(b) < len(a) {
		a, b = b, a
	}
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}
