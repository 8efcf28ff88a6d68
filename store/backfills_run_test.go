package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
)

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
