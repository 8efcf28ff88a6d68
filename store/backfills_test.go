package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

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
