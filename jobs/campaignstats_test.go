package jobs_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Campaigns are listed more often than the statistics of many can be taken: the orders do not pile up.
func TestCampaignStatsDoNotPileUp(t *testing.T) {
	t.Parallel()
	w := newJobsWorld(t)
	key := store.StreamKey{Org: uuid.New(), Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE, Stream: "campaigns"}
	stats := jobs.NewCampaignStats(jobs.CampaignStats{DB: w.db, Queue: w.queue, Log: w.db.Log, Key: key})
	walked := func(want int) {
		t.Helper()
		err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
			return stats.After(t.Context(), tx, store.Walk{Key: key, Kind: "live", StartedAt: time.Now()})
		})
		var n int
		if err == nil {
			err = w.db.Pool.QueryRow(t.Context(), `select count(*) from river.river_job where kind = 'campaign_stats'`).Scan(&n)
		}
		if err != nil || n != want {
			t.Errorf("%d jobs, want %d: %v", n, want, err)
		}
	}
	walked(1)
	for _, state := range []string{"available", "running", "retryable"} {
		if _, err := w.db.Pool.Exec(t.Context(), `update river.river_job set state = $1::text::river.river_job_state`, state); err != nil {
			t.Fatal(err)
		}
		walked(1)
	}
	if _, err := w.db.Pool.Exec(t.Context(), `update river.river_job set state = 'completed', finalized_at = now()`); err != nil {
		t.Fatal(err)
	}
	walked(2)
}
