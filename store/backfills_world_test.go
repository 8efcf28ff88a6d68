package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
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

func (w *backfillWorld) walkState(id uuid.UUID) string {
	w.t.Helper()
	walk, err := w.db.Walk(w.t.Context(), w.db.Pool, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return walk.State
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
