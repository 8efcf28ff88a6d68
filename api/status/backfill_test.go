package status

import (
	"testing"
	"time"

	"github.com/trunkline/trunkline/store"
)

// TestBackfillRate: one that has ended was as fast as it was, whatever the last minute saw of it.
func TestBackfillRate(t *testing.T) {
	t.Parallel()
	began := time.Unix(1000, 0)
	b := store.Backfill{State: store.BackfillRunning, StartedAt: began, Progress: store.BackfillProgress{Rows: 600, RowsPerSecond: 7}}
	if got := BackfillRate(&b); got != "7 rows/s over the last minute" {
		t.Errorf("running: %q", got)
	}
	b.State, b.FinishedAt = store.BackfillDone, began.Add(3*time.Second)
	if got := BackfillRate(&b); got != "200 rows/s from start to end" {
		t.Errorf("done: %q", got)
	}
	b.State, b.StartedAt = store.BackfillCancelled, time.Time{}
	if got := BackfillRate(&b); got != "7 rows/s over the last minute" {
		t.Errorf("cancelled before it began: %q", got)
	}
}
