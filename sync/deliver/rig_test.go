package deliver_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// noon is a Tuesday, 12:00 in New York.
var noon = time.Date(2026, 6, 2, 16, 0, 0, 0, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// vendor is a destination that does as it is told and keeps count.
type vendor struct {
	name string
	mu   sync.Mutex
	ops  map[string]deliver.Operation
	sent map[uuid.UUID]int
	// asked counts searches.
	asked map[uuid.UUID]int
	// send and search may be replaced at any time.
	send   func(ctx context.Context, v deliver.View) (pipeline.Outcome, error)
	search func(ctx context.Context, v deliver.View) (bool, string, error)
}

func newVendor(name string) *vendor {
	v := &vendor{name: name, sent: map[uuid.UUID]int{}, asked: map[uuid.UUID]int{}}
	v.send = func(context.Context, deliver.View) (pipeline.Outcome, error) {
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed, ExternalID: "x-1"}, nil
	}
	v.search = func(context.Context, deliver.View) (bool, string, error) { return false, "", nil }
	render := func(v deliver.View) string { return "to " + pipeline.MaskPhone(v.Phone) }
	v.ops = map[string]deliver.Operation{
		"insert_lead": {Class: deliver.Rings, Render: render, Send: v.doSend, Search: v.doSearch},
		"dial_lead":   {Class: deliver.Rings, Render: render, Send: v.doSend, Search: v.doSearch, Dials: true},
		"start_call":  {Class: deliver.Rings, Render: render, Send: v.doSend, Dials: true},
		"update_lead": {Class: deliver.Repeatable, Render: render, Send: v.doSend},
		"dnc_add":     {Class: deliver.Repeatable, Render: render, Send: v.doSend, Obligation: true},
		"crm_lead":    {Class: deliver.Keyed, Render: render, Send: v.doSend, NoPhone: true},
	}
	return v
}

func (v *vendor) Name() string { return v.name }

func (v *vendor) Operation(name string) (deliver.Operation, bool) {
	op, ok := v.ops[name]
	return op, ok
}

func (v *vendor) doSend(ctx context.Context, view deliver.View) (pipeline.Outcome, error) {
	v.mu.Lock()
	v.sent[view.Delivery.ID]++
	send := v.send
	v.mu.Unlock()
	return send(ctx, view)
}

func (v *vendor) doSearch(ctx context.Context, view deliver.View) (bool, string, error) {
	v.mu.Lock()
	v.asked[view.Delivery.ID]++
	search := v.search
	v.mu.Unlock()
	return search(ctx, view)
}

func (v *vendor) Sent(id uuid.UUID) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sent[id]
}

func (v *vendor) Asked(id uuid.UUID) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked[id]
}

// answers makes every send end in the same way.
func (v *vendor) answers(o pipeline.Outcome, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.send = func(context.Context, deliver.View) (pipeline.Outcome, error) { return o, err }
}

func (v *vendor) finds(found bool, id string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.search = func(context.Context, deliver.View) (bool, string, error) { return found, id, err }
}

// rig is a database, a vendor and a clock.
type rig struct {
	t      *testing.T
	pool   *pgxpool.Pool
	db     *store.DB
	clock  *clock
	vendor *vendor
	org    uuid.UUID
	phones int

	mu   sync.Mutex
	seen []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	pool := storetest.DB(t)
	c := &clock{at: noon}
	return &rig{
		t: t, pool: pool, clock: c, vendor: newVendor("dialedin"), org: uuid.New(),
		db: &store.DB{Pool: pool, Log: quiet(), Clock: c.Now},
	}
}

// reset empties the database and puts vendor and clock back, for the next row of a table. Making a database takes longer.
func (r *rig) reset(t *testing.T) {
	t.Helper()
	r.t = t
	r.exec(`truncate ops.deliveries, ops.delivery_attempts, ops.suppressions, pipeline.leads, pipeline.lead_keys,
		pipeline.lead_merges, pipeline.do_not_call, dialedin.leads`)
	r.clock.Set(noon)
	r.vendor = newVendor(r.vendor.name)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// engine makes a daemon of its own.
func (r *rig) engine(set deliver.Settings) *deliver.Engine {
	return r.engineOn(r.db, set)
}

func (r *rig) engineOn(s deliver.Store, set deliver.Settings) *deliver.Engine {
	r.t.Helper()
	window, err := pipeline.ParseCallWindow("08:00-21:00")
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := deliver.New(deliver.Config{
		Store: s, Destinations: []deliver.Destination{r.vendor}, Hours: deliver.Window{CallWindow: window},
		Owner: uuid.New(), Now: r.clock.Now, Log: quiet(), Settings: set,
		Observe: func(destination, operation, state, reason string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen = append(r.seen, fmt.Sprintf("%s %s %s %s", destination, operation, state, reason))
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.pool.Exec(context.Background(), sql, args...); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// lead writes a lead in New York with a phone of its own.
func (r *rig) lead() (id uuid.UUID, phone string) {
	r.t.Helper()
	r.mu.Lock()
	r.phones++
	phone = fmt.Sprintf("+1212555%04d", 1000+r.phones)
	r.mu.Unlock()
	id = uuid.New()
	r.exec(`insert into pipeline.leads (org_id, lead_id, contact_first_name, phone, phone_e164, phones, source, priority, timezone,
		stage_key, content_hash, first_source_time, created_at, updated_at)
		values ($1, $2, 'Ann', $3, $3, array[$3], 'api', 'normal', 'America/New_York', 'new_lead', '\x00', $4, $4, $4)`,
		r.org, id, phone, r.clock.Now())
	return id, phone
}

// order writes one delivery.
func (r *rig) order(n store.NewDelivery) uuid.UUID {
	r.t.Helper()
	if n.Dedupe == "" {
		n.Dedupe = uuid.NewString()
	}
	n.Org = r.org
	if n.Account == "" {
		n.Account = "default"
	}
	if n.Destination == "" {
		n.Destination = r.vendor.name
	}
	if n.SourceTime.IsZero() {
		n.SourceTime = r.clock.Now()
	}
	if n.Class == "" {
		n.Class = r.vendor.ops[n.Operation].Class
	}
	var inserted []store.InsertedDelivery
	err := r.db.InTx(context.Background(), func(tx pgx.Tx) error {
		var err error
		inserted, err = r.db.InsertDeliveries(context.Background(), tx, []store.NewDelivery{n})
		return err
	})
	if err != nil || len(inserted) != 1 {
		r.t.Fatalf("ordering: %d inserted, %v", len(inserted), err)
	}
	return inserted[0].ID
}

// push orders an operation for a new lead.
func (r *rig) push(operation string) uuid.UUID {
	r.t.Helper()
	lead, phone := r.lead()
	return r.order(store.NewDelivery{Operation: operation, LeadID: lead, Phone: phone})
}

func (r *rig) drain(e *deliver.Engine) int {
	r.t.Helper()
	n, err := e.Drain(context.Background(), r.vendor.name)
	if err != nil {
		r.t.Fatalf("drain: %v", err)
	}
	return n
}

func (r *rig) get(id uuid.UUID) pipeline.Delivery {
	r.t.Helper()
	c, err := r.db.DeliveryView(context.Background(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return c.Delivery
}

// want checks a row's state, reason and hold, and how often it was sent.
func (r *rig) want(id uuid.UUID, state pipeline.DeliveryState, reason, hold string, sent int) pipeline.Delivery {
	r.t.Helper()
	d := r.get(id)
	if d.State != state || d.Reason != reason || d.Hold != hold {
		r.t.Errorf("delivery is %s, reason %q, hold %q; want %s, %q, %q (error %q)", d.State, d.Reason, d.Hold, state, reason, hold, d.Error)
	}
	if got := r.vendor.Sent(id); got != sent {
		r.t.Errorf("sent %d times, want %d", got, sent)
	}
	return d
}

func (r *rig) count(sql string, args ...any) int {
	r.t.Helper()
	var n int
	if err := r.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return n
}
