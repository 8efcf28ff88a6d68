package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// A turn keeps other drains away while a transaction of it runs, lets a write in that waits, and is over once another drain has one.
func TestATurnAtALongQueue(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.rec.Batch = 2
	recs := wideLeads(12)
	recs[0].facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: "held"}
	w.land(recs...)
	release := w.hold()
	done := make(chan error, 1)
	go func() {
		_, err := w.rec.Drain(t.Context())
		done <- err
	}()
	w.until("a batch that cannot go on", 1, waitsFor("ExclusiveLock"))
	other := *w.rec
	if n, err := other.Drain(t.Context()); n != 0 || err != nil {
		t.Errorf("another drain folded %d records beside the turn: %v", n, err)
	}
	wrote := make(chan error, 1)
	go func() {
		wrote <- w.db.InTx(t.Context(), func(tx pgx.Tx) error {
			var id int64
			if err := tx.QueryRow(t.Context(), `select max(record_id) from ops.records`).Scan(&id); err != nil {
				return err
			}
			return w.rec.FoldNow(t.Context(), tx, foldOrg, []int64{id})
		})
	}()
	w.until("a write that waits for the lock", 2, waitsFor("ExclusiveLock"))
	release()
	if err := errors.Join(<-wrote, <-done); err != nil {
		t.Fatal(err)
	}
	if leads, left := w.number(`select count(*) from pipeline.leads`), w.number(queuedSQL); leads != 12 || left != 0 {
		t.Errorf("%d leads and %d records in the queue, want 12 and none", leads, left)
	}
}

// A drain does not wait for ever behind somebody who holds the lock alone for long, and does not fail of it either, nor take what it
// cannot key meanwhile for broken.
func TestATurnWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		w := newFoldWorld(t)
		w.rec.Batch = 2
		w.land(wideLeads(12)...)
		var said bytes.Buffer
		w.db.Log = slog.New(slog.NewTextHandler(&said, nil))
		conn, locked := w.apart(), make(chan error, 1)
		var once sync.Once
		lock := func() {
			go func() {
				_, err := conn.Exec(t.Context(), `select pg_advisory_lock(hashtextextended('trunkline.reconcile.' || $1::text, 0))`, foldOrg)
				locked <- err
			}()
			w.until("a wait for the lock alone", 1, waitsFor("ExclusiveLock"))
		}
		plainFacts, plainClock, look := w.rec.Facts, w.db.Clock, w.apart()
		w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
			if !early {
				once.Do(lock) // behind the transactions that write keys ahead
			}
			return plainFacts(r)
		}
		w.db.Clock = func() time.Time {
			var held int
			err := look.QueryRow(t.Context(), `select count(*) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
				and database = (select oid from pg_database where datname = current_database())`).Scan(&held)
			if err != nil {
				t.Error(err)
			}
			if early && held == 1 {
				once.Do(lock) // behind the transaction that takes the turn
			}
			return plainClock()
		}
		if n, err := w.rec.Drain(t.Context()); n != 0 || err != nil {
			t.Errorf("a drain that had to wait folded %d records: %v", n, err)
		}
		if err := <-locked; err != nil {
			t.Fatal(err)
		}
		if said.Len() > 0 {
			t.Errorf("it said %s", &said)
		}
		w.db.Clock = plainClock
		if _, err := conn.Exec(t.Context(), `select pg_advisory_unlock_all()`); err != nil {
			t.Fatal(err)
		}
		w.drain()
		if leads, left := w.number(`select count(*) from pipeline.leads`), w.number(queuedSQL); leads != 12 || left != 0 {
			t.Errorf("%d leads and %d records in the queue, want 12 and none", leads, left)
		}
	}
}
