package store_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/pipeline"
)

var landStart = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// landWorld lands records of one stream into a database of its own.
type landWorld struct {
	db     *store.DB
	target store.Target
}

func newLandWorld(t testing.TB) *landWorld {
	t.Helper()
	db := &store.DB{Pool: storetest.DB(t), Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return landStart.Add(time.Hour) }}
	return &landWorld{db: db, target: landTarget(uuid.New())}
}

// landTarget is dialedin.leads: a typed table with a text key, a uuid and a column that must not be null.
func landTarget(org uuid.UUID) store.Target {
	return store.Target{
		Org: org, Account: "default", Source: pipeline.SourceDialedIn, Stream: "leads",
		Table: &store.TypedTable{Schema: "dialedin", Name: "leads", Key: "client_id", Columns: []string{"client_id", "state", "campaign"}},
	}
}

func observed(id string, second int, content string) store.LandRecord {
	payload, err := json.Marshal(map[string]string{"v": content})
	if err != nil {
		panic(err)
	}
	return store.LandRecord{
		ObjectID: id, Payload: payload, ObservedAt: landStart.Add(time.Duration(second) * time.Second), Values: []any{id, content, nil},
	}
}

func (w *landWorld) land(t testing.TB, o store.LandOptions, recs ...store.LandRecord) store.Landed {
	t.Helper()
	landed, err := w.try(o, recs...)
	if err != nil {
		t.Fatal(err)
	}
	if got := landed.New + landed.Changed + landed.Unchanged + landed.Older; got != len(recs) {
		t.Errorf("counts %+v add up to %d, want %d", landed, got, len(recs))
	}
	if len(landed.Records) != landed.Written() {
		t.Errorf("%d record ids for %d written rows", len(landed.Records), landed.Written())
	}
	landed.Records = nil
	return landed
}

func (w *landWorld) try(o store.LandOptions, recs ...store.LandRecord) (landed store.Landed, err error) {
	err = w.db.InTx(context.Background(), func(tx pgx.Tx) error {
		landed, err = w.db.Land(context.Background(), tx, w.target, recs, o)
		return err
	})
	return landed, err
}

// landedRow is what must not depend on the order of arrival.
type landedRow struct {
	Object, Content string
	Hash            []byte
	Observed, First time.Time
	Typed           string
}

func (w *landWorld) rows(t testing.TB) []landedRow {
	t.Helper()
	rows, err := w.db.Pool.Query(context.Background(), `
		select r.object_id, r.payload ->> 'v', r.content_hash, r.observed_at at time zone 'UTC', r.first_seen_at at time zone 'UTC',
			coalesce(l.state, '-')
		from ops.records r
		left join dialedin.leads l on l.org_id = r.org_id and l.account_id = r.account_id and l.client_id = r.object_id
		where r.org_id = $1 order by 1`, w.target.Org)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[landedRow])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (w *landWorld) count(t testing.TB, sql string) int {
	t.Helper()
	var n int
	if err := w.db.Pool.QueryRow(context.Background(), sql, w.target.Org).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *landWorld) history(t testing.TB) []string {
	t.Helper()
	rows, err := w.db.Pool.Query(context.Background(),
		`select payload ->> 'v' from ops.record_history where org_id = $1 order by observed_at, replaced_at`, w.target.Org)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const queuedRows = `select count(*) from ops.reconcile_queue where org_id = $1`
