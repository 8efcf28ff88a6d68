package jobs_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

func TestRereadOrdersOneWalkAtATime(t *testing.T) {
	t.Parallel()
	w := newJobsWorld(t)
	again := &jobs.Reread{
		DB: w.db, Queue: w.queue, Key: w.key("activities"), Kind: walk.Lookback, Span: 48 * time.Hour,
		Stream:    &walk.Stream{Source: pipeline.SourceIPSCAPE, Name: "activities", Capability: walk.Created, Settle: time.Minute},
		VendorNow: func() time.Time { return time.Time{} },
	}
	if again.Name() != "ipscape.activities.lookback" {
		t.Errorf("schedule is called %s", again.Name())
	}
	for range 2 {
		err := w.db.InTx(t.Context(), func(tx pgx.Tx) error { return again.Due(t.Context(), tx, w.db.Now()) })
		if err != nil {
			t.Fatal(err)
		}
	}
	var walks, jobs int
	var lane string
	var from, to time.Time
	err := w.db.Pool.QueryRow(t.Context(), `select count(*), min(lane), min(lower(time_window)), max(upper(time_window)) from ops.walks where kind = 'lookback'`).Scan(&walks, &lane, &from, &to)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.db.Pool.QueryRow(t.Context(), `select count(*) from river.river_job where kind = 'walk'`).Scan(&jobs); err != nil {
		t.Fatal(err)
	}
	now := w.db.Now()
	if walks != 1 || jobs != 1 || lane != "reread" || !to.Equal(now.Add(-time.Minute).Truncate(time.Second)) || to.Sub(from) != 48*time.Hour {
		t.Errorf("%d walks over %s to %s in lane %s, %d jobs; want one of 48 h up to a minute ago, and one job", walks, from, to, lane, jobs)
	}
}

func TestSweepWalksHoles(t *testing.T) {
	t.Parallel()
	w := newJobsWorld(t)
	key := w.key("activities")
	_, err := w.db.Pool.Exec(t.Context(), `
		insert into ops.streams (org_id, account_id, source, stream, capability, origin, covered)
		values ($1, 'default', 'ipscape', 'activities', 'created', '2026-03-01T00:00:00Z',
		  '{[2026-02-01,2026-02-02),[2026-03-01,2026-03-02),[2026-03-03,2026-03-04)}')`, key.Org)
	if err != nil {
		t.Fatal(err)
	}
	sweeper := w.sweeper(t, key)
	for range 2 {
		if err := sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := w.db.Pool.Query(t.Context(), `select lower(time_window), upper(time_window) from ops.walks where kind = 'hole'`)
	if err != nil {
		t.Fatal(err)
	}
	holes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[store.TimeRange])
	if err != nil {
		t.Fatal(err)
	}
	day := func(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }
	if len(holes) != 1 || !holes[0].From.Equal(day(2)) || !holes[0].To.Equal(day(3)) {
		t.Errorf("holes walked: %v, want the one above the origin, once", holes)
	}
}

func (w *jobsWorld) key(stream string) store.StreamKey {
	return store.StreamKey{Org: uuid.MustParse("0191f3a0-0000-7000-8000-000000000001"), Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE, Stream: stream}
}
