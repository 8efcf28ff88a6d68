package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

func TestLatenessCountsChanges(t *testing.T) {
	t.Parallel()
	w := newWalkWorld(t)
	made := landStart.Add(-72 * time.Hour)
	version := func(content string, seen, told time.Duration) store.LandRecord {
		r := observed("7", 0, content)
		r.CreatedAt, r.ObservedAt = made, made.Add(seen)
		if told > 0 {
			r.SourceTime = made.Add(told)
		}
		return r
	}
	read := func(recs ...store.LandRecord) {
		t.Helper()
		walk, err := w.create(store.NewWalk{Kind: "rescan", Lane: "reread", Window: &store.TimeRange{From: made, To: landStart}})
		if err != nil {
			t.Fatal(err)
		}
		owner := uuid.New()
		if _, err := w.db.ClaimWalk(t.Context(), walk.ID, owner, time.Minute); err != nil {
			t.Fatal(err)
		}
		_, err = w.db.CommitPage(t.Context(), store.WalkPage{ID: walk.ID, Owner: owner, Target: w.target, Records: recs, Done: true, Lease: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
	}
	minute := time.Minute
	read(version("new", 2*minute, minute))
	read(version("hung up", 50*minute, 4*minute))           // its own time moved: four minutes
	read(version("recording gone", 30*time.Hour, 4*minute)) // its own time stayed: noticed after thirty hours
	read(version("recording gone", 40*time.Hour, 4*minute)) // unchanged
	read(version("late", 71*time.Hour, 70*time.Hour))
	undated := version("undated", 72*time.Hour, 0)
	undated.CreatedAt = time.Time{}
	read(undated)
	all, err := w.db.LatenessOfAll(t.Context(), w.db.Pool)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d histograms, %v", len(all), err)
	}
	want := []store.LateBucket{{UpTo: 5 * minute, Changes: 1}, {UpTo: 48 * time.Hour, Changes: 1}, {UpTo: 72 * time.Hour, Changes: 1}}
	if diff := cmp.Diff(want, all[0].Buckets); diff != "" {
		t.Errorf("buckets (-want +got):\n%s", diff)
	}
	if all[0].Changes() != 3 || all[0].Within(48*time.Hour) != 2 || all[0].Within(50*time.Hour) != 2 || all[0].Within(time.Hour) != 1 {
		t.Errorf("%d changes, within two days %d", all[0].Changes(), all[0].Within(48*time.Hour))
	}
}
