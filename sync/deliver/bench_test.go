package deliver_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// BenchmarkOutbox takes deliveries through the whole outbox to a vendor that answers at once: claim, locks, checks, sending,
// outcome.
func BenchmarkOutbox(b *testing.B) {
	pool := storetest.DB(b)
	c := &clock{at: noon}
	db := &store.DB{Pool: pool, Log: quiet(), Clock: c.Now}
	v, org, ctx := newVendor("dialedin"), uuid.New(), context.Background()
	e, err := deliver.New(deliver.Config{
		Store: db, Destinations: []deliver.Destination{v}, Hours: deliver.Window{CallWindow: pipeline.CallWindow{Always: true}},
		Owner: uuid.New(), Now: c.Now, Log: quiet(), Settings: deliver.Settings{Workers: 100, DrainFor: time.Hour},
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := pool.Exec(ctx, `insert into pipeline.leads (org_id, lead_id, phone, phone_e164, phones, source, priority, stage_key,
		content_hash, first_source_time, created_at, updated_at)
		select $1, gen_random_uuid(), p, p, array[p], 'api', 'normal', 'new_lead', '\x00', now(), now(), now()
		from (select '+1212' || (2000000 + n) as p from generate_series(1, $2::int) n) t`, org, b.N); err != nil {
		b.Fatal(err)
	}
	rows, err := pool.Query(ctx, `select lead_id, phone from pipeline.leads`)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.AddRoute(ctx, org, "dialedin", pipeline.Condition{}); err != nil {
		b.Fatal(err)
	}
	orders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.NewDelivery, error) {
		n := store.NewDelivery{Org: org, Account: "default", Destination: "dialedin", Operation: "insert_lead", Class: deliver.Rings, SourceTime: noon}
		err := row.Scan(&n.LeadID, &n.Phone)
		n.Dedupe = n.LeadID.String()
		return n, err
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := db.InTx(ctx, func(tx pgx.Tx) error {
		_, err := db.InsertDeliveries(ctx, tx, orders)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	if _, err := pool.Exec(ctx, `analyze pipeline.leads, ops.deliveries`); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	worked, err := e.Drain(ctx, "dialedin")
	if err != nil || worked != b.N {
		b.Fatalf("worked %d of %d, %v", worked, b.N, err)
	}
	b.ReportMetric(float64(worked)/b.Elapsed().Seconds(), "deliveries/s")
}
