package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

// replicaWorld is one daemon's reads over a primary and a standby that streams from it. The clock stands still but for what a test
// adds to it.
type replicaWorld struct {
	t       *testing.T
	pair    *storetest.Pair
	primary *store.DB
	standby *store.DB // of the test's own
	reads   *store.Reads
	who     store.Caller
	other   store.Caller

	mu       sync.Mutex
	ahead    time.Duration
	outcomes []string
	log      bytes.Buffer
}

// Write takes the log; several goroutines may.
func (w *replicaWorld) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *replicaWorld) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(w.ahead)
}

func (w *replicaWorld) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

func newReplicaWorld(t *testing.T) *replicaWorld {
	t.Helper()
	w := &replicaWorld{t: t, pair: storetest.NewPair(t)}
	org := uuid.New()
	w.who, w.other = store.Caller{Org: org, Key: "lw_one"}, store.Caller{Org: org, Key: "lw_two"}
	w.primary, w.standby = w.open(w.pair.Primary), w.open(w.pair.Standby)
	w.reads = w.daemon(w.pair.Standby)
	return w
}

func (w *replicaWorld) open(dsn string) *store.DB {
	w.t.Helper()
	pool, err := store.OpenPool(w.t.Context(), dsn, store.PoolOptions{MaxConns: 4, Name: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(pool.Close)
	return &store.DB{Pool: pool, Log: slog.New(slog.NewTextHandler(w, nil)), Clock: w.now}
}

// daemon is a daemon's reads with a replica at dsn.
func (w *replicaWorld) daemon(dsn string) *store.Reads {
	w.t.Helper()
	replica, err := store.OpenReplica(w.t.Context(), w.primary, dsn, 4, func(outcome string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.outcomes = append(w.outcomes, outcome)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(replica.Close)
	return &store.Reads{Primary: w.primary, Replica: replica}
}

// outcome takes what the last read came to.
func (w *replicaWorld) outcome() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.outcomes) == 0 {
		return ""
	}
	return w.outcomes[len(w.outcomes)-1]
}

// leads lists business names, and tells what the read came to.
func (w *replicaWorld) leads(reads *store.Reads, who store.Caller) (names, outcome string) {
	w.t.Helper()
	err := reads.Read(w.t.Context(), who, func(ctx context.Context, from store.Reader) error {
		page, err := from.Leads(ctx, who.Org, store.LeadQuery{Limit: 10})
		names = ""
		for i := range page.Leads {
			names += *page.Leads[i].BusinessName + " "
		}
		return err
	})
	if err != nil {
		w.t.Fatalf("a read failed: %v", err)
	}
	return strings.TrimSpace(names), w.outcome()
}

// expect reads until it comes to an outcome, and then holds what was read against names.
func (w *replicaWorld) expect(who store.Caller, outcome, names string) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got, came := w.leads(w.reads, who)
		if came == outcome && got == names {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s reads %q (%s), want %q (%s)", who.Key, got, came, names, outcome)
		}
		w.reads.Replica.Look(w.t.Context())
		time.Sleep(20 * time.Millisecond)
		w.wait(20 * time.Millisecond)
	}
}

// write adds a lead as a request of who's would, and tells its id.
func (w *replicaWorld) write(who store.Caller, name string) uuid.UUID {
	w.t.Helper()
	id := readLead(w.t, w.primary, who.Org, name, "", "", "", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	w.reads.Wrote(w.t.Context(), who)
	return id
}

func (w *replicaWorld) onStandby(sql string) {
	w.t.Helper()
	mustExec(w.t, w.standby, sql)
}

// A replica that is whole serves; one whose replay stands still serves nobody what they wrote themselves, and nobody at all once it is
// too far behind; what it does not find is asked of the primary.
func TestReplicaThatLags(t *testing.T) {
	t.Parallel()
	w := newReplicaWorld(t)
	w.write(w.who, "one")
	if names, outcome := w.leads(w.reads, w.who); names != "one" || outcome != store.ReplicaUnsure {
		t.Fatalf("a replica that nobody looked at: %q, %s", names, outcome)
	}
	w.expect(w.who, store.ReplicaServed, "one")

	w.onStandby("select pg_wal_replay_pause()")
	w.eventually("replay stands still", func() bool {
		var state string
		_ = w.standby.Pool.QueryRow(t.Context(), "select pg_get_wal_replay_pause_state()").Scan(&state)
		return state == "paused"
	})
	w.reads.Replica.Look(t.Context())
	mustExec(t, w.primary, "delete from pipeline.leads")
	id := w.write(w.who, "two")
	// Another daemon knows as well what the key wrote here, and may have been started since.
	second := w.daemon(w.pair.Standby)
	for range 3 {
		for name, reads := range map[string]*store.Reads{"this": w.reads, "another": second} {
			reads.Replica.Look(t.Context())
			if names, _ := w.leads(reads, w.who); names != "two" {
				t.Errorf("the key that wrote reads %q at %s daemon", names, name)
			}
		}
	}
	if names, outcome := w.leads(w.reads, w.who); names != "two" || outcome != store.ReplicaOwnWrite {
		t.Errorf("the key that wrote reads %q, %s", names, outcome)
	}
	if names, outcome := w.leads(w.reads, w.other); names != "one" || outcome != store.ReplicaServed {
		t.Errorf("a key that did not write reads %q, %s", names, outcome)
	}
	err := w.reads.Read(t.Context(), w.other, func(ctx context.Context, from store.Reader) error {
		_, err := from.Lead(ctx, w.other.Org, id)
		return err
	})
	if err != nil || w.outcome() != store.ReplicaNotFound {
		t.Errorf("a lead that the replica lacks: %v, %s", err, w.outcome())
	}

	third := w.daemon(w.pair.Standby).Replica
	if _, err := third.Conn(t.Context(), 2*time.Second); err == nil || third.State().Trouble != store.ReplicaBehind {
		t.Errorf("a connection that shows all while replay stands still: %v, %+v", err, third.State())
	}

	w.wait(store.ReplicaMostBehind - time.Second)
	w.reads.Replica.Look(t.Context())
	if names, outcome := w.leads(w.reads, w.other); names != "one" || outcome != store.ReplicaServed {
		t.Errorf("behind, but not too far: %q, %s", names, outcome)
	}
	w.wait(2 * time.Second)
	if names, outcome := w.leads(w.reads, w.other); names != "two" || outcome != store.ReplicaBehind {
		t.Errorf("too far behind, not looked at: %q, %s", names, outcome)
	}
	w.reads.Replica.Look(t.Context())
	if s := w.reads.Replica.State(); s.Trouble != store.ReplicaBehind || s.Lag < store.ReplicaMostBehind {
		t.Errorf("too far behind, looked at: %+v", s)
	}
	w.onStandby("select pg_wal_replay_resume()")
	var conn *pgxpool.Conn
	w.eventually("a connection that shows all", func() (ok bool) {
		conn, err = third.Conn(t.Context(), time.Minute)
		return err == nil
	})
	var name string
	if err := conn.QueryRow(t.Context(), "select business_name from pipeline.leads").Scan(&name); err != nil || name != "two" {
		t.Errorf("a connection that shows all reads %q, %v", name, err)
	}
	conn.Release()
	w.wait(time.Hour)
	if names, outcome := w.leads(second, w.other); names != "two" || outcome != store.ReplicaUnsure {
		t.Errorf("nobody has looked for long: %q, %s", names, outcome)
	}
	w.expect(w.other, store.ReplicaServed, "two")
	w.expect(w.who, store.ReplicaServed, "two")
	if s := w.reads.Replica.State(); s.Trouble != "" || s.Lag > time.Second {
		t.Errorf("caught up: %+v", s)
	}
}

// eventually polls.
func (w *replicaWorld) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
	}
}

// Whatever ends a statement on the replica, or keeps one from beginning, the answer comes from the primary, and a replica that is away
// is left alone for a while and told of once.
func TestReplicaThatFails(t *testing.T) {
	t.Parallel()
	w := newReplicaWorld(t)
	w.write(w.who, "one")
	w.expect(w.other, store.ReplicaServed, "one")

	mustExec(t, w.primary, "create table public.short_lived ()")
	w.eventually("the table is on the standby", func() bool {
		var there bool
		return w.standby.Pool.QueryRow(t.Context(), "select to_regclass('public.short_lived') is not null").Scan(&there) == nil && there
	})
	runs := 0
	err := w.reads.Read(t.Context(), w.other, func(ctx context.Context, from store.Reader) error {
		if runs++; runs > 1 {
			return nil
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			w.eventually("the statement runs", func() bool {
				var running bool
				err := w.standby.Pool.QueryRow(ctx, "select exists (select from pg_stat_activity where wait_event = 'PgSleep')").Scan(&running)
				return err == nil && running
			})
			_, _ = w.primary.Pool.Exec(ctx, "drop table public.short_lived")
		}()
		_, err := from.(*store.DB).Pool.Exec(ctx, "select pg_sleep(20) from (select count(*) from public.short_lived) t")
		<-gone
		if !store.EndedByReplica(err) || store.EndedByReplica(store.ErrNotFound) || store.EndedByReplica(nil) {
			t.Errorf("an export would not begin again after %v, or would after anything", err)
		}
		return err
	})
	if err != nil || runs != 2 || w.outcome() != store.ReplicaConflict {
		t.Errorf("a statement that recovery ended: %v after %d runs, %s", err, runs, w.outcome())
	}
	w.expect(w.other, store.ReplicaServed, "one")

	runs = 0
	err = w.reads.Read(t.Context(), w.other, func(ctx context.Context, from store.Reader) error {
		if runs++; runs > 1 {
			return nil
		}
		_, err := from.(*store.DB).Pool.Exec(ctx, "select of_tomorrow from pipeline.leads")
		return err
	})
	if names, outcome := w.leads(w.reads, w.other); err != nil || runs != 2 || names != "one" || outcome != store.ReplicaUnfit {
		t.Errorf("a column that is not there yet: %v after %d runs, then %q, %s", err, runs, names, outcome)
	}
	w.reads.Replica.Look(t.Context())
	if s := w.reads.Replica.State(); s.Trouble != store.ReplicaUnfit {
		t.Errorf("a replica that failed has no rest: %+v", s)
	}
	w.wait(time.Minute)
	w.expect(w.other, store.ReplicaServed, "one")

	w.mu.Lock()
	w.log.Reset()
	w.mu.Unlock()
	w.standby.Pool.Close()
	w.pair.StopStandby()
	for range 5 {
		if names, outcome := w.leads(w.reads, w.other); names != "one" || outcome != store.ReplicaAway {
			t.Errorf("with the replica away: %q, %s", names, outcome)
		}
		w.wait(time.Minute)
		w.reads.Replica.Look(t.Context())
	}
	w.mu.Lock()
	if told := strings.Count(w.log.String(), "the replica is not read from"); told != 1 {
		t.Errorf("told %d times: %s", told, w.log.String())
	}
	w.mu.Unlock()
	w.pair.StartStandby()
	w.wait(time.Minute)
	w.expect(w.other, store.ReplicaServed, "one")
}

// What is no copy of the primary with its schema is not read from; the primary itself is.
func TestReplicaThatIsNone(t *testing.T) {
	t.Parallel()
	w := newReplicaWorld(t)
	w.write(w.who, "one")
	for name, c := range map[string]struct{ dsn, trouble string }{
		"the primary":      {w.pair.Primary, ""},
		"another cluster":  {storetest.DSN(t), store.ReplicaUnfit},
		"without a schema": {strings.Replace(w.pair.Primary, "/trunkline?", "/postgres?", 1), store.ReplicaUnfit},
		"nobody there":     {"postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable", store.ReplicaAway},
		"no such database": {strings.Replace(w.pair.Primary, "/trunkline?", "/nowhere?", 1), store.ReplicaAway},
	} {
		reads := w.daemon(c.dsn)
		w.eventually(name+" is "+c.trouble, func() bool {
			w.wait(time.Minute)
			reads.Replica.Look(t.Context())
			return reads.Replica.State().Trouble == c.trouble
		})
		names, outcome := w.leads(reads, w.who)
		if names != "one" || (outcome == store.ReplicaServed) != (c.trouble == "") {
			t.Errorf("%s: %q, %s", name, names, outcome)
		}
	}
	w.mu.Lock()
	if log := w.log.String(); strings.Contains(log, "hunter2") || !strings.Contains(log, "127.0.0.1:1") {
		t.Errorf("the log shows a password, or not where nobody is: %s", log)
	}
	w.mu.Unlock()
	reads := w.daemon(w.pair.Primary)
	reads.Replica.Look(t.Context())
	err := reads.Read(t.Context(), w.who, func(ctx context.Context, from store.Reader) error {
		if from.(*store.DB) == w.primary {
			return nil
		}
		_, err := from.(*store.DB).Pool.Exec(ctx, "delete from pipeline.leads")
		return err
	})
	if names, _ := w.leads(w.reads, w.who); err != nil || names != "one" {
		t.Errorf("the connections of reads write: %v, %q", err, names)
	}
}
