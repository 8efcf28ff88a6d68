package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// walkWorld is one stream of one account.
type walkWorld struct {
	*landWorld
	t   *testing.T
	key store.StreamKey
}

func newWalkWorld(t *testing.T) *walkWorld {
	t.Helper()
	w := newLandWorld(t)
	return &walkWorld{landWorld: w, t: t, key: store.StreamKey{
		Org: w.target.Org, Account: "default", Source: pipeline.SourceDialedIn, Stream: "leads",
	}}
}

func hours(from, to int) store.TimeRange {
	return store.TimeRange{From: landStart.Add(time.Duration(from) * time.Hour), To: landStart.Add(time.Duration(to) * time.Hour)}
}

func (w *walkWorld) create(n store.NewWalk) (store.Walk, error) {
	n.Key = w.key
	var out store.Walk
	err := w.db.InTx(w.t.Context(), func(tx pgx.Tx) (err error) {
		if err := w.db.EnsureStream(w.t.Context(), tx, w.key, "created"); err != nil {
			return err
		}
		out, err = w.db.CreateWalk(w.t.Context(), tx, n)
		return err
	})
	return out, err
}

// read runs a walk over a window, from order to coverage.
func (w *walkWorld) read(kind string, r store.TimeRange) {
	w.t.Helper()
	walk, err := w.create(store.NewWalk{Kind: kind, Lane: "live", Window: &r})
	if err != nil {
		w.t.Fatal(err)
	}
	owner := uuid.New()
	if _, err := w.db.ClaimWalk(w.t.Context(), walk.ID, owner, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	_, err = w.db.CommitPage(w.t.Context(), store.WalkPage{
		ID: walk.ID, Owner: owner, Target: w.target, Pages: 1, Done: true, Covers: &r, Live: kind == "live", Lease: time.Minute,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *walkWorld) holes() []store.TimeRange {
	w.t.Helper()
	got, err := w.db.Holes(w.t.Context(), w.db.Pool, w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *walkWorld) status() store.StreamStatus {
	w.t.Helper()
	got, err := w.db.StreamStates(w.t.Context(), w.db.Pool, w.key.Org)
	if err != nil || len(got) != 1 {
		w.t.Fatalf("%d streams, %v", len(got), err)
	}
	return got[0]
}

func TestCoverageAndHoles(t *testing.T) {
	t.Parallel()
	w := newWalkWorld(t)
	w.read("backfill", hours(-500, -400))
	if got := w.holes(); len(got) != 0 {
		t.Errorf("holes before there is an origin: %v", got)
	}
	w.read("live", hours(-10, -8))
	w.read("live", hours(-9, -6)) // overlapping
	w.read("hole", hours(-6, -5)) // adjoining
	if diff := cmp.Diff([]store.TimeRange{hours(-500, -400), hours(-10, -5)}, w.status().Covered); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	if got := w.holes(); len(got) != 0 {
		t.Errorf("what lies below the origin is no hole: %v", got)
	}
	w.read("lookback", hours(-3, -2))
	w.read("lookback", hours(-1, 0))
	if diff := cmp.Diff([]store.TimeRange{hours(-5, -3), hours(-2, -1)}, w.holes()); diff != "" {
		t.Errorf("holes (-want +got):\n%s", diff)
	}
	s := w.status()
	var through time.Time
	var lag int64
	var holes int
	err := w.db.Pool.QueryRow(t.Context(), `select covered_through, lag_s, holes from analytics.freshness where org_id = $1`, w.key.Org).Scan(&through, &lag, &holes)
	if err != nil {
		t.Fatal(err)
	}
	if s.Holes != holes || s.Holes != 2 || !s.CoveredThrough.Equal(through) || !through.Equal(hours(-5, 0).From) || s.Lag != 6*time.Hour {
		t.Errorf("status says %+v; the view says %v and %d", s, through, holes)
	}
	window := hours(-5, -3)
	if _, err := w.create(store.NewWalk{Kind: "hole", Lane: "live", Window: &window}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]store.TimeRange{hours(-2, -1)}, w.holes()); diff != "" {
		t.Errorf("a hole that is being walked is still listed (-want +got):\n%s", diff)
	}
	if s := w.status(); s.OpenWalks != 1 || s.LastWalkKind != "live" || s.LastWalkState != "done" {
		t.Errorf("status says %+v", s)
	}
}

func TestWalkLease(t *testing.T) {
	t.Parallel()
	w := newWalkWorld(t)
	walk, err := w.create(store.NewWalk{Kind: "sweep", Lane: "reread", Filters: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	first, second := uuid.New(), uuid.New()
	got, err := w.db.ClaimWalk(ctx, walk.ID, first, time.Minute)
	if err != nil || got.Filters["k"] != "v" || got.Window != nil || got.StartedAt.IsZero() {
		t.Fatalf("claimed %+v, %v", got, err)
	}
	if _, err := w.db.ClaimWalk(ctx, walk.ID, second, time.Minute); !errors.Is(err, store.ErrWalkTaken) {
		t.Errorf("claimed while leased: %v", err)
	}
	if err := w.db.RenewWalk(ctx, walk.ID, first, 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		open, err := w.db.OpenWalks(ctx, w.db.Pool, 10)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("a lease that ran out is not listed: %v", err)
		}
		if len(open) == 1 {
			break
		}
	}
	if _, err := w.db.ClaimWalk(ctx, walk.ID, second, time.Minute); err != nil {
		t.Fatalf("a lease that ran out could not be taken over: %v", err)
	}
	page := store.WalkPage{ID: walk.ID, Owner: first, Target: w.target, Records: []store.LandRecord{observed("7", 1, "A")}, Lease: time.Minute}
	for what, err := range map[string]error{
		"renew":   w.db.RenewWalk(ctx, walk.ID, first, time.Minute),
		"restart": w.db.RestartWalk(ctx, walk.ID, first, time.Minute),
		"release": w.db.ReleaseWalk(ctx, walk.ID, first, "x"),
		"fail":    w.db.FailWalk(ctx, walk.ID, first, "x", true),
		"commit":  func() error { _, err := w.db.CommitPage(ctx, page); return err }(),
	} {
		if !errors.Is(err, store.ErrWalkLost) {
			t.Errorf("%s by the old owner: %v", what, err)
		}
	}
	if len(w.rows(t)) != 0 || w.status().LastError != "" {
		t.Error("the old owner left traces")
	}
	page.Owner = second
	if _, err := w.db.CommitPage(ctx, page); err != nil || len(w.rows(t)) != 1 {
		t.Errorf("commit by the owner: %v", err)
	}
}

func TestOneLiveWalk(t *testing.T) {
	t.Parallel()
	w := newWalkWorld(t)
	window := hours(-1, 0)
	ids, made := map[uuid.UUID]bool{}, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
				walk, planned, err := w.db.PlanLive(t.Context(), tx, w.key, "created", func(store.StreamState) (*store.TimeRange, bool) { return &window, true })
				mu.Lock()
				defer mu.Unlock()
				ids[walk.ID] = true
				if planned == store.PlannedNew {
					made++
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || made != 1 {
		t.Errorf("%d live walks, %d made", len(ids), made)
	}
	if _, err := w.create(store.NewWalk{Kind: "live", Lane: "live", Window: &window}); !errors.Is(err, store.ErrWalkOpen) {
		t.Errorf("a second live walk: %v", err)
	}
	if _, err := w.create(store.NewWalk{Kind: "rescan", Lane: "reread", Window: &window, Alone: true}); err != nil {
		t.Error(err)
	}
	if _, err := w.create(store.NewWalk{Kind: "rescan", Lane: "reread", Window: &window, Alone: true}); !errors.Is(err, store.ErrWalkOpen) {
		t.Errorf("a second rescan: %v", err)
	}
}

// A COPY that meets somebody else's row goes on by merging.
func TestLandMeetsAnotherFirstLoad(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	ctx := t.Context()
	other, err := w.db.Pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback(ctx) //nolint:errcheck // committed below
	if _, err := w.db.Land(ctx, other, w.target, []store.LandRecord{observed("o0020", 5, "theirs"), observed("o0021", 1, "theirs")}, store.LandOptions{}); err != nil {
		t.Fatal(err)
	}
	var recs []store.LandRecord
	for i := range 50 {
		recs = append(recs, observed("o00"+string(rune('0'+i/10))+string(rune('0'+i%10)), 3, "ours"))
	}
	done := make(chan store.Landed)
	go func() {
		defer close(done)
		landed, err := w.try(store.LandOptions{}, recs...)
		if err != nil {
			t.Error(err)
		}
		done <- landed
	}()
	for waiting := 0; waiting == 0; time.Sleep(10 * time.Millisecond) {
		if err := w.db.Pool.QueryRow(ctx, `select count(*) from pg_locks where not granted
			and database = (select oid from pg_database where datname = current_database()) or not granted and locktype = 'transactionid'`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	landed := <-done
	landed.Records = nil
	if diff := cmp.Diff(store.Landed{New: 48, Changed: 1, Older: 1}, landed); diff != "" {
		t.Errorf("landed (-want +got):\n%s", diff)
	}
	for _, r := range w.rows(t) {
		want := "ours"
		if r.Object == "o0020" {
			want = "theirs"
		}
		if r.Content != want || r.Typed != want {
			t.Errorf("row is %+v, want %s", r, want)
		}
	}
}
