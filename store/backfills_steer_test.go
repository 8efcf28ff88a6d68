package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
)

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
