package api

import (
	"testing"
	"time"

	"github.com/trunkline/trunkline/store"
)

// TestAbsence: while the database is away one request a second asks for all. A pool that requests have filled is not away, or a
// flood would lift its own limit.
func TestAbsence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var a absence
	a.note(now, store.ErrBusy)
	if err := a.fresh(now); err != nil || a.lasting() != nil {
		t.Errorf("a full pool is taken for an absence: %v", err)
	}
	a.note(now, store.ErrUnavailable)
	for _, step := range []struct {
		after time.Duration
		asks  bool
	}{{0, false}, {999 * time.Millisecond, false}, {time.Second, true}, {time.Second, false}, {1500 * time.Millisecond, false}, {2 * time.Second, true}} {
		if asks := a.fresh(now.Add(step.after)) == nil; asks != step.asks {
			t.Errorf("after %s somebody asks: %v, want %v", step.after, asks, step.asks)
		}
	}
	a.note(now, nil)
	if a.fresh(now) != nil || a.lasting() != nil {
		t.Error("an answer does not end the absence")
	}
}
