package jobs

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// sweepWorld is a database of which nobody works the queues, and its sweeper.
type sweepWorld struct {
	*Sweeper
	t     *testing.T
	clock *clock
	org   uuid.UUID
}

func newSweepWorld(t *testing.T) *sweepWorld {
	t.Helper()
	db, clock := newTestDB(t)
	window, err := pipeline.ParseCallWindow("00:00-24:00")
	if err != nil {
		t.Fatal(err)
	}
	op := deliver.Operation{Class: deliver.Rings, Render: func(deliver.View) string { return "" }}
	engine, err := deliver.New(deliver.Config{
		Store: db, Hours: deliver.Window{CallWindow: window}, Owner: uuid.New(), Now: clock.Now, Log: quiet(),
		Destinations: []deliver.Destination{
			&operations{DestinationDialedIn, map[string]deliver.Operation{store.OpInsertLead: op}},
			&operations{DestinationConvolo, map[string]deliver.Operation{store.OpStartCall: op}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &sweepWorld{t: t, clock: clock, org: uuid.New(), Sweeper: &Sweeper{
		DB: db, Queue: newTestQueue(t, db.Pool), Engine: engine, Log: quiet(),
		Daemon: store.Daemon{ID: uuid.New(), Host: "here", Version: "test", StartedAt: jobMade},
	}}
}

func (w *sweepWorld) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.DB.Pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w *sweepWorld) sweep() {
	w.t.Helper()
	if err := w.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// jobs counts jobs of a kind that wait for a worker.
func (w *sweepWorld) jobs(kind string) int {
	w.t.Helper()
	return countOf(w.t, w.DB.Pool, `select count(*) from river.river_job where kind = $1 and state = 'available'`, kind)
}

// job makes a job in a state, as a worker or a killed daemon leaves it.
func (w *sweepWorld) job(args interface{ Kind() string }, state string) {
	w.t.Helper()
	err := w.DB.InTx(w.t.Context(), func(tx pgx.Tx) error { return w.Queue.Insert(w.t.Context(), tx, args) })
	if err != nil {
		w.t.Fatal(err)
	}
	w.exec(`update river.river_job set state = $1::text::river.river_job_state,
		finalized_at = case when $1 in ('completed', 'cancelled', 'discarded') then now() end
		where id = (select max(id) from river.river_job)`, state)
}

func (w *sweepWorld) walk(kind, lane string) uuid.UUID {
	w.t.Helper()
	var made store.Walk
	err := w.DB.InTx(w.t.Context(), func(tx pgx.Tx) (err error) {
		made, err = w.DB.CreateWalk(w.t.Context(), tx, store.NewWalk{
			Key:  store.StreamKey{Org: w.org, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "leads"},
			Kind: kind, Lane: lane,
		})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID
}

func (w *sweepWorld) delivery(destination, operation string, notBefore time.Duration) {
	w.t.Helper()
	err := w.DB.InTx(w.t.Context(), func(tx pgx.Tx) error {
		_, err := w.DB.InsertDeliveries(w.t.Context(), tx, []store.NewDelivery{{
			Org: w.org, Account: "default", Destination: destination, Operation: operation, Class: pipeline.ClassRings,
			Phone: "+12125551001", SourceTime: jobMade, NotBefore: jobMade.Add(notBefore), Dedupe: uuid.NewString(),
		}})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestSweepOnceOldEnough: each kind of work waits for its own wake-up for two seconds; then the sweep makes one, and no
// second one while that is available.
func TestSweepOnceOldEnough(t *testing.T) {
	t.Parallel()
	for kind, put := range map[string]func(w *sweepWorld, age time.Duration){
		"reconcile": func(w *sweepWorld, age time.Duration) {
			w.exec(`insert into ops.reconcile_queue (org_id, record_id, queued_at) values ($1, 1, $2)`, w.org, w.clock.Now().Add(-age))
		},
		"inbox": func(w *sweepWorld, age time.Duration) {
			w.exec(`insert into ops.inbox (id, org_id, source, received_at, method, content_type, body)
				values (gen_random_uuid(), $1, 'convoso', $2, 'POST', '', '')`, w.org, w.clock.Now().Add(-age))
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newSweepWorld(t)
			args := map[string]interface{ Kind() string }{"reconcile": ReconcileArgs{}, "inbox": InboxArgs{}}[kind]
			w.sweep()
			put(w, 2*time.Second)
			w.sweep()
			if n := w.jobs(kind); n != 0 {
				t.Fatalf("%d jobs for work of this moment", n)
			}
			// A job that runs may be a dead daemon's; one that is put off comes late. Neither is a wake-up.
			for _, state := range []string{"running", "retryable", "scheduled", "completed", "discarded"} {
				w.job(args, state)
			}
			w.clock.Advance(time.Millisecond)
			w.sweep()
			if n := w.jobs(kind); n != 1 {
				t.Fatalf("%d jobs for work that waits, want 1", n)
			}
			w.sweep()
			if n := w.jobs(kind); n != 1 {
				t.Errorf("%d jobs after another sweep, want the one", n)
			}
			if n := countOf(t, w.DB.Pool, `select count(*) from river.river_job where state = 'available' and kind <> $1`, kind); n != 0 {
				t.Errorf("%d jobs of other kinds were made", n)
			}
		})
	}
}

func TestSweepWalks(t *testing.T) {
	t.Parallel()
	w := newSweepWorld(t)
	live, backfill := w.walk("live", "live"), w.walk("backfill", "backfill")
	w.sweep()
	for id, queue := range map[uuid.UUID]string{live: "walks", backfill: "backfill"} {
		if n := countOf(t, w.DB.Pool, `select count(*) from river.river_job where queue = $1 and args ->> 'walk_id' = $2::text`, queue, id); n != 1 {
			t.Errorf("%d jobs in queue %s, want 1", n, queue)
		}
	}
	w.sweep()
	if n := w.jobs("walk"); n != 2 {
		t.Errorf("%d jobs after another sweep, want 2", n)
	}
	w.exec(`update ops.walks set state = 'cancelled' where kind = 'backfill'`)
	for _, c := range []struct {
		what, walk, jobState string
		want                 int
	}{
		{"ready, its job waits its time", `state = 'ready'`, "scheduled", 0},
		{"ready, its job runs in a dead daemon", `state = 'ready'`, "running", 1},
		{"ready, its job was given up", `state = 'ready'`, "discarded", 1},
		{"worked on", `state = 'running', lease_owner = gen_random_uuid(), lease_until = clock_timestamp() + interval '20 s'`, "running", 0},
		{"left by a killed daemon", `state = 'running', lease_owner = gen_random_uuid(), lease_until = clock_timestamp() - interval '1 s'`, "running", 1},
		{"done", `state = 'done', lease_owner = null, lease_until = null`, "completed", 0},
	} {
		w.exec(`delete from river.river_job`)
		w.job(WalkArgs{WalkID: live}, c.jobState)
		w.exec(`update ops.walks set ` + c.walk + ` where kind = 'live'`)
		w.sweep()
		if n := w.jobs("walk"); n != c.want {
			t.Errorf("%s: %d jobs, want %d", c.what, n, c.want)
		}
	}
}

// A stream that rests after a failure is left alone until then.
func TestSweepLeavesAStreamAtRest(t *testing.T) {
	t.Parallel()
	w := newSweepWorld(t)
	w.walk("live", "live")
	w.exec(`insert into ops.streams (org_id, account_id, source, stream, capability, retry_at)
		values ($1, 'default', 'ipscape', 'leads', 'created', $2)`, w.org, jobMade.Add(time.Second))
	w.sweep()
	if n := w.jobs("walk"); n != 0 {
		t.Errorf("%d jobs for a stream at rest", n)
	}
	w.clock.Advance(time.Second)
	w.sweep()
	if n := w.jobs("walk"); n != 1 {
		t.Errorf("%d jobs after its rest, want 1", n)
	}
}

func TestSweepDeliveries(t *testing.T) {
	t.Parallel()
	w := newSweepWorld(t)
	w.delivery(DestinationDialedIn, store.OpInsertLead, time.Minute)
	w.sweep()
	if n := w.jobs("deliver"); n != 0 {
		t.Fatalf("%d jobs for a delivery that is not due", n)
	}
	w.clock.Advance(time.Minute)
	w.job(DeliverArgs{Destination: DestinationDialedIn}, "running")
	w.job(DeliverArgs{Destination: DestinationConvolo}, "available")
	w.sweep()
	w.sweep()
	n := countOf(t, w.DB.Pool, `select count(*) from river.river_job where state = 'available' and args ->> 'destination' = 'dialedin'`)
	if n != 1 {
		t.Errorf("%d jobs for the destination that is due, want 1", n)
	}
	if n := w.jobs("deliver"); n != 2 {
		t.Errorf("%d jobs in all, want none more for the other destination", n)
	}
}

// What a killed daemon was sending becomes unknown: it is not sent blindly again (law 5).
func TestSweepRecoversWhatWasBeingSent(t *testing.T) {
	t.Parallel()
	w := newSweepWorld(t)
	w.delivery(DestinationDialedIn, store.OpInsertLead, 0)
	w.exec(`update ops.deliveries set state = 'sending', lease_owner = gen_random_uuid(), lease_until = $1`, jobMade.Add(20*time.Second))
	w.sweep()
	state := func() (s string) {
		t.Helper()
		if err := w.DB.Pool.QueryRow(t.Context(), `select state from ops.deliveries`).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := state(); got != "sending" {
		t.Fatalf("within the lease: %s", got)
	}
	w.clock.Advance(20 * time.Second)
	w.sweep()
	if got := state(); got != "unknown" {
		t.Errorf("after the lease: %s, want unknown", got)
	}
}
