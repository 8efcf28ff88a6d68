package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/trunkline/trunkline/store"
)

// A part of the sweep that fails must not keep the others from being looked at.
func TestSweepGoesOnPastAFailure(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"ops.daemons", "ops.reconcile_queue", "ops.streams"} {
		w := newSweepWorld(t)
		w.walk("live", "live")
		w.delivery(DestinationDialedIn, store.OpInsertLead, 0)
		w.exec(`insert into ops.inbox (id, org_id, source, received_at, method, content_type, body)
			values (gen_random_uuid(), $1, 'convoso', $2, 'POST', '', '')`, w.org, jobMade.Add(-time.Minute))
		w.exec(`alter table ` + broken + ` rename to broken`)
		signs := 0
		w.Moved = func() { signs++ }
		if err := w.Sweep(t.Context()); err == nil {
			t.Errorf("%s: no error", broken)
		}
		if signs != 9 {
			t.Errorf("%s broken: %d signs of life, want one for each of 9 parts", broken, signs)
		}
		want := map[string]int{"deliver": 1, "walk": 1, "inbox": 1}
		switch broken {
		case "ops.reconcile_queue":
			want["inbox"] = 0
		case "ops.streams":
			want["walk"] = 0
		}
		for kind, n := range want {
			if got := w.jobs(kind); got != n {
				t.Errorf("%s broken: %d %s jobs, want %d", broken, got, kind, n)
			}
		}
	}
}

func TestSweepBeatsTheHeart(t *testing.T) {
	t.Parallel()
	w := newSweepWorld(t)
	w.exec(`insert into ops.daemons (daemon_id, host, version, started_at, seen_at) values (gen_random_uuid(), 'old', '', $1, $1)`, jobMade.Add(-25*time.Hour))
	w.sweep()
	w.clock.Advance(time.Hour)
	w.sweep()
	var seen time.Time
	err := w.DB.Pool.QueryRow(t.Context(), `select seen_at from ops.daemons`).Scan(&seen)
	if err != nil || !seen.Equal(jobMade.Add(time.Hour)) {
		t.Errorf("seen at %s (%v), want the sweep's time", seen, err)
	}
	if n := countOf(t, w.DB.Pool, `select count(*) from ops.daemons`); n != 1 {
		t.Errorf("%d daemons, want the one that lives", n)
	}
}

// Run sweeps until its context ends, whatever fails.
func TestSweeperRuns(t *testing.T) {
	t.Parallel()
	w := newSweepWorld(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	eventually(t, "a first sweep", func() bool { return countOf(t, w.DB.Pool, `select count(*) from ops.daemons`) == 1 })
	w.exec(`insert into ops.reconcile_queue (org_id, record_id, queued_at) values ($1, 1, $2)`, w.org, jobMade.Add(-time.Minute))
	eventually(t, "a later one", func() bool { return w.jobs("reconcile") == 1 })
	cancel(errors.New("over"))
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("the sweeper does not stop")
	}
}
