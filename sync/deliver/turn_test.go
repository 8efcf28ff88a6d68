package deliver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// budget is a gate that lets one request through at a time, when let says so.
type budget struct {
	let func(ctx context.Context) error

	one sync.Mutex // held during a wait: a request costs a turn of its own

	mu     sync.Mutex
	waited int
	// since is what became of the account after turns were taken.
	since error
}

func (b *budget) Recheck(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since
}

func (b *budget) Wait(ctx context.Context, _ vendorapi.Lane) error {
	b.one.Lock()
	defer b.one.Unlock()
	b.mu.Lock()
	b.waited++
	b.mu.Unlock()
	return b.let(ctx)
}

func (b *budget) Waited() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waited
}

func (*budget) Limited(context.Context, time.Duration) {}
func (*budget) Denied(context.Context)                 {}
func (*budget) Accepted(context.Context, time.Time)    {}

func every(pause time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// until lets requests through once the channel is closed.
func until(open <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-open:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// turning is a vendor behind a budget, spoken to over HTTP.
type turning struct {
	*vendor
	api vendorapi.Client

	mu      sync.Mutex
	arrived map[string]bool
}

func (v *turning) Turn(ctx context.Context) (context.Context, error) {
	return v.api.Turn(ctx, vendorapi.Live)
}

func (r *rig) turning(b *budget) *turning {
	r.t.Helper()
	v := &turning{vendor: r.vendor, arrived: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.arrived[req.URL.Path] = true
	}))
	r.t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	v.api = vendorapi.Client{
		Vendor: "dialedin", Base: base, HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: quiet(), Timeout: time.Minute, Gate: b,
	}
	r.vendor.send = func(ctx context.Context, view deliver.View) (pipeline.Outcome, error) {
		_, err := v.api.Do(ctx, vendorapi.Request{
			Op: "push", Method: http.MethodPost, Path: "/" + view.Delivery.ID.String(), Push: true, Lane: vendorapi.Live,
		})
		if err != nil {
			return pipeline.Outcome{}, err
		}
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
	}
	return v
}

func (v *turning) requests() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.arrived)
}

func (r *rig) engineFor(d deliver.Destination, set deliver.Settings) *deliver.Engine {
	r.t.Helper()
	window, err := pipeline.ParseCallWindow("08:00-21:00")
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := deliver.New(deliver.Config{
		Store: r.db, Destinations: []deliver.Destination{d}, Hours: deliver.Window{CallWindow: window},
		Owner: uuid.New(), Now: r.clock.Now, Log: quiet(), Settings: set,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func (r *rig) draining(e *deliver.Engine) (done <-chan struct{}) {
	out := make(chan struct{})
	go func() {
		defer close(out)
		if _, err := e.Drain(context.Background(), r.vendor.name); err != nil {
			r.t.Errorf("drain: %v", err)
		}
	}()
	return out
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for start := time.Now(); !ok(); time.Sleep(2 * time.Millisecond) { // polling
		if time.Since(start) > time.Minute {
			r.t.Fatalf("never: %s", what)
		}
	}
}

// TestChecksRunWhenTheTurnHasCome: nothing is decided before there is a turn for it, however slow the budget is.
func TestChecksRunWhenTheTurnHasCome(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var came []time.Time
	pause := every(300 * time.Millisecond)
	b := &budget{let: func(ctx context.Context) error {
		err := pause(ctx)
		mu.Lock()
		defer mu.Unlock()
		came = append(came, time.Now())
		return err
	}}
	v := r.turning(b)
	window := pipeline.CallWindow{Always: true}
	e, err := deliver.New(deliver.Config{
		Store: r.db, Destinations: []deliver.Destination{v}, Hours: deliver.Window{CallWindow: window}, Owner: uuid.New(),
		Now: time.Now, Log: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.clock.Set(time.Now())
	ids := make([]uuid.UUID, 6)
	for i := range ids {
		ids[i] = r.push("dial_lead")
	}
	r.drain(e)
	var decided []time.Time
	for _, id := range ids {
		decided = append(decided, r.want(id, "confirmed", "", "", 1).SendingAt)
	}
	slices.SortFunc(decided, time.Time.Compare)
	for i, at := range decided {
		if at.Before(came[i].Truncate(time.Microsecond)) {
			t.Errorf("the checks of request %d ran %s before its turn came", i+1, came[i].Sub(at))
		}
	}
	if n := b.Waited(); n != len(ids) {
		t.Errorf("%d turns were taken for %d requests", n, len(ids))
	}
}

func TestOptOutDuringTheWaitForTheBudget(t *testing.T) {
	r := newRig(t)
	r.exec(stampSQL)
	open := make(chan struct{})
	b := &budget{let: until(open)}
	v := r.turning(b)
	targets := make([]target, 8)
	for i := range targets {
		lead, phone := r.lead()
		targets[i] = target{lead, phone, r.order(store.NewDelivery{Operation: "dial_lead", LeadID: lead, Phone: phone})}
	}
	r.clock.Advance(time.Millisecond)
	other := r.push("dial_lead")
	done := r.draining(r.engineFor(v, deliver.Settings{}))
	r.eventually("a wait for the budget", func() bool { return b.Waited() > 0 })
	if n := r.count(`select count(*) from ops.deliveries where state <> 'ready' or lease_owner is not null`); n != 0 {
		t.Errorf("%d deliveries are not free during the wait", n)
	}
	for i := range targets {
		if err := r.optOut(targets[i], false); err != nil {
			t.Fatal(err)
		}
	}
	close(open)
	<-done
	for i := range targets {
		r.want(targets[i].id, "cancelled", "do_not_call", "", 0)
	}
	r.want(other, "confirmed", "", "", 1)
	if n := v.requests(); n != 1 {
		t.Errorf("%d requests were made", n)
	}
	// Four workers took a turn each; nobody needed the others.
	if n := b.Waited(); n > 5 {
		t.Errorf("%d turns were taken: unused ones are not kept", n)
	}
}

func TestWindowEndsDuringTheWaitForTheBudget(t *testing.T) {
	r := newRig(t)
	r.clock.Set(noon.Add(9*time.Hour - time.Second)) // 20:59:59 in New York
	open := make(chan struct{})
	b := &budget{let: until(open)}
	v := r.turning(b)
	id := r.push("dial_lead")
	done := r.draining(r.engineFor(v, deliver.Settings{}))
	r.eventually("a wait for the budget", func() bool { return b.Waited() > 0 })
	r.clock.Advance(2 * time.Second)
	close(open)
	<-done
	r.want(id, "ready", "", "call_window", 0)
}

// TestBatchHasATurnForEachRequest: requests that begin together do not wait for one another's budget.
func TestBatchHasATurnForEachRequest(t *testing.T) {
	r := newRig(t)
	b := &budget{let: func(context.Context) error { return nil }}
	v := r.turning(b)
	for range 40 {
		r.push("insert_lead")
	}
	if n := r.drain(r.engineFor(v, deliver.Settings{Workers: 16})); n != 40 {
		t.Errorf("worked %d", n)
	}
	if v.requests() != 40 || b.Waited() != 40 {
		t.Errorf("%d requests, %d turns", v.requests(), b.Waited())
	}
	// Nothing is due: nothing is taken.
	r.drain(r.engineFor(v, deliver.Settings{}))
	if b.Waited() != 40 {
		t.Error("a turn was taken for nothing")
	}
}

func TestNoTurnPutsOffWhatIsReady(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		name string
		err  *vendorapi.Error
		hold string
		wait time.Duration
	}{
		{"limited", &vendorapi.Error{Kind: vendorapi.Limited, After: 7 * time.Second}, "limited", 7 * time.Second},
		{"limited, no wait told", &vendorapi.Error{Kind: vendorapi.Limited}, "limited", time.Minute},
		{"denied, next probe known", &vendorapi.Error{Kind: vendorapi.Denied, After: 3 * time.Minute}, "denied", 3 * time.Minute},
		{"denied", &vendorapi.Error{Kind: vendorapi.Denied}, "denied", 10 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.reset(t)
			refuse := false
			b := &budget{let: func(context.Context) error {
				if refuse {
					return tc.err
				}
				return nil
			}}
			v := r.turning(b)
			e := r.engineFor(v, deliver.Settings{})
			send := v.send
			v.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "cut"}, nil)
			unknown := r.push("insert_lead")
			r.drain(e)
			v.send = send
			v.finds(true, "4711", nil)
			r.clock.Advance(30 * time.Second)

			refuse = true
			first, second := r.push("insert_lead"), r.push("update_lead")
			later := r.order(store.NewDelivery{Operation: "dnc_add", Phone: "+13055550123", NotBefore: r.clock.Now().Add(time.Hour)})
			r.drain(e)
			for _, id := range []uuid.UUID{first, second} {
				d := r.want(id, "ready", "", tc.hold, 0)
				if got := d.NotBefore.Sub(r.clock.Now()); got != tc.wait || d.Attempts != 0 {
					t.Errorf("due again after %s with %d attempts, want %s", got, d.Attempts, tc.wait)
				}
			}
			r.want(later, "ready", "", "", 0)
			// What became of an earlier request is looked into all the same.
			r.want(unknown, "confirmed", "", "", 1)
			if n := r.drain(e); n != 0 || v.requests() != 0 {
				t.Errorf("worked %d, %d requests", n, v.requests())
			}
			refuse = false
			r.clock.Advance(tc.wait)
			r.drain(e)
			r.want(first, "confirmed", "", "", 1)
			r.want(second, "confirmed", "", "", 1)
		})
	}
}

func TestPanicWhileWaitingForATurn(t *testing.T) {
	r := newRig(t)
	v := r.turning(&budget{let: func(context.Context) error { panic("no") }})
	id := r.push("insert_lead")
	if _, err := r.engineFor(v, deliver.Settings{}).Drain(context.Background(), r.vendor.name); err == nil {
		t.Error("no error")
	}
	r.want(id, "ready", "", "", 0)
}

// TestPauseBetweenTurnAndRequest pauses the account after a turn was taken: the delivery is put off unsent, and no attempt counts.
func TestPauseBetweenTurnAndRequest(t *testing.T) {
	r := newRig(t)
	b := &budget{let: func(context.Context) error { return nil }, since: &vendorapi.Error{Kind: vendorapi.Limited, After: time.Minute}}
	v := r.turning(b)
	id := r.push("insert_lead")
	e := r.engineFor(v, deliver.Settings{})
	r.drain(e)
	d := r.get(id)
	if d.State != pipeline.DeliveryReady || d.Hold != pipeline.HoldLimited || d.Attempts != 0 || v.requests() != 0 {
		t.Errorf("delivery is %s, held by %q, after %d attempts and %d requests", d.State, d.Hold, d.Attempts, v.requests())
	}
	if until := d.NotBefore.Sub(r.clock.Now()); until < time.Minute {
		t.Errorf("it is put off by %s, want a minute", until)
	}
}
