package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs/gate"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// outboxWorkers are the requests under way at once, and River's workers beside them.
const outboxWorkers = 100

// instant is a destination that takes everything at once, within an account's budget that limits nothing.
type instant struct{ budget *gate.Gate }

// Turn implements deliver.Turner, as a vendor's client does.
func (i instant) Turn(ctx context.Context) (context.Context, error) {
	return ctx, i.budget.Wait(ctx, vendorapi.Live)
}

// Name implements deliver.Destination.
func (instant) Name() string { return "dialedin" }

// Operation implements deliver.Destination.
func (i instant) Operation(string) (deliver.Operation, bool) {
	return deliver.Operation{
		Class:  deliver.Rings,
		Render: func(v deliver.View) string { return "to " + pipeline.MaskPhone(v.Phone) },
		Send: func(ctx context.Context, _ deliver.View) (pipeline.Outcome, error) {
			if err := i.budget.Recheck(ctx); err != nil {
				return pipeline.Outcome{}, err
			}
			return pipeline.Outcome{State: pipeline.OutcomeConfirmed, ExternalID: "1"}, nil
		},
		Search: func(context.Context, deliver.View) (bool, string, error) { return false, "", nil },
	}, true
}

// outboxBench takes deliveries through claim, locks, checks, sending and outcome.
func outboxBench(ctx context.Context, l *lab) ([]row, error) {
	n := min(l.rows, 5000)
	outbox := l.on(emptyTemplate, func(ctx context.Context, b *base) ([]float64, error) { return b.deliverAll(ctx, n) })
	river := l.on(emptyTemplate, func(ctx context.Context, b *base) ([]float64, error) { return b.workNothing(ctx, n) })
	got, err := interleave(ctx, l.pairs, river, outbox)
	if err != nil {
		return nil, err
	}
	r := row{
		figure: fmt.Sprintf("deliveries through the whole outbox, %d at once", outboxWorkers), unit: "deliveries/s",
		yardstick: "River no-op jobs, same workers", must: 0.25, stretch: 0.5,
	}
	return []row{r.against(got[1][0], got[0][0])}, nil
}

func (b *base) deliverAll(ctx context.Context, n int) ([]float64, error) {
	if err := b.orderDeliveries(ctx, n); err != nil {
		return nil, err
	}
	org, err := b.EnsureDefault(ctx)
	if err != nil {
		return nil, err
	}
	budget, err := gate.New(ctx, b.DB, gate.Config{
		Key: store.BudgetKey{Org: org.ID, Account: store.DefaultAccount, Source: pipeline.SourceDialedIn}, Now: time.Now, Log: b.lab.log,
	})
	if err != nil {
		return nil, err
	}
	e, err := deliver.New(deliver.Config{
		Store: b.DB, Destinations: []deliver.Destination{instant{budget}}, Hours: deliver.Window{CallWindow: pipeline.CallWindow{Always: true}},
		Owner: uuid.New(), Now: time.Now, Log: b.lab.log, Settings: deliver.Settings{Workers: outboxWorkers, DrainFor: time.Hour},
	})
	if err != nil {
		return nil, err
	}
	started := time.Now()
	worked, err := e.Drain(ctx, instant{}.Name())
	took := time.Since(started)
	if err != nil {
		return nil, err
	}
	var confirmed int
	if err := b.Pool.QueryRow(ctx, `select count(*) from ops.deliveries where state = 'confirmed'`).Scan(&confirmed); err != nil {
		return nil, fmt.Errorf("counting deliveries: %w", err)
	}
	if worked != n || confirmed != n {
		return nil, fmt.Errorf("worked %d and confirmed %d of %d deliveries", worked, confirmed, n)
	}
	return []float64{perSecond(n, took)}, nil
}

const outboxLeadsSQL = `
insert into pipeline.leads (org_id, lead_id, phone, phone_e164, phones, source, priority, stage_key, content_hash,
  first_source_time, created_at, updated_at)
select $1, gen_random_uuid(), p, p, array[p], 'api', 'normal', 'new_lead', '\x00', now(), now(), now()
from (select '+1212' || (2000000 + n) as p from generate_series(1, $2::int) n) t
returning lead_id, phone`

// orderDeliveries makes leads and one delivery each.
func (b *base) orderDeliveries(ctx context.Context, n int) error {
	org, err := b.EnsureDefault(ctx)
	if err != nil {
		return err
	}
	if _, err := b.AddRoute(ctx, org.ID, instant{}.Name(), pipeline.Condition{}); err != nil && !errors.Is(err, store.ErrRouteExists) {
		return err
	}
	rows, err := b.Pool.Query(ctx, outboxLeadsSQL, org.ID, n)
	if err != nil {
		return fmt.Errorf("making leads: %w", err)
	}
	orders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.NewDelivery, error) {
		o := store.NewDelivery{
			Org: org.ID, Account: store.DefaultAccount, Destination: instant{}.Name(), Operation: "insert_lead", Class: deliver.Rings, SourceTime: b.Now(),
		}
		err := row.Scan(&o.LeadID, &o.Phone)
		o.Dedupe = o.LeadID.String()
		return o, err
	})
	if err != nil {
		return fmt.Errorf("making leads: %w", err)
	}
	err = b.InTx(ctx, func(tx pgx.Tx) error {
		_, err := b.InsertDeliveries(ctx, tx, orders)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := b.Pool.Exec(ctx, `analyze pipeline.leads, ops.deliveries`); err != nil {
		return fmt.Errorf("analysing: %w", err)
	}
	return nil
}
