package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// backfillWorld is a walkWorld whose clock tests move.
type backfillWorld struct {
	*walkWorld
	mu    sync.Mutex
	clock time.Time
	woken int
}

func newBackfillWorld(t *testing.T) *backfillWorld {
	t.Helper()
	w := &backfillWorld{walkWorld: newWalkWorld(t), clock: landStart.Add(time.Hour)}
	w.db.Clock = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.clock
	}
	return w
}

func (w *backfillWorld) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *backfillWorld) wake(context.Context, pgx.Tx, uuid.UUID) error {
	w.woken++
	return nil
}

// start orders a backfill of windows of an hour, before anything live.
func (w *backfillWorld) start(windows int) uuid.UUID {
	w.t.Helper()
	id, err := w.db.CreateBackfill(w.t.Context(), store.NewBackfill{
		Org: w.key.Org, Account: w.key.Account, Source: w.key.Source, Streams: []store.BackfillStream{{Name: w.key.Stream}},
		Range: hours(-1000, windows-1000), Window: time.Hour, Actor: "test", Wake: w.wake,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// claim takes the next window of a backfill.
func (w *backfillWorld) claim(id uuid.UUID) (store.Walk, uuid.UUID) {
	w.t.Helper()
	next, ok, err := w.db.NextWindow(w.t.Context(), id)
	if err != nil || !ok {
		w.t.Fatalf("next window: %t, %v", ok, err)
	}
	owner := uuid.New()
	walk, err := w.db.ClaimWalk(w.t.Context(), next, owner, time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	return walk, owner
}

func (w *backfillWorld) none(id uuid.UUID, why string) {
	w.t.Helper()
	if next, ok, err := w.db.NextWindow(w.t.Context(), id); err != nil || ok {
		w.t.Errorf("%s: window %s is next, %v", why, next, err)
	}
}

// commit is a page of a claimed window.
func (w *backfillWorld) commit(walk store.Walk, owner uuid.UUID, cursor string, done bool, recs ...store.LandRecord) error {
	p := store.WalkPage{ID: walk.ID, Owner: owner, Target: w.target, Records: recs, Cursor: cursor, Pages: 1, Done: done, Lease: time.Minute}
	if done {
		p.Covers = walk.Window
	}
	_, err := w.db.CommitPage(w.t.Context(), p)
	return err
}

func (w *backfillWorld) read(id uuid.UUID) {
	w.t.Helper()
	walk, owner := w.claim(id)
	if err := w.commit(walk, owner, "", true); err != nil {
		w.t.Fatal(err)
	}
}

func (w *backfillWorld) show(id uuid.UUID) store.Backfill {
	w.t.Helper()
	b, err := w.db.Backfill(w.t.Context(), w.key.Org, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *backfillWorld) settle(id uuid.UUID) store.Backfill {
	w.t.Helper()
	if err := w.db.SettleBackfill(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	return w.show(id)
}

func TestWindowsAreTheRange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.Int64Range(1, 90_000).Draw(t, "length")) * time.Second
		r := store.TimeRange{From: landStart, To: landStart.Add(time.Duration(rapid.Int64Range(0, 1_000_000).Draw(t, "seconds")) * time.Second)}
		at := r.From
		for i, w := range store.SplitWindows(r, length) {
			if !w.From.Equal(at) || !w.From.Before(w.To) || w.To.Sub(w.From) > length {
				t.Fatalf("window %d is %v after %v", i, w, at)
			}
			if w.To.Sub(w.From) < length && !w.To.Equal(r.To) {
				t.Fatalf("window %d is short and not the last", i)
			}
			at = w.To
		}
		if !at.Equal(r.To) {
			t.Fatalf("windows end at %v, the range at %v", at, r.To)
		}
	})
	if got := store.SplitWindows(hours(0, 5), 0); got != nil {
		t.Errorf("windows of no length: %v", got)
	}
}

func TestBackfillIsMadeWhole(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	order := store.NewBackfill{
		Org: w.key.Org, Account: w.key.Account, Source: pipeline.SourceIPSCAPE,
		Streams: []store.BackfillStream{{Name: "users", Whole: true}, {Name: "activities"}},
		Range:   store.TimeRange{From: landStart.Add(-50 * time.Hour), To: landStart}, Window: 24 * time.Hour,
		Filters: map[string]string{"campaignId": "12"}, Actor: "test",
	}
	undo := errors.New("undo")
	order.Wake = func(context.Context, pgx.Tx, uuid.UUID) error { return undo }
	if _, err := w.db.CreateBackfill(t.Context(), order); !errors.Is(err, undo) {
		t.Fatalf("a backfill whose jobs cannot be made: %v", err)
	}
	var left int
	err := w.db.Pool.QueryRow(t.Context(), `
		select (select count(*) from ops.backfills) + (select count(*) from ops.walks) + (select count(*) from ops.streams)`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d rows are left of an order that failed, %v", left, err)
	}
	order.Wake = w.wake
	id, err := w.db.CreateBackfill(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	type window struct {
		Stream, Kind, Lane, State, Filter string
		Hours                             *float64
	}
	rows, err := w.db.Pool.Query(t.Context(), `
		select stream, kind, lane, state, filters ->> 'campaignId', (extract(epoch from upper(time_window) - lower(time_window)) / 3600)::float8
		from ops.walks where backfill_id = $1 order by stream, lower(time_window)`, id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[window])
	if err != nil {
		t.Fatal(err)
	}
	day, rest := 24.0, 2.0
	want := []window{
		{"activities", "backfill", "backfill", "ready", "12", &day},
		{"activities", "backfill", "backfill", "ready", "12", &day},
		{"activities", "backfill", "backfill", "ready", "12", &rest},
		{"users", "backfill", "backfill", "ready", "12", nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	b := w.show(id)
	b.CreatedAt, b.ID, b.Org = time.Time{}, uuid.Nil, uuid.Nil
	if diff := cmp.Diff(store.Backfill{
		Account: "default", Source: pipeline.SourceIPSCAPE, Streams: []string{"activities", "users"}, Range: order.Range, Window: 24 * time.Hour,
		Filters: order.Filters, State: store.BackfillPlanned, Actor: "test", Progress: store.BackfillProgress{Windows: 4, Waiting: 4},
	}, b); diff != "" {
		t.Errorf("backfill (-want +got):\n%s", diff)
	}
	if w.woken != 1 {
		t.Errorf("woken %d times", w.woken)
	}
	if _, err := w.db.Backfill(t.Context(), uuid.New(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation sees it: %v", err)
	}
	if err := w.db.PauseBackfill(t.Context(), uuid.New(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation pauses it: %v", err)
	}
}

// Coverage is all that a backfill changes of its stream: neither where live walks go on nor how the stream fares.
func TestBackfillAddsCoverageOnly(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	w.walkWorld.read("live", hours(-10, -5))
	live, err := w.create(store.NewWalk{Kind: "live", Lane: "live", Window: new(hours(-6, -4))})
	if err != nil {
		t.Fatal(err)
	}
	owner := uuid.New()
	if _, err := w.db.ClaimWalk(t.Context(), live.ID, owner, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := w.db.ReleaseWalk(t.Context(), live.ID, owner, "the vendor is away"); err != nil {
		t.Fatal(err)
	}
	before, err := w.db.StreamState(t.Context(), w.db.Pool, w.key)
	if err != nil {
		t.Fatal(err)
	}
	w.advance(10 * time.Second) // past the stream's rest
	id := w.start(3)
	w.read(id)
	walk, owner := w.claim(id)
	if err := w.db.FailWalk(t.Context(), walk.ID, owner, "the window is bad", true); err != nil {
		t.Fatal(err)
	}
	after, err := w.db.StreamState(t.Context(), w.db.Pool, w.key)
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Covered = []store.TimeRange{hours(-1000, -999), hours(-10, -5)}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
	if got := w.holes(); len(got) != 0 {
		t.Errorf("a backfill left holes: %v", got)
	}
}

func TestBackfillRunsToItsEnd(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	id := w.start(3)
	if got := w.settle(id); got.State != store.BackfillPlanned {
		t.Errorf("before the first window: %s", got.State)
	}
	w.read(id)
	if got := w.settle(id); got.State != store.BackfillRunning || got.StartedAt.IsZero() || got.Progress.Done != 1 || got.Progress.Left() != 2 {
		t.Errorf("after the first window: %+v", got)
	}
	w.read(id)
	w.read(id)
	w.none(id, "all are read")
	if err := w.db.SettleBackfill(t.Context(), uuid.Nil); err != nil {
		t.Fatal(err)
	}
	b := w.show(id)
	if b.State != store.BackfillDone || b.FinishedAt.IsZero() || b.Error != "" || b.Progress.Done != 3 {
		t.Errorf("at the end: %+v", b)
	}
	for what, err := range map[string]error{
		"pause": w.db.PauseBackfill(t.Context(), w.key.Org, id), "resume": w.db.ResumeBackfill(t.Context(), w.key.Org, id, w.wake),
		"cancel": w.db.CancelBackfill(t.Context(), w.key.Org, id),
	} {
		if !errors.Is(err, store.ErrBackfillEnded) {
			t.Errorf("%s of one that is done: %v", what, err)
		}
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	ctx := t.Context()
	id := w.start(3)
	walk, owner := w.claim(id)
	if err := w.commit(walk, owner, "page 2", false, observed("7", 1, "A")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is as good as once
		if err := w.db.PauseBackfill(ctx, w.key.Org, id); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.show(id); got.State != store.BackfillPaused || got.Progress.Running != 0 || got.Progress.Waiting != 3 {
		t.Errorf("paused: %+v", got)
	}
	if err := w.commit(walk, owner, "page 3", false, observed("8", 1, "A")); !errors.Is(err, store.ErrWalkLost) || len(w.rows(t)) != 1 {
		t.Errorf("a commit after the pause: %v, %d rows", err, len(w.rows(t)))
	}
	if err := w.db.RenewWalk(ctx, walk.ID, owner, time.Minute); !errors.Is(err, store.ErrWalkLost) {
		t.Errorf("a renewal after the pause: %v", err)
	}
	if _, err := w.db.ClaimWalk(ctx, walk.ID, uuid.New(), time.Minute); !errors.Is(err, store.ErrWalkTaken) {
		t.Errorf("a claim while paused: %v", err)
	}
	w.none(id, "paused")
	wakes, err := w.db.BackfillsToWake(ctx, w.db.Pool)
	if open, openErr := w.db.OpenWalks(ctx, w.db.Pool, 10); err != nil || openErr != nil || len(wakes) != 0 || len(open) != 0 {
		t.Errorf("woken while paused: %v, %v", wakes, open)
	}
	if got := w.settle(id); got.State != store.BackfillPaused {
		t.Errorf("settled while paused: %s", got.State)
	}
	if err := w.db.ResumeBackfill(ctx, w.key.Org, id, w.wake); err != nil || w.woken != 2 {
		t.Fatalf("resumed: %v, woken %d times", err, w.woken)
	}
	again, _ := w.claim(id)
	if again.ID != walk.ID || again.Cursor != "page 2" || again.Rows != 1 || w.show(id).State != store.BackfillRunning {
		t.Errorf("goes on with %+v, want the window that was begun", again)
	}
}

func TestCancelKeepsWhatWasRead(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	id := w.start(3)
	w.read(id)
	walk, owner := w.claim(id)
	if err := w.commit(walk, owner, "page 2", false, observed("7", 1, "A")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.db.CancelBackfill(t.Context(), w.key.Org, id); err != nil {
			t.Fatal(err)
		}
	}
	got := w.show(id)
	if got.State != store.BackfillCancelled || got.Progress.Cancelled != 2 || got.Progress.Done != 1 || got.FinishedAt.IsZero() || got.Progress.Rows != 1 {
		t.Errorf("cancelled: %+v", got)
	}
	if err := w.commit(walk, owner, "", true); !errors.Is(err, store.ErrWalkLost) {
		t.Errorf("a commit after the cancellation: %v", err)
	}
	if diff := cmp.Diff([]store.TimeRange{hours(-1000, -999)}, w.status().Covered); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	if err := w.db.ResumeBackfill(t.Context(), w.key.Org, id, w.wake); !errors.Is(err, store.ErrBackfillEnded) {
		t.Errorf("resumed: %v", err)
	}
	w.none(id, "cancelled")
}

// A window that keeps failing is tried a bounded number of times, ever later, while the others are read.
func TestFailingWindowIsRetriedAlone(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	ctx := t.Context()
	id := w.start(3)
	bad, owner := w.claim(id)
	tries := 1
	for {
		if err := w.db.FailWalk(ctx, bad.ID, owner, "page 3 is a login page", true); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.ClaimWalk(ctx, bad.ID, uuid.New(), time.Minute); !errors.Is(err, store.ErrWalkTaken) {
			t.Errorf("a window is claimed while it rests: %v", err)
		}
		if state := w.walkState(bad.ID); state == "failed" {
			break
		} else if state != "ready" || tries > 20 {
			t.Fatalf("after %d failures: %s", tries, state)
		}
		if _, ok, err := w.db.NextWindow(ctx, id); err != nil || ok != (tries < 3) {
			t.Errorf("after %d failures another window is next: %t, %v", tries, ok, err)
		}
		if tries < 3 {
			w.read(id) // one of the others
		}
		w.advance(10 * time.Second)
		var again store.Walk
		if again, owner = w.claim(id); again.ID != bad.ID {
			t.Fatalf("after a rest %+v is next", again)
		}
		tries++
	}
	if tries != 5 {
		t.Errorf("tried %d times, want 5", tries)
	}
	got := w.settle(id)
	if got.State != store.BackfillFailed || got.Progress.Done != 2 || got.Progress.Failed != 1 || got.Error != "1 of 3 windows failed: page 3 is a login page" {
		t.Errorf("ended as %+v", got)
	}
	troubled, err := w.db.TroubledWindows(ctx, id, 10)
	if err != nil || len(troubled) != 1 || troubled[0].Walk != bad.ID || troubled[0].Tries != 5 || troubled[0].Range != *bad.Window {
		t.Errorf("troubled windows %+v, %v", troubled, err)
	}
	if w.status().LastError != "" {
		t.Error("the stream shows a failure of a backfill's window")
	}

	if err := w.db.ResumeBackfill(ctx, w.key.Org, id, w.wake); err != nil {
		t.Fatal(err)
	}
	if got := w.show(id); got.State != store.BackfillRunning || got.Error != "" || !got.FinishedAt.IsZero() || got.Progress.Waiting != 1 {
		t.Errorf("resumed: %+v", got)
	}
	w.read(id)
	if got := w.settle(id); got.State != store.BackfillDone || got.Progress.Done != 3 {
		t.Errorf("after another chance: %+v", got)
	}
	if troubled, err := w.db.TroubledWindows(ctx, id, 10); err != nil || len(troubled) != 0 {
		t.Errorf("troubled windows at the end: %+v, %v", troubled, err)
	}
}

func (w *backfillWorld) walkState(id uuid.UUID) string {
	w.t.Helper()
	walk, err := w.db.Walk(w.t.Context(), w.db.Pool, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return walk.State
}

// While the vendor is down no window fails for good; when only one window meets trouble, that one does.
func TestTroubleAtTheVendorIsNotTheWindows(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	id := w.start(8)
	var bad store.Walk
	trouble := func() {
		w.t.Helper()
		walk, owner := w.claim(id)
		if bad.ID == uuid.Nil {
			bad = walk
		}
		if walk.ID != bad.ID {
			t.Fatalf("window %s instead of the one that was begun", walk.ID)
		}
		if err := w.db.ReleaseWalk(t.Context(), walk.ID, owner, "status 502"); err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		trouble()
		w.advance(6 * time.Second)
	}
	if state := w.walkState(bad.ID); state != "ready" {
		t.Fatalf("a window is %s while the vendor is down", state)
	}
	failures := 0
	for ; failures < 7 && w.walkState(bad.ID) == "ready"; failures++ {
		trouble()
		w.advance(time.Millisecond) // the bad one rests, and the others go on
		if w.walkState(bad.ID) == "ready" {
			w.read(id)
		}
		w.advance(6 * time.Second)
	}
	if state := w.walkState(bad.ID); state != "failed" || failures != 6 {
		t.Errorf("after %d failures while others are read: %s", failures, state)
	}
	// One that gets further each time is slow, not bad.
	slow, owner := w.claim(id)
	for i := range 20 {
		if err := w.commit(slow, owner, fmt.Sprint(i), false); err != nil {
			t.Fatal(err)
		}
		if err := w.db.ReleaseWalk(t.Context(), slow.ID, owner, "status 502"); err != nil {
			t.Fatal(err)
		}
		w.walkWorld.read("lookback", hours(-2, -1))
		w.advance(6 * time.Second)
		if slow, owner = w.claim(id); slow.Cursor != fmt.Sprint(i) {
			t.Fatalf("goes on with %+v", slow)
		}
	}
}

func TestFourWindowsAtOnce(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	id := w.start(12)
	rows, err := w.db.Pool.Query(t.Context(), `select id from ops.walks where backfill_id = $1`, id)
	if err != nil {
		t.Fatal(err)
	}
	windows, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	claimed := map[uuid.UUID]uuid.UUID{}
	var wg sync.WaitGroup
	for _, window := range windows {
		wg.Go(func() {
			owner := uuid.New()
			_, err := w.db.ClaimWalk(context.WithoutCancel(t.Context()), window, owner, time.Minute)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				claimed[window] = owner
			} else if !errors.Is(err, store.ErrWalkTaken) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(claimed) != store.BackfillAtOnce {
		t.Errorf("%d windows are claimed at once", len(claimed))
	}
	w.none(id, "four are at work")
	if wakes, err := w.db.BackfillsToWake(t.Context(), w.db.Pool); err != nil || len(wakes) != 0 {
		t.Errorf("woken although four are at work: %v, %v", wakes, err)
	}
	for window, owner := range claimed {
		if err := w.db.ReleaseWalk(t.Context(), window, owner, ""); err != nil {
			t.Fatal(err)
		}
		break
	}
	w.claim(id)
	// Two daemons died: their leases run out, and what they were at is next.
	if _, err := w.db.Pool.Exec(t.Context(), `update ops.walks set lease_until = clock_timestamp() - interval '1 s'
		where id in (select id from ops.walks where state = 'running' limit 2)`); err != nil {
		t.Fatal(err)
	}
	wakes, err := w.db.BackfillsToWake(t.Context(), w.db.Pool)
	if diff := cmp.Diff([]store.BackfillWake{{ID: id, Jobs: 2}}, wakes); err != nil || diff != "" {
		t.Errorf("to wake (-want +got):\n%s%v", diff, err)
	}
	if walk, _ := w.claim(id); walk.StartedAt.IsZero() {
		t.Errorf("%+v is next, want one that was begun", walk)
	}
}

func TestPaceAndTimeLeft(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	id := w.start(4)
	rows := func(from, n int) (recs []store.LandRecord) {
		for i := range n {
			recs = append(recs, observed(fmt.Sprintf("o%05d", from+i), 1, "A"))
		}
		return recs
	}
	walk, owner := w.claim(id)
	if err := w.commit(walk, owner, "2", false, rows(0, 60)...); err != nil {
		t.Fatal(err)
	}
	if got := w.show(id).Progress; got.TimeLeftKnown || got.Rows != 60 {
		t.Errorf("time left before a window is done: %+v", got)
	}
	w.advance(30 * time.Second)
	if err := w.commit(walk, owner, "", true, rows(60, 60)...); err != nil {
		t.Fatal(err)
	}
	// 120 rows in half a minute, and three windows of 120 left.
	got := w.show(id).Progress
	if got.RowsPerSecond != 4 || !got.TimeLeftKnown || got.TimeLeft != 90*time.Second {
		t.Errorf("after 30 s: %+v", got)
	}
	w.advance(60 * time.Second)
	if got := w.show(id).Progress; got.RowsPerSecond != 1 || got.TimeLeft != 6*time.Minute {
		t.Errorf("a minute later, half of the minute before counts: %+v", got)
	}
	walk, owner = w.claim(id)
	if err := w.commit(walk, owner, "", true, rows(200, 30)...); err != nil {
		t.Fatal(err)
	}
	if got := w.show(id).Progress; got.RowsPerSecond != 1.5 {
		t.Errorf("with 30 rows more: %+v", got)
	}
	w.advance(3 * time.Minute)
	if got := w.show(id).Progress; got.RowsPerSecond != 0 || got.TimeLeftKnown {
		t.Errorf("when nothing is read: %+v", got)
	}
	ended, err := w.db.EndedWindows(t.Context(), id, time.Time{}, 10)
	if err != nil || len(ended) != 2 || ended[0].Rows != 120 || ended[1].Rows != 30 {
		t.Errorf("ended windows %+v, %v", ended, err)
	}
	density, err := w.db.Density(t.Context(), w.key)
	if err != nil || density.RowsPerDay != 150*12 || density.RowsPerPage != 60 {
		t.Errorf("density %+v, %v", density, err)
	}
}

// Pauses that fall anywhere among claims, commits and failures neither lock up nor let a row through after they returned.
func TestPauseAmongCommits(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld(t)
	id := w.start(60)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				w.work(id, worker, n)
			}
		})
	}
	for range 25 {
		time.Sleep(5 * time.Millisecond)
		if err := w.db.PauseBackfill(t.Context(), w.key.Org, id); err != nil {
			t.Fatal(err)
		}
		before := w.show(id).Progress
		time.Sleep(10 * time.Millisecond)
		if after := w.show(id).Progress; after.Rows != before.Rows || after.Done != before.Done || after.Running != 0 {
			t.Fatalf("a pause let something through: %+v, then %+v", before, after)
		}
		if err := w.db.ResumeBackfill(t.Context(), w.key.Org, id, func(context.Context, pgx.Tx, uuid.UUID) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()
	if got := w.show(id).Progress; got.Rows == 0 {
		t.Errorf("nothing was read: %+v", got)
	}
}

// work claims a window, commits a page and gives it back, as a worker does that is stopped after it.
func (w *backfillWorld) work(id uuid.UUID, worker, n int) {
	ctx := context.WithoutCancel(w.t.Context())
	next, ok, err := w.db.NextWindow(ctx, id)
	if err != nil {
		w.t.Error(err)
	}
	if !ok || err != nil {
		time.Sleep(time.Millisecond)
		return
	}
	owner := uuid.New()
	if _, err = w.db.ClaimWalk(ctx, next, owner, time.Minute); err == nil {
		_, err = w.db.CommitPage(ctx, store.WalkPage{
			ID: next, Owner: owner, Target: w.target, Pages: 1, Lease: time.Minute,
			Records: []store.LandRecord{observed(fmt.Sprintf("w%d-%d", worker, n), 1, "A")},
		})
	}
	if err == nil {
		err = w.db.ReleaseWalk(ctx, next, owner, "")
	}
	if allowed := []error{store.ErrWalkTaken, store.ErrWalkLost, nil}; !slices.ContainsFunc(allowed, func(a error) bool { return errors.Is(err, a) }) {
		w.t.Error(err)
	}
}
