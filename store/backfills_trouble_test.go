package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

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
