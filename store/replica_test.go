package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/migrations"
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
	w.expectAt(w.reads, who, outcome, names)
}

func (w *replicaWorld) expectAt(reads *store.Reads, who store.Caller, outcome, names string) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got, came := w.leads(reads, who)
		if came == outcome && got == names {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s reads %q (%s), want %q (%s)", who.Key, got, came, names, outcome)
		}
		reads.Replica.Look(w.t.Context())
		time.Sleep(20 * time.Millisecond)
		w.wait(20 * time.Millisecond)
	}
}

// write adds a lead as a request of who's would, and tells its id.
func (w *replicaWorld) write(who store.Caller, name string) uuid.UUID {
	w.t.Helper()
	wrote, err := w.reads.Writing(w.t.Context(), who)
	if err != nil {
		w.t.Fatal(err)
	}
	id := readLead(w.t, w.primary, who.Org, name, "", "", "", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	wrote()
	return id
}

// pause has the standby replay nothing any more.
func (w *replicaWorld) pause() {
	w.t.Helper()
	w.onStandby("select pg_wal_replay_pause()")
	w.eventually("replay stands still", func() bool {
		var state string
		_ = w.standby.Pool.QueryRow(w.t.Context(), "select pg_get_wal_replay_pause_state()").Scan(&state)
		return state == "paused"
	})
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

	second := w.daemon(w.pair.Standby)
	w.expectAt(second, w.who, store.ReplicaServed, "one")
	w.pause()
	w.reads.Replica.Look(t.Context())
	mustExec(t, w.primary, "delete from pipeline.leads")
	id := w.write(w.who, "two")
	// A request that is not answered, or whose end could not be noted.
	cut := store.Caller{Org: w.who.Org, Key: "lw_cut"}
	if _, err := w.reads.Writing(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	// Another daemon knows as well what the key wrote here.
	for name, reads := range map[string]*store.Reads{"this": w.reads, "another": second} {
		for _, who := range []store.Caller{w.who, cut} {
			if names, outcome := w.leads(reads, who); names != "two" || outcome != store.ReplicaOwnWrite {
				t.Errorf("%s, that wrote, reads %q at %s daemon, %s", who.Key, names, name, outcome)
			}
		}
		if names, outcome := w.leads(reads, w.other); names != "one" || outcome != store.ReplicaServed {
			t.Errorf("a key that did not write reads %q at %s daemon, %s", names, name, outcome)
		}
	}
	mustExec(t, w.primary, "update ops.api_writing set since = since - interval '61 s'")
	if names, outcome := w.leads(second, cut); names != "one" || outcome != store.ReplicaServed {
		t.Errorf("a minute after a request that was cut off: %q, %s", names, outcome)
	}
	wrote, err := w.reads.Writing(t.Context(), cut)
	if err != nil {
		t.Fatal(err)
	}
	var open int
	if err := w.primary.Pool.QueryRow(t.Context(), "select count(*) from ops.api_writing").Scan(&open); err != nil || open != 1 {
		t.Errorf("%d requests are open, %v; want the one that runs", open, err)
	}
	wrote()
	err = w.reads.Read(t.Context(), w.other, func(ctx context.Context, from store.Reader) error {
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

	given, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	fourth := w.daemon(w.pair.Standby).Replica
	_, err = fourth.Conn(given, time.Minute)
	cancel()
	if s := fourth.State(); err == nil || s.Trouble != store.ReplicaUnsure {
		t.Errorf("a wait for a connection that was given up: %v, %+v", err, s)
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
		if !store.EndedByReplica(err) || !store.EndedByReplica(fmt.Errorf("reading rows: %w", io.ErrUnexpectedEOF)) ||
			store.EndedByReplica(store.ErrNotFound) || store.EndedByReplica(nil) {
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

	w.answersOfItsOwn()
	w.lockedOnTheStandby()
	w.lacksARight()

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

// failing reads where the first run, on the replica, ends with an error, and tells what came of it.
func (w *replicaWorld) failing(first func(ctx context.Context, from *store.DB) error) (runs int, outcome string, left time.Duration, err error) {
	w.t.Helper()
	w.wait(time.Minute)
	w.expect(w.other, store.ReplicaServed, "one")
	ctx, cancel := context.WithTimeout(w.t.Context(), 27*time.Second)
	defer cancel()
	err = w.reads.Read(ctx, w.other, func(ctx context.Context, from store.Reader) error {
		if runs++; runs == 1 {
			return first(ctx, from.(*store.DB))
		}
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return nil
	})
	return runs, w.outcome(), left, err
}

// answersOfItsOwn: what takes too long on the replica leaves time for the primary; what a client's own text is refused for is an answer,
// and takes the replica from nobody.
func (w *replicaWorld) answersOfItsOwn() {
	w.t.Helper()
	runs, outcome, left, err := w.failing(func(ctx context.Context, _ *store.DB) error {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 10*time.Second {
			w.t.Error("the replica may take all of a request's time")
		}
		return context.DeadlineExceeded
	})
	if err != nil || runs != 2 || outcome != store.ReplicaAway || left < 10*time.Second {
		w.t.Errorf("a replica that hangs: %v after %d runs, %s, %s left", err, runs, outcome, left)
	}
	_, _, _, _ = w.failing(func(ctx context.Context, from *store.DB) error {
		before := from.Pool.Stat().AcquireCount()
		_, err := from.Leads(ctx, w.other.Org, store.LeadQuery{Limit: 1})
		_, _, deliveriesErr := from.Deliveries(ctx, store.DeliveryQuery{Org: w.other.Org, Limit: 1})
		if took := from.Pool.Stat().AcquireCount() - before; err != nil || deliveriesErr != nil || took != 0 {
			w.t.Errorf("one answer was read on %d connections more: %v, %v", took, err, deliveriesErr)
		}
		return nil
	})
	runs, outcome, _, err = w.failing(func(ctx context.Context, from *store.DB) error {
		_, err := from.Pool.Exec(ctx, "select pg_cancel_backend(pg_backend_pid()), pg_sleep(20)")
		return err
	})
	if err != nil || runs != 2 || outcome != store.ReplicaSlow {
		w.t.Errorf("a statement that was cancelled there: %v after %d runs, %s", err, runs, outcome)
	}
	runs, outcome, _, err = w.failing(func(ctx context.Context, from *store.DB) error {
		_, _, err := from.Deliveries(ctx, store.DeliveryQuery{Org: w.other.Org, Destination: "\x00", Limit: 5})
		return err
	})
	if names, next := w.leads(w.reads, w.other); err == nil || runs != 1 || outcome != store.ReplicaServed || next != store.ReplicaServed {
		w.t.Errorf("a text that Postgres does not take: %v after %d runs, %s; then %q, %s", err, runs, outcome, names, next)
	}
}

// lockedOnTheStandby: a lock that replay holds, and has no end while the stream stands still, does not hold up an answer.
func (w *replicaWorld) lockedOnTheStandby() {
	w.t.Helper()
	tx, err := w.primary.Pool.Begin(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	// Of a table that no look reads.
	if _, err := tx.Exec(w.t.Context(), "create table public.held (); lock table ops.api_usage in access exclusive mode"); err != nil {
		w.t.Fatal(err)
	}
	mustExec(w.t, w.primary, "create table public.after_the_lock ()")
	w.eventually("the standby has the lock", func() bool {
		var there bool
		return w.standby.Pool.QueryRow(w.t.Context(), "select to_regclass('public.after_the_lock') is not null").Scan(&there) == nil && there
	})
	runs, outcome, left, err := w.failing(func(ctx context.Context, from *store.DB) error {
		_, err := from.Pool.Exec(ctx, "select from ops.api_usage")
		return err
	})
	if err != nil || runs != 2 || outcome != store.ReplicaSlow || left < 10*time.Second {
		w.t.Errorf("a lock on the standby: %v after %d runs, %s, %s left", err, runs, outcome, left)
	}
	if err := tx.Rollback(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// lacksARight: a login that may not read one of the tables is unfit and stays so, and is told of once; the log is quiet too about a
// replica that serves and fails by turns.
func (w *replicaWorld) lacksARight() {
	w.t.Helper()
	mustExec(w.t, w.primary, "create role reader login in role pg_read_all_data; create role lacking login; "+
		"grant usage on schema ops, pipeline to lacking; grant select on ops.replica_beats to lacking")
	w.wait(time.Minute)
	w.expect(w.other, store.ReplicaServed, "one")
	reader := w.daemon(strings.Replace(w.pair.Standby, "//trunkline@", "//reader@", 1))
	w.expectAt(reader, w.other, store.ReplicaServed, "one")
	lacking := w.daemon(strings.Replace(w.pair.Standby, "//trunkline@", "//lacking@", 1))
	w.mu.Lock()
	w.log.Reset()
	w.mu.Unlock()
	for range 5 {
		w.wait(6 * time.Second)
		lacking.Replica.Look(w.t.Context())
		if s := lacking.Replica.State(); s.Trouble != store.ReplicaUnfit {
			w.t.Errorf("a login that may not read: %+v", s)
		}
		w.expectAt(reader, w.other, store.ReplicaServed, "one")
		_ = reader.Read(w.t.Context(), w.other, func(ctx context.Context, from store.Reader) error {
			_, err := from.(*store.DB).Pool.Exec(ctx, "select nothing_like_it from pipeline.leads")
			return err
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log.String()
	if told, over := strings.Count(log, "not read from"), strings.Count(log, "reads go to the replica"); told != 2 || over != 0 {
		w.t.Errorf("told %d times, and %d times that it is over: %s", told, over, log)
	}
}

// What is no copy of the primary with its schema is not read from; the primary itself is.
func TestReplicaThatIsNone(t *testing.T) {
	t.Parallel()
	w := newReplicaWorld(t)
	w.write(w.who, "one")
	mustExec(t, w.primary, "create database staging")
	if err := migrations.Up(t.Context(), w.open(strings.Replace(w.pair.Primary, "/trunkline?", "/staging?", 1)).Pool, discard()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dsn, trouble string }{
		"the primary":      {w.pair.Primary, ""},
		"another cluster":  {storetest.DSN(t), store.ReplicaUnfit},
		"another database": {strings.Replace(w.pair.Standby, "/trunkline?", "/staging?", 1), store.ReplicaUnfit},
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

// A standby that was promoted is left at once, and the old primary that stands by afterwards is no copy of the new one, though its log
// is longer: nothing of it is read.
func TestReplicaAfterFailover(t *testing.T) {
	t.Parallel()
	w := newReplicaWorld(t)
	w.write(w.who, "one")
	w.expect(w.other, store.ReplicaServed, "one")
	w.onStandby("select pg_promote()")
	if names, outcome := w.leads(w.reads, w.other); names != "one" || outcome != store.ReplicaUnfit {
		t.Errorf("a standby that was promoted, not looked at: %q, %s", names, outcome)
	}
	w.reads.Replica.Look(t.Context())
	if s := w.reads.Replica.State(); s.Trouble != store.ReplicaUnfit {
		t.Errorf("a standby that was promoted: %+v", s)
	}

	mustExec(t, w.primary, "update pipeline.leads set business_name = 'lost'")
	mustExec(t, w.primary, "create table public.bulk as select g, repeat('x', 500) t from generate_series(1, 60000) g")
	w.primary.Pool.Close()
	w.pair.Demote()
	old := w.open(w.pair.Primary)
	w.primary = w.standby
	var ahead bool
	var replayed string
	if err := old.Pool.QueryRow(t.Context(), "select pg_last_wal_replay_lsn()::text").Scan(&replayed); err != nil {
		t.Fatal(err)
	}
	if err := w.primary.Pool.QueryRow(t.Context(), "select $1::text::pg_lsn > pg_current_wal_lsn()", replayed).Scan(&ahead); err != nil || !ahead {
		t.Fatalf("the old primary's log is not the longer one: %v", err)
	}
	w.reads = w.daemon(w.pair.Primary)
	for range 4 {
		w.write(w.who, "two")
		w.reads.Replica.Look(t.Context())
		for _, who := range []store.Caller{w.who, w.other} {
			if names, outcome := w.leads(w.reads, who); outcome == store.ReplicaServed || strings.Contains(names, "lost") {
				t.Errorf("%s reads %q from the old primary, %s", who.Key, names, outcome)
			}
		}
		w.wait(4 * time.Second)
	}
	if s := w.reads.Replica.State(); s.Trouble != store.ReplicaBehind {
		t.Errorf("the old primary: %+v", s)
	}
}
