package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestEraseWhileTold has everybody tell of a person at once, all the while they are erased.
func TestEraseWhileTold(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				payload, _ := json.Marshal(callOf(fmt.Sprintf("x%d-%d", i, n), phoneA))
				err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
					_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
						[]store.LandRecord{{ObjectID: fmt.Sprintf("x%d-%d", i, n), Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for w.count(`select count(*) from ops.records`) < 50 {
		time.Sleep(time.Millisecond)
	}
	w.eraser.Patience = time.Minute
	w.erase(store.Identity{Phone: phoneA})
	for w.keptOut() < 20 {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	if n := w.holding(phoneA); n > 0 {
		t.Errorf("%d rows hold the phone", n)
	}
	w.agrees("in the end")
}

// TestEraseWaitsForWhoLands orders an erasure while a transaction has landed what it told and not committed it: the erasure
// waits for it, and removes that too.
func TestEraseWaitsForWhoLands(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	payload, _ := json.Marshal(callOf("late", phoneA))
	erased := make(chan error, 1)
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
			[]store.LandRecord{{ObjectID: "late", Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
		go func() {
			_, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA})
			erased <- err
		}()
		for len(erased) == 0 && w.count(`select count(*) from pg_locks l join pg_database d on d.oid = l.database
			where d.datname = current_database() and l.locktype = 'advisory' and not l.granted`) == 0 {
			time.Sleep(time.Millisecond)
		}
		return err
	})
	if err := errors.Join(err, <-erased); err != nil {
		t.Fatal(err)
	}
	w.drain()
	if n := w.holding(phoneA); n > 0 {
		t.Errorf("%d rows hold the phone", n)
	}
}

// TestEraseCountsWithoutLocks has two transactions keep out what is told of two people, each in its own order: neither waits for
// the other.
func TestEraseCountsWithoutLocks(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	w.erase(store.Identity{Phone: phoneA})
	w.erase(store.Identity{Phone: phoneB})
	land := func(tx pgx.Tx, number string) error {
		payload, _ := json.Marshal(callOf("new", number))
		landed, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
			[]store.LandRecord{{ObjectID: "new " + number, Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
		if err == nil && landed.Erased != 1 {
			t.Errorf("%+v: not kept out", landed)
		}
		return err
	}
	err := w.db.InTx(t.Context(), func(one pgx.Tx) error {
		return w.db.InTx(t.Context(), func(other pgx.Tx) error {
			_, err := one.Exec(t.Context(), `set local lock_timeout = '5s'`)
			for _, step := range []func() error{
				func() error { return land(one, phoneA) }, func() error { return land(other, phoneB) }, func() error { return land(one, phoneB) },
			} {
				if err == nil {
					err = step()
				}
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	u := &store.Upkeeper{DB: w.db, Retention: store.Retention{History: time.Hour * 1e5, Inbox: time.Hour * 1e5}}
	for range 2 {
		if err := u.Upkeep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.count(`select sum(kept_out) from ops.erasures`); n != 3 || w.keptOut() != 3 {
			t.Errorf("%d counted, want 3", n)
		}
	}
	if n := w.count(`select count(*) from ops.erasures where last_kept_out_at = $1`, w.db.Now()); n != 2 {
		t.Errorf("%d erasures say when", n)
	}
}

// TestEraseWaitsWhileItIsRead orders an erasure beside a long queue, as of a backfill: it waits for all of it, says how much is
// left, and gives up only when nothing of it gets less.
func TestEraseWaitsWhileItIsRead(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.eraser.Fold = &store.Reconciler{DB: w.db, MaxAge: w.rec.MaxAge, Blockers: w.rec.Blockers, Facts: w.rec.Facts, Batch: 1}
	for i := range 12 {
		w.land(foldRecord{pipeline.SourceIPSCAPE, fmt.Sprint("q", i), 1, callOf(fmt.Sprint("q", i), fmt.Sprintf("+1305555%04d", i))})
	}
	// Each look at the clock is seconds later: a turn is a batch or two, and the whole takes longer than anybody's patience.
	read := w.db.Clock
	var seconds atomic.Int64
	w.db.Clock = func() time.Time { return read().Add(time.Duration(seconds.Add(3)) * time.Second) }
	w.eraser.Patience = 20 * time.Second
	var left []int64
	w.eraser.Waiting = func(n int64) { left = append(left, n) }
	w.erase(store.Identity{Phone: phoneA})
	if len(left) < 2 || !slices.IsSortedFunc(left, func(a, b int64) int { return int(b - a) }) || seconds.Load() < 60 {
		t.Errorf("after %d s, waited for %v", seconds.Load(), left)
	}
	if n := w.holding(phoneA); n > 0 {
		t.Errorf("%d rows hold the phone", n)
	}
	// Nobody can fold: that is said.
	w.land(foldRecord{pipeline.SourceIPSCAPE, "stuck", 1, callOf("stuck", phoneB)})
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select pg_advisory_xact_lock(hashtextextended('trunkline.reconcile.' || $1::text, 0))`, foldOrg); err != nil {
			return err
		}
		_, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "1 posts and records still wait") {
		t.Errorf("while nobody can fold: %v", err)
	}
}

// TestEraseWhatIsFoldedMeanwhile has a record change, at each look at the key, that belongs together with what is removed and is of
// somebody else: the removal waits for its fold, and begins again.
func TestEraseWhatIsFoldedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	event := func(object, lead string, minute int) {
		w.land(foldRecord{pipeline.SourceAPI, object, minute, pipeline.Facts{Calls: []pipeline.CallFact{{
			Key: pipeline.CallKey{Dialler: pipeline.SourceAPI, Account: "default", ExternalID: "0"}, StartedAt: foldStart.Add(time.Duration(minute) * time.Minute),
			Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: lead}},
		}}}})
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	event("e1", "1", 1)
	event("e2", "2", 1)
	w.drain()
	w.eraser.Patience = time.Minute
	landed, landing := 0, false
	w.db.Erased.Key = func(string, bool) (store.ErasureKey, error) {
		if !landing && landed < 6 {
			landing = true // what lands asks for the key too
			landed++
			event("e2", "2", 1+landed)
			landing = false
		}
		return testKey("one"), nil
	}
	w.erase(store.Identity{Phone: phoneA})
	if landed < 6 {
		t.Fatalf("the key was looked at %d times", landed)
	}
	if n := w.count(`select count(*) from ops.reconcile_queue`); n != 0 {
		t.Errorf("%d records wait: nobody folded what landed while the person was removed", n)
	}
	if n := w.holding(phoneA) + w.count(`select count(*) from ops.records where object_id in ('1', 'e1')`); n != 0 {
		t.Errorf("%d rows of the person's are there", n)
	}
	w.agrees("in the end")
}
