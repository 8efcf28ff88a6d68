package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func intakeDB(t *testing.T) *store.DB {
	t.Helper()
	return &store.DB{Pool: storetest.DB(t), Log: slog.New(slog.DiscardHandler), Clock: time.Now}
}

// startIntake returns a running intake, stopped when the test ends.
func startIntake(t *testing.T, db *store.DB, cfg store.IntakeConfig) *store.Intake {
	t.Helper()
	in := store.NewIntake(db, cfg)
	in.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := in.Stop(ctx); err != nil {
			t.Errorf("stopping the intake: %v", err)
		}
	})
	return in
}

func newPost(org uuid.UUID, body string) store.Post {
	return store.Post{
		ID: uuid.Must(uuid.NewV7()), Org: org, Source: "convoso", State: store.PostNew, ReceivedAt: time.Now(),
		Method: "POST", ContentType: "application/json", Body: []byte(body),
	}
}

func TestIntakeKeepsExactBytes(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	in := startIntake(t, db, store.IntakeConfig{})
	for name, edit := range map[string]func(*store.Post){
		"plain":          func(*store.Post) {},
		"nil body":       func(p *store.Post) { p.Body = nil },
		"NUL and bytes":  func(p *store.Post) { p.Body = []byte("\x00\xff\xfe'; drop table ops.inbox; --\xed\xa0\x80") },
		"NUL beside":     func(p *store.Post) { p.ContentType, p.EventPath, p.Error = "a\x00b", "e\x00\xff", "x\x00" },
		"bytes in query": func(p *store.Post) { p.Query = "a=\xff\x00&b=1" },
		"unparsable":     func(p *store.Post) { p.State, p.Error = store.PostUnparsable, "no" },
	} {
		post := newPost(org, `{"call_log_id":"1"}`)
		edit(&post)
		if err := in.Accept(t.Context(), post); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var body []byte
		var state, query string
		err := db.Pool.QueryRow(t.Context(), "select body, state, query from ops.inbox where id = $1", post.ID).
			Scan(&body, &state, &query)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(body) != string(post.Body) || state != post.State {
			t.Errorf("%s: body %q in state %s, want %q in %s", name, body, state, post.Body, post.State)
		}
		if name == "bytes in query" && query != "a=%FF%00&b=1" {
			t.Errorf("query %q was changed in what it says", query)
		}
	}
}

func TestIntakeSharesCommits(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	var groups, largest atomic.Int64
	in := startIntake(t, db, store.IntakeConfig{Enqueue: func(ctx context.Context, tx pgx.Tx, posts []store.Post) error {
		groups.Add(1)
		for n := int64(len(posts)); ; {
			if was := largest.Load(); was >= n || largest.CompareAndSwap(was, n) {
				break
			}
		}
		_, err := tx.Exec(ctx, "select 1")
		return err
	}})
	const posts = 400
	var wg sync.WaitGroup
	for i := range posts {
		wg.Go(func() {
			if err := in.Accept(t.Context(), newPost(org, fmt.Sprintf(`{"n":%d}`, i))); err != nil {
				t.Errorf("post %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := countRows(t, db, "select count(*) from ops.inbox where org_id = $1", org); got != posts {
		t.Errorf("%d posts in the inbox, want %d", got, posts)
	}
	if groups.Load() > posts/4 || largest.Load() < 2 || largest.Load() > 256 {
		t.Errorf("%d transactions for %d posts, the largest of %d", groups.Load(), posts, largest.Load())
	}
}

func TestIntakeBadRowStandsAlone(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	// A slow first commit makes the rest wait and go as one group.
	gate := make(chan struct{})
	in := startIntake(t, db, store.IntakeConfig{Committers: 1, Enqueue: func(context.Context, pgx.Tx, []store.Post) error {
		<-gate
		return nil
	}})
	const posts = 60
	bad := map[int]bool{0: true, 17: true, 59: true}
	var wg sync.WaitGroup
	for i := range posts {
		post := newPost(org, "{}")
		if bad[i] {
			post.State = "no such state"
		}
		wg.Go(func() {
			err := in.Accept(t.Context(), post)
			if (err != nil) != bad[i] {
				t.Errorf("post %d: error %v, want one: %t", i, err, bad[i])
			}
			if bad[i] && errors.Is(err, store.ErrUnavailable) {
				t.Errorf("post %d: a refused row is told as an unavailable database", i)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(gate)
	wg.Wait()
	if got := countRows(t, db, "select count(*) from ops.inbox where org_id = $1", org); got != posts-len(bad) {
		t.Errorf("%d posts in the inbox, want %d", got, posts-len(bad))
	}
}

func TestIntakeSurvivesEnqueuePanic(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	var calls atomic.Int64
	in := startIntake(t, db, store.IntakeConfig{Committers: 1, Enqueue: func(context.Context, pgx.Tx, []store.Post) error {
		if calls.Add(1) == 1 {
			panic("first group")
		}
		return nil
	}})
	if err := in.Accept(t.Context(), newPost(org, "{}")); err == nil {
		t.Error("a post whose group panicked was accepted")
	}
	if err := in.Accept(t.Context(), newPost(org, "{}")); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	if got := countRows(t, db, "select count(*) from ops.inbox where org_id = $1", org); got != 1 {
		t.Errorf("%d posts in the inbox, want 1: the first group must be rolled back", got)
	}
}

func TestIntakeFullOrSlow(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	gate := make(chan struct{})
	in := startIntake(t, db, store.IntakeConfig{
		Committers: 1, MaxGroup: 1, MaxQueued: 1, Timeout: 4 * time.Second,
		Enqueue: func(ctx context.Context, _ pgx.Tx, _ []store.Post) error {
			select {
			case <-gate:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	var unavailable, refusedAtOnce atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			started := time.Now()
			if err := in.Accept(t.Context(), newPost(org, "{}")); errors.Is(err, store.ErrUnavailable) {
				unavailable.Add(1)
				if time.Since(started) < 2*time.Second {
					refusedAtOnce.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if unavailable.Load() != 8 || refusedAtOnce.Load() < 5 {
		t.Errorf("%d of 8 were unavailable, %d of them at once; want 8 and at least 5", unavailable.Load(), refusedAtOnce.Load())
	}
	close(gate)
}

func TestIntakeCommitsForCallerThatLeft(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	gate := make(chan struct{})
	in := startIntake(t, db, store.IntakeConfig{Enqueue: func(context.Context, pgx.Tx, []store.Post) error {
		<-gate
		return nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := in.Accept(ctx, newPost(org, "{}")); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
	close(gate)
	deadline := time.Now().Add(time.Minute)
	for countRows(t, db, "select count(*) from ops.inbox where org_id = $1", org) != 1 {
		if time.Now().After(deadline) {
			t.Fatal("the post was dropped together with its caller")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestIntakeStop(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	in := store.NewIntake(db, store.IntakeConfig{Timeout: time.Minute})
	results := make(chan error, 20)
	for range 20 {
		go func() { results <- in.Accept(context.Background(), newPost(org, "{}")) }()
	}
	for in.Waiting() < cap(results) { // nothing is started yet
		time.Sleep(time.Millisecond)
	}
	in.Start()
	if err := in.Stop(t.Context()); err != nil {
		t.Fatalf("stop: %v", err)
	}
	for range 20 {
		if err := <-results; err != nil {
			t.Errorf("a post that waited at the stop: %v", err)
		}
	}
	if err := in.Accept(t.Context(), newPost(org, "{}")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("after the stop: %v, want ErrUnavailable", err)
	}
	if err := in.Stop(t.Context()); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

// A restart of Postgres leaves dead connections in the pool; the first post after it must not pay for that.
func TestIntakeAfterConnectionsDied(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	in := startIntake(t, db, store.IntakeConfig{Committers: 1})
	for i := range 5 {
		if err := in.Accept(t.Context(), newPost(org, "{}")); err != nil {
			t.Fatalf("post %d: %v", i, err)
		}
		// From a connection of our own: whatever the pool holds then is dead.
		conn, err := pgx.ConnectConfig(t.Context(), db.Pool.Config().ConnConfig)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close(t.Context())
	}
}

// TestIntakeHalvesAfterACutCommit: what the first commit of a group may have kept is not refused as already there, when the group has
// to be taken apart then.
func TestIntakeHalvesAfterACutCommit(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	const n = 8
	posts := make([]store.Post, n)
	for i := range posts {
		posts[i] = newPost(org, "{}")
	}
	waits := posts[3].ID
	first := true
	in := store.NewIntake(db, store.IntakeConfig{Committers: 1, Timeout: time.Minute, Enqueue: func(ctx context.Context, tx pgx.Tx, group []store.Post) error {
		if first {
			first = false
			// Committed, and nobody is told.
			_, err := tx.Exec(ctx, "commit")
			return errors.Join(store.ErrUnavailable, err)
		}
		for _, p := range group {
			if p.ID == waits {
				return store.ErrErasureKey
			}
		}
		return nil
	}})
	results := make([]error, n)
	var wg sync.WaitGroup
	for i := range posts {
		wg.Go(func() { results[i] = in.Accept(t.Context(), posts[i]) })
	}
	for in.Waiting() < n { // nothing is started yet
		time.Sleep(time.Millisecond)
	}
	in.Start()
	wg.Wait()
	for i, err := range results {
		if held := posts[i].ID == waits; (err != nil) != held || held && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("post %d: %v", i, err)
		}
	}
	if err := in.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := countRows(t, db, "select count(*) from ops.inbox where org_id = $1", org); got != n {
		t.Errorf("%d posts in the inbox, want %d", got, n)
	}
}

func TestSuppressionIsCommittedWithItsPost(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	lead, other := uuid.New(), uuid.New()
	const phone = "+15035550142"
	insertDelivery(t, db, org, "a", "rings", "ready", phone, other)
	insertDelivery(t, db, org, "b", "rings", "ready", "+15035550199", lead)
	insertDelivery(t, db, org, "c", "repeatable", "ready", phone, other)
	insertDelivery(t, db, org, "d", "rings", "sending", phone, other)
	insertDelivery(t, db, uuid.New(), "e", "rings", "ready", phone, other)
	insertDelivery(t, db, org, "f", "rings", "ready", "+15035550100", other)
	mustExec(t, db, `insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', '48213377', $2, 'identity', '', now())`,
		org, lead)
	in := startIntake(t, db, store.IntakeConfig{})
	post := newPost(org, "{}")
	post.Suppressions = []store.Suppression{
		{Kind: string(pipeline.KeyPhone), Value: phone, Stream: "dnc", ObjectID: "o1", Reason: "DNC"},
		{Kind: string(pipeline.KeyPhone), Value: phone, Stream: "dnc", ObjectID: "o1", Reason: "DNC"},
		{Kind: string(pipeline.KeyConvosoLead), Account: "default", Value: "48213377", Stream: "dnc", ObjectID: "o\x002"},
	}
	if err := in.Accept(t.Context(), post); err != nil {
		t.Fatal(err)
	}
	if got := countRows(t, db, "select count(*) from ops.suppressions where org_id = $1 and folded_at is null", org); got != 2 {
		t.Errorf("%d suppressions, want 2", got)
	}
	for dedupe, want := range map[string]string{
		"a": "cancelled", "b": "cancelled", "c": "ready", "d": "sending", "e": "ready", "f": "ready",
	} {
		var state string
		var reason *string
		var settled bool
		err := db.Pool.QueryRow(t.Context(), "select state, reason, settled_at is not null from ops.deliveries where dedupe = $1", dedupe).
			Scan(&state, &reason, &settled)
		if err != nil {
			t.Fatal(err)
		}
		if state != want {
			t.Errorf("delivery %s is %s, want %s", dedupe, state, want)
		}
		if cancelled := want == "cancelled"; cancelled != settled || cancelled && (reason == nil || *reason != "do_not_call") {
			t.Errorf("delivery %s: reason %v, settled %t", dedupe, reason, settled)
		}
	}
}

func TestSuppressionToldAgain(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	in := startIntake(t, db, store.IntakeConfig{})
	first := newPost(org, "{}")
	first.Suppressions = []store.Suppression{{Kind: "phone", Value: "+15035550142", Stream: "dnc", ObjectID: "o"}}
	first.ReceivedAt = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	again := first
	again.ID, again.ReceivedAt = uuid.Must(uuid.NewV7()), first.ReceivedAt.Add(time.Hour)
	if err := in.Accept(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "update ops.suppressions set folded_at = now()")
	if err := in.Accept(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	var received time.Time
	var folded *time.Time
	if err := db.Pool.QueryRow(t.Context(), "select received_at, folded_at from ops.suppressions").Scan(&received, &folded); err != nil {
		t.Fatal(err)
	}
	if !received.Equal(first.ReceivedAt) || folded == nil {
		t.Errorf("received %s, folded %v; want the first time, and folded as before", received, folded)
	}
}

// Many overlapping sets of locks, in any order: nobody may wait for ever.
func TestLockSuppressionsNeverDeadlocks(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	key := func(i int) string { return store.SuppressionLockKey(org, "phone", "", fmt.Sprint(i%7)) }
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 30 {
				err := db.InTx(t.Context(), func(tx pgx.Tx) error {
					return store.LockSuppressions(t.Context(), tx, []string{key(worker + i), key(3 * i), key(worker), key(5*i + worker)})
				})
				if err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func countRows(t *testing.T, db *store.DB, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := db.Pool.QueryRow(context.WithoutCancel(t.Context()), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func mustExec(t *testing.T, db *store.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func insertDelivery(t *testing.T, db *store.DB, org uuid.UUID, dedupe, class, state, phone string, lead uuid.UUID) {
	t.Helper()
	mustExec(t, db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, phone, state,
		source_time, not_before, created_at, dedupe)
		values ($1, $2, 'default', 'convolo', 'start_call', $3, $4, $5, $6, now(), now(), now(), $7)`,
		uuid.New(), org, class, lead, phone, state, dedupe)
}
