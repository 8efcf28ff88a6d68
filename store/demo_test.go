package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

func demoDB(t *testing.T) *store.DB {
	t.Helper()
	return &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: func() time.Time { return foldStart }}
}

// demoMade makes the database one of `trunkline demo`, or leaves the default organisation as a daemon makes it.
func demoMade(t *testing.T, db *store.DB, marked bool) store.Organisation {
	t.Helper()
	org, err := db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if marked {
		if err := db.MarkDemo(t.Context(), org.ID); err != nil {
			t.Fatal(err)
		}
	}
	return org
}

func standing(t *testing.T, db *store.DB) bool {
	t.Helper()
	return countRows(t, db, `select count(*) from pg_namespace where nspname in ('ops', 'ipscape', 'convoso', 'convolo', 'dialedin', 'pipeline', 'analytics', 'river')`) == 8
}

// Whatever tells of real use keeps the demo away from the database.
func TestEmptyForDemoRefusesRealData(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(t *testing.T, db *store.DB, org uuid.UUID){
		"a post": func(t *testing.T, db *store.DB, org uuid.UUID) {
			mustExec(t, db, `insert into ops.inbox (id, org_id, source, received_at, method, content_type, body) values ($1, $2, 'convoso', now(), '', '', '')`, uuid.New(), org)
		},
		"a record": func(t *testing.T, db *store.DB, org uuid.UUID) {
			mustExec(t, db, `insert into ops.records (org_id, account_id, source, stream, object_id, payload, content_hash, observed_at, first_seen_at)
				values ($1, 'default', 'ipscape', 'leads', '1', '{}', '', now(), now())`, org)
		},
		"a budget": func(t *testing.T, db *store.DB, org uuid.UUID) {
			mustExec(t, db, `insert into ops.budgets (org_id, account_id, source, refilled_at) values ($1, 'default', 'ipscape', now())`, org)
		},
		"an API key": func(t *testing.T, db *store.DB, org uuid.UUID) {
			mustExec(t, db, `insert into ops.api_keys (key_id, org_id, name, prefix, secret_hash, level, tier, created_at)
				values ($1, $2, 'k', 'p', '', 'read', 'none', now())`, uuid.New(), org)
		},
		"another organisation": func(t *testing.T, db *store.DB, _ uuid.UUID) {
			if _, err := db.CreateOrganisation(t.Context(), "Acme"); err != nil {
				t.Fatal(err)
			}
		},
		"a receiver token": func(t *testing.T, db *store.DB, org uuid.UUID) {
			mustExec(t, db, `update ops.organisations set receiver_token_hash = 'h' where org_id = $1`, org)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := demoDB(t)
			fill(t, db, demoMade(t, db, false).ID)
			if err := db.EmptyForDemo(t.Context()); !errors.Is(err, store.ErrRealAccounts) {
				t.Errorf("error %v, want %v", err, store.ErrRealAccounts)
			}
			if !standing(t, db) {
				t.Error("the database was emptied")
			}
		})
	}
}

func TestEmptyForDemoRefusesALiveOne(t *testing.T) {
	t.Parallel()
	for _, marked := range []bool{true, false} {
		db := demoDB(t)
		demoMade(t, db, marked)
		daemon := store.Daemon{ID: uuid.New(), Host: "here", Version: "test", StartedAt: foldStart}
		db.Clock = func() time.Time { return foldStart.Add(-4 * time.Second) }
		if err := db.Heartbeat(t.Context(), daemon); err != nil {
			t.Fatal(err)
		}
		db.Clock = func() time.Time { return foldStart }
		if err := db.EmptyForDemo(t.Context()); !errors.Is(err, store.ErrDemoRuns) || !standing(t, db) {
			t.Errorf("marked %t: error %v, want %v and all kept", marked, err, store.ErrDemoRuns)
		}
		// Five seconds without a heartbeat: it is gone.
		db.Clock = func() time.Time { return foldStart.Add(time.Second) }
		if err := db.EmptyForDemo(t.Context()); err != nil || standing(t, db) {
			t.Errorf("marked %t: error %v, want a dead one's database emptied", marked, err)
		}
	}
}

func TestEmptyForDemoEmptiesAnOldOne(t *testing.T) {
	t.Parallel()
	db := demoDB(t)
	org := demoMade(t, db, true)
	mustExec(t, db, `insert into ops.budgets (org_id, account_id, source, refilled_at) values ($1, 'default', 'ipscape', now())`, org.ID)
	mustExec(t, db, `insert into pipeline.stages (org_id, stage_id, stage_key, label, color, semantic_slot, position) values ($1, $2, 'x', '', '', '', 9)`, org.ID, uuid.New())
	mustExec(t, db, `create table public.mine (n int)`)
	if err := db.EmptyForDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := countRows(t, db, `select count(*) from pg_namespace where nspname in ('ops', 'ipscape', 'convoso', 'convolo', 'dialedin', 'pipeline', 'analytics', 'river')`); n != 0 {
		t.Errorf("%d of our schemas are left", n)
	}
	if n := countRows(t, db, `select count(*) from pg_tables where schemaname = 'public' and tablename = 'mine'`); n != 1 {
		t.Error("what is not ours was dropped too")
	}
	// Nothing to empty, and then a new demo.
	if err := db.EmptyForDemo(t.Context()); err != nil {
		t.Errorf("an empty database: %v", err)
	}
	if err := migrations.Up(t.Context(), db.Pool, discard()); err != nil {
		t.Fatalf("migrating the emptied database: %v", err)
	}
	if got := demoMade(t, db, false); got.ID == org.ID || got.Name == "Demo" {
		t.Errorf("organisation %+v outlived the old demo", got)
	}
}

func TestEmptyForDemoOfAFreshDatabase(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), storetest.EmptyDSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db := &store.DB{Pool: pool, Log: discard(), Clock: time.Now}
	if err := db.EmptyForDemo(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCallsOfMergedLeadsCount: a call belongs to the lead that it was made for, also once that became part of another.
func TestCallsOfMergedLeadsCount(t *testing.T) {
	t.Parallel()
	db := demoDB(t)
	for i, tc := range []struct{ merged, other bool }{{false, false}, {true, false}, {false, true}} {
		lead, of, delivery, id := uuid.New(), uuid.New(), uuid.New(), string(rune('a'+i))
		if !tc.merged && !tc.other {
			of = lead
		}
		mustExec(t, db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, state, source_time, not_before, created_at, dedupe)
			values ($1, $2, 'default', 'convolo', 'start_call', 'rings', $3, 'confirmed', now(), now(), now(), $4)`, delivery, foldOrg, lead, id)
		mustExec(t, db, `insert into convolo.calls (org_id, account_id, call_id, delivery_id, observed_at, changed_at) values ($1, 'default', $2, $3, now(), now())`,
			foldOrg, id, delivery)
		mustExec(t, db, `insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, content_hash, occurred_at, updated_at)
			values ($1, 'convolo', 'default', $2, $3, '', now(), now())`, foldOrg, id, of)
		if tc.merged {
			mustExec(t, db, `insert into pipeline.lead_merges (org_id, lead_id, into_lead_id, merged_at) values ($1, $2, $3, now())`, foldOrg, lead, of)
		}
	}
	if c, err := db.Counts(t.Context()); err != nil || c.CallsConvolo != 2 {
		t.Errorf("%d calls count, %v; want 2: one whose lead is another one is not", c.CallsConvolo, err)
	}
}
