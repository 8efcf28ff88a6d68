package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// A daemon that has said farewell keeps nobody away, and does not count as running.
func TestFarewell(t *testing.T) {
	t.Parallel()
	db := demoDB(t)
	demoMade(t, db, true)
	gone, alive := store.Daemon{ID: uuid.New(), StartedAt: foldStart}, store.Daemon{ID: uuid.New(), StartedAt: foldStart}
	for _, d := range []store.Daemon{gone, alive} {
		if err := db.Heartbeat(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := db.Farewell(t.Context(), gone.ID); err != nil {
			t.Fatal(err)
		}
		if a, err := db.Attention(t.Context()); err != nil || a.Daemons != 1 {
			t.Errorf("%d daemons, %v; want the other one", a.Daemons, err)
		}
	}
	if err := db.Farewell(t.Context(), alive.ID); err != nil {
		t.Fatal(err)
	}
	if err := db.EmptyForDemo(t.Context()); err != nil {
		t.Errorf("after the last farewell: %v", err)
	}
}

func TestLockForDemo(t *testing.T) {
	t.Parallel()
	db, other := demoDB(t), demoDB(t)
	first, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	session := first.Hijack()
	second, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	if err := store.LockForDemo(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	// The lock is the database's, and outlives what a demo drops.
	if err := db.EmptyForDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.LockForDemo(t.Context(), second); !errors.Is(err, store.ErrDemoRuns) {
		t.Errorf("a second demo: %v, want %v", err, store.ErrDemoRuns)
	}
	elsewhere, err := other.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Release()
	if err := store.LockForDemo(t.Context(), elsewhere); err != nil {
		t.Errorf("a demo on another database: %v", err)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The server ends a session a moment after its client has gone.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if err = store.LockForDemo(t.Context(), second); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Errorf("once the first has gone: %v", err)
	}
}
