package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// A drain that is not done in its turn says so, and nothing of what it did is lost.
func TestReconcileEndsItsTurn(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	now := foldStart.Add(time.Hour)
	w.db.Clock = func() time.Time { now = now.Add(20 * time.Second); return now }
	w.land(ownLead("1", 1))
	if _, err := w.rec.Drain(t.Context()); !errors.Is(err, store.ErrMore) {
		t.Errorf("after its turn a drain ends with %v", err)
	}
	if n := w.number(`select count(*) from pipeline.leads`); n != 1 {
		t.Errorf("%d leads are folded, want 1", n)
	}
}

// A record that takes Postgres too long holds up nobody, and is not given up: the fault may be the server's.
func TestReconcilePutsASlowRecordLast(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	for _, sql := range []string{
		`create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return new; end $$`,
		`create trigger slow before insert on pipeline.leads for each row when (new.city = 'slow') execute function slow()`,
	} {
		mustExec(t, w.db, sql)
	}
	cfg := w.db.Pool.Config()
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = "1000"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w.rec.DB = &store.DB{Pool: pool, Log: w.db.Log, Clock: w.db.Clock}
	slow := ownLead("1", 1)
	slow.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: "slow"}
	w.land(slow, ownLead("2", 2), ownLead("3", 3))
	for giveUp := time.Now().Add(time.Minute); w.number(`select count(*) from pipeline.leads`) < 2 && time.Now().Before(giveUp); {
		if _, err := w.rec.Drain(t.Context()); err == nil {
			t.Fatal("a drain that could not fold a record ends well")
		}
	}
	if n := w.number(`select count(*) from pipeline.leads`); n != 2 {
		t.Errorf("%d leads are folded, want the two others", n)
	}
	if n := w.number(`select count(*) from ops.reconcile_queue`); n != 1 {
		t.Errorf("%d records are queued, want the slow one", n)
	}
	mustExec(t, w.db, `drop trigger slow on pipeline.leads`)
	w.rec.DB = w.db
	w.drain()
	if n := w.number(`select count(*) from pipeline.leads`); n != 3 {
		t.Errorf("%d leads in the end, want 3", n)
	}
}

// Organisations take turns: one with a long queue keeps no other waiting, wherever it stands in their order.
func TestOrganisationsTakeTurns(t *testing.T) {
	t.Parallel()
	orgs := []uuid.UUID{
		uuid.MustParse("0191f3a0-0000-7000-8000-000000000001"), uuid.MustParse("0191f3a0-0000-7000-8000-000000000002"),
		uuid.MustParse("0191f3a0-0000-7000-8000-000000000003"),
	}
	for long := range orgs {
		w := newFoldWorld(t)
		w.rec.Batch = 1
		left := map[int]int{}
		for i, org := range orgs {
			if left[i] = 1; i == long {
				left[i] = 6
			}
			for n := range left[i] {
				payload, err := json.Marshal(ownLead(fmt.Sprint(n), 1).facts)
				if err != nil {
					t.Fatal(err)
				}
				err = w.db.InTx(t.Context(), func(tx pgx.Tx) error {
					_, err := w.db.Land(t.Context(), tx, store.Target{Org: org, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
						[]store.LandRecord{{ObjectID: fmt.Sprint(n), Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		var order []int
		w.rec.Observe = func(int, int, int, time.Duration) {
			for i, org := range orgs {
				// The batch beside may have been committed too by now.
				n := w.number(`select count(*) from ops.reconcile_queue where org_id = $1`, org)
				for ; left[i] > n; left[i]-- {
					order = append(order, i)
				}
			}
		}
		w.drain()
		if len(order) != 8 {
			t.Fatalf("batches of organisations %v, want 8", order)
		}
		ofLong, others := 0, 0
		for _, i := range order {
			switch {
			case i != long:
				others++
			case others < 2:
				ofLong++
			}
		}
		if ofLong > 2 {
			t.Errorf("batches of organisations %v: %d has a long queue and keeps the others waiting", order, long)
		}
	}
}
