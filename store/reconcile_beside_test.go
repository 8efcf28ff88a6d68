package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

const queuedSQL = `select count(*) from ops.reconcile_queue`

// A long queue is folded by two batches side by side, here by two daemons at once as well, while writes that show their result fold in
// between: the tables say what one fold over everything says, and a rebuild finds nothing to change (law 3).
func TestALongQueueIsFoldedAsOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 11))
			w := newFoldWorld(t)
			w.route()
			w.rec.Batch = 1 + int(seed%5)
			var all []foldRecord
			for range 3 {
				var batch []foldRecord
				for range 60 {
					batch = append(batch, randomRecordOf(rng, 1+int(seed%8)))
				}
				all = append(all, batch...)
				w.land(batch...)
				w.foldBesides(rng.Perm(len(batch))[:6], batch)
				if diff := cmp.Diff(pure(all), w.stored(), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("after %d records (-fold +tables):\n%s", len(all), diff)
				}
			}
			if _, lines := w.compare(); len(lines) > 0 {
				t.Errorf("a rebuild differs: %q", lines)
			}
		})
	}
}

// foldBesides folds all that is queued by two drains at once, and some of it in transactions of its own.
func (w *foldWorld) foldBesides(now []int, of []foldRecord) {
	w.t.Helper()
	all, ctx := errgroup.WithContext(w.t.Context())
	for range 2 {
		all.Go(func() error {
			for {
				other := *w.rec
				if _, err := other.Drain(ctx); err != nil {
					return err
				}
				var left int
				if err := w.db.Pool.QueryRow(ctx, queuedSQL).Scan(&left); err != nil || left == 0 {
					return err
				}
			}
		})
	}
	all.Go(func() error {
		for _, i := range now {
			err := w.db.InTx(ctx, func(tx pgx.Tx) error {
				var id int64
				err := tx.QueryRow(ctx, `select record_id from ops.records where source = $1 and object_id = $2`, of[i].source, of[i].object).Scan(&id)
				if err != nil {
					return err
				}
				return w.rec.FoldNow(ctx, tx, foldOrg, []int64{id})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := all.Wait(); err != nil {
		w.t.Fatal(err)
	}
}

// wideLeads are leads that have nothing in common, with a call each.
func wideLeads(n int) (recs []foldRecord) {
	for i := range n {
		recs = append(recs, ownLead(fmt.Sprint(i), 1, foldPhone(fmt.Sprintf("+1503222%04d", i))), leadCall(fmt.Sprint(i), fmt.Sprint(i), 2))
	}
	return recs
}

// apart is a connection beside the pool, which the transactions that a test holds up may use up.
func (w *foldWorld) apart() *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.ConnectConfig(w.t.Context(), w.db.Pool.Config().ConnConfig)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// hold stops every write of a lead of the city "held" until the returned function is called, or the test ends.
func (w *foldWorld) hold() (release func()) {
	w.t.Helper()
	for _, sql := range []string{
		`create function held() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711); return new; end $$`,
		`create trigger held before insert on pipeline.leads for each row when (new.city = 'held') execute function held()`,
	} {
		mustExec(w.t, w.db, sql)
	}
	conn := w.apart()
	if _, err := conn.Exec(w.t.Context(), `select pg_advisory_lock(4711)`); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(w.t.Context(), `select pg_advisory_unlock(4711)`); err != nil {
			w.t.Error(err)
		}
	}
}

// until waits until a query counts so many.
func (w *foldWorld) until(what string, want int, sql string) {
	w.t.Helper()
	conn, n := w.apart(), 0
	for giveUp := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if err := conn.QueryRow(w.t.Context(), sql).Scan(&n); err != nil {
			w.t.Fatal(err)
		}
		if n == want {
			return
		}
		if time.Now().After(giveUp) {
			w.t.Fatalf("a minute without %s: %d, want %d", what, n, want)
		}
	}
}

// heldTurns counts the transactions that hold a turn's lock.
const heldTurns = `
select count(distinct pid)
from pg_locks
where locktype = 'advisory' and mode = 'ShareLock' and granted
  and database = (select oid from pg_database where datname = current_database())`

// waitsFor counts those that wait for an advisory lock in the given mode.
func waitsFor(mode string) string {
	return `
select count(*)
from pg_locks
where locktype = 'advisory' and mode = '` + mode + `' and not granted
  and database = (select oid from pg_database where datname = current_database())`
}

// While one batch cannot go on, the next one writes its calls, and no third begins; nothing of it shows before its turn has come.
func TestTwoBatchesAreAtWorkSideBySide(t *testing.T) {
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
	w.until("a second transaction", 2, heldTurns)
	w.until("a second batch that waits for its turn", 1, `
		select count(*)
		from pg_stat_activity
		where datname = current_database() and state = 'idle in transaction' and query like '%call_events%'`)
	w.until("rows that show before the first batch has ended", 0, `select (select count(*) from pipeline.calls) + (select count(*) from pipeline.leads)`)
	w.until("a third batch", 2, heldTurns)
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if leads, calls := w.number(`select count(*) from pipeline.leads`), w.number(`select count(*) from pipeline.calls`); leads != 12 || calls != 12 {
		t.Errorf("%d leads and %d calls, want 12 of each", leads, calls)
	}
}

// One record that cannot be written, in the midst of a long queue, is set aside alone; both batches at work lose nothing (law 13).
func TestABadRecordInALongQueueIsSetAsideAlone(t *testing.T) {
	t.Parallel()
	for _, bad := range []int{0, 2, 5, 11} {
		w := newFoldWorld(t)
		w.rec.Batch = 3
		recs := wideLeads(12)
		recs[2*bad].facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: "bad"}
		w.land(recs...)
		mustExec(t, w.db, `alter table pipeline.leads add constraint good check (city <> 'bad')`)
		folded := 0
		w.rec.Observe = func(records, _, _ int, _ time.Duration) { folded += records }
		w.drain()
		leads, aside, left := w.number(`select count(*) from pipeline.leads`), w.number(`select count(*) from ops.quarantine where object_id = $1`, fmt.Sprint(bad)), w.number(queuedSQL)
		if leads < 11 || aside != 1 || left != 0 || folded < 22 {
			t.Errorf("lead %d is bad: %d leads, %d set aside, %d in the queue, %d records folded", bad, leads, aside, left, folded)
		}
	}
}

// A fault of ours in the midst of writing ends one batch, and neither the daemon nor the batch beside it.
func TestAPanicInAFoldIsAnErrorOfItsBatch(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.rec.Batch = 2
	w.route()
	w.land(wideLeads(12)...)
	var calls atomic.Int32
	w.rec.Wake = func(context.Context, pgx.Tx, []string) error {
		if calls.Add(1) == 2 {
			panic("broken")
		}
		return nil
	}
	w.drain()
	if leads, left := w.number(`select count(*) from pipeline.leads`), w.number(queuedSQL); leads != 12 || left != 0 {
		t.Errorf("%d leads and %d records in the queue, want 12 and none", leads, left)
	}
	if rings := w.rings(); rings != 12 {
		t.Errorf("%d pushes, want 12", rings)
	}
}

// Batches that keep others waiting for long are made smaller and smaller.
func TestASlowBatchMakesTheNextOneSmaller(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.rec.Batch = 64
	for i := range 300 {
		w.land(ownLead(fmt.Sprint(i), 1))
	}
	var now atomic.Int64
	w.db.Clock = func() time.Time { return foldStart.Add(time.Hour + time.Duration(now.Add(1))*700*time.Millisecond) }
	var sizes []int
	w.rec.Observe = func(records, _, _ int, _ time.Duration) { sizes = append(sizes, records) }
	for w.number(queuedSQL) > 0 {
		if _, err := w.rec.Drain(t.Context()); err != nil && !errors.Is(err, store.ErrMore) {
			t.Fatal(err)
		}
	}
	if len(sizes) < 6 || slices.Min(sizes[:6]) > 8 {
		t.Errorf("slow batches of %v records, want ever smaller ones", sizes)
	}
}

// Two versions of a record that was never folded stand in the queue twice, and its keys are written once.
func TestARecordThatIsQueuedTwiceIsKeyedOnce(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.rec.Batch = 2
	var said bytes.Buffer
	w.db.Log = slog.New(slog.NewTextHandler(&said, nil))
	for minute := 1; minute <= 2; minute++ {
		for i := range 260 { // more than one lane takes at a time
			r := ownLead(fmt.Sprint(i), minute)
			r.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: fmt.Sprint("city ", minute)}
			w.land(r)
		}
	}
	if n := w.number(queuedSQL); n != 520 {
		t.Fatalf("%d rows in the queue, want 520", n)
	}
	w.drain()
	if leads, left := w.number(`select count(*) from pipeline.leads`), w.number(queuedSQL); leads != 260 || left != 0 || said.Len() > 0 {
		t.Errorf("%d leads and %d records in the queue, want 260 and none; it said %s", leads, left, &said)
	}
}
