package deliver_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// engineOf makes a daemon that serves several destinations.
func (r *rig) engineOf(hours deliver.Hours, vendors ...*vendor) *deliver.Engine {
	r.t.Helper()
	var list []deliver.Destination
	for _, v := range vendors {
		list = append(list, v)
	}
	e, err := deliver.New(deliver.Config{
		Store: r.db, Destinations: list, Hours: hours, Owner: uuid.New(), Now: r.clock.Now, Log: quiet(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// pushTo orders an operation of a vendor for a new lead.
func (r *rig) pushTo(v *vendor, operation string) uuid.UUID {
	r.t.Helper()
	lead, phone := r.lead()
	return r.order(store.NewDelivery{Destination: v.name, Operation: operation, LeadID: lead, Phone: phone})
}

var always = deliver.Window{CallWindow: pipeline.CallWindow{Always: true}}

// TestTwoDiallersRace orders a call of every lead at two diallers, whose drains run side by side in two daemons: of each pair
// one rings, and the other waits until the phone had its rest.
func TestTwoDiallersRace(t *testing.T) {
	r := newRig(t)
	other := newVendor("convolo")
	const leads = 60
	type pair struct{ a, b uuid.UUID }
	pairs := make([]pair, leads)
	var mu sync.Mutex
	ringing, most := map[string]int{}, 0
	for _, v := range []*vendor{r.vendor, other} {
		confirm := v.send
		v.send = func(ctx context.Context, view deliver.View) (pipeline.Outcome, error) {
			mu.Lock()
			ringing[view.Phone]++
			most = max(most, ringing[view.Phone])
			mu.Unlock()
			return confirm(ctx, view)
		}
	}
	for i := range pairs {
		lead, phone := r.lead()
		// Every other pair is of two leads that share the number only.
		second := lead
		if i%2 == 1 {
			second, _ = r.lead()
			r.exec(`update pipeline.leads set phone_e164 = $2, phones = array[$2] where lead_id = $1`, second, phone)
		}
		pairs[i] = pair{
			r.order(store.NewDelivery{Operation: "dial_lead", LeadID: lead, Phone: phone}),
			r.order(store.NewDelivery{Operation: "start_call", LeadID: second, Phone: phone, Destination: other.name}),
		}
	}
	engines := []*deliver.Engine{r.engineOf(always, r.vendor, other), r.engineOf(always, r.vendor, other)}
	drainAll := func() {
		var all sync.WaitGroup
		for i, e := range engines {
			for _, name := range []string{r.vendor.name, other.name} {
				all.Go(func() {
					if _, err := e.Drain(context.Background(), name); err != nil {
						t.Errorf("engine %d: %v", i, err)
					}
				})
			}
		}
		all.Wait()
	}
	drainAll()
	held := 0
	for _, p := range pairs {
		if n := r.vendor.Sent(p.a) + other.Sent(p.b); n != 1 {
			t.Errorf("a phone rang %d times", n)
		}
		for _, id := range []uuid.UUID{p.a, p.b} {
			if d := r.get(id); d.State == pipeline.DeliveryReady {
				held++
				if d.Hold != pipeline.HoldRecentCall && d.Hold != pipeline.HoldPhoneBusy {
					t.Errorf("held by %q", d.Hold)
				}
			}
		}
	}
	if held != leads || most != 1 {
		t.Errorf("%d deliveries wait, want %d; a phone rang %d times at once", held, leads, most)
	}
	r.clock.Advance(2 * time.Minute)
	drainAll()
	for _, p := range pairs {
		if r.vendor.Sent(p.a) != 1 || other.Sent(p.b) != 1 {
			t.Errorf("after the rest: %d and %d sent, want 1 each", r.vendor.Sent(p.a), other.Sent(p.b))
		}
	}
}

func quote(v any) string { return fmt.Sprintf("'%s'", v) }

// TestRecentCallsHold holds what dials after a call that another dialler made, whoever told of it. An import does not wait.
func TestRecentCallsHold(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		name, sql string
		held      bool
	}{
		{"convoso called the lead", `insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, direction, content_hash, occurred_at, updated_at)
			values ($1, 'convoso', 'default', 'c1', $2, 'outbound', '\x00', $4::timestamptz - interval '10 seconds', $4)`, true},
		{"a call long ago", `insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, direction, content_hash, occurred_at, updated_at)
			values ($1, 'convoso', 'default', 'c1', $2, 'outbound', '\x00', $4::timestamptz - interval '10 minutes', $4)`, false},
		{"a long call that has just ended", `insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, direction, content_hash, occurred_at, ended_at, updated_at)
			values ($1, 'ipscape', 'default', 'c1', $2, 'inbound', '\x00', $4::timestamptz - interval '10 minutes', $4::timestamptz - interval '10 seconds', $4)`, true},
		{"ipscape rang the number, and nobody knows whose it is", `insert into pipeline.calls (org_id, source, account_id, external_call_id, direction, to_number, content_hash, occurred_at, updated_at)
			values ($1, 'ipscape', 'default', 'c1', 'outbound', $3, '\x00', $4::timestamptz - interval '10 seconds', $4)`, true},
		{"an attempt that reached nobody", `with k as (insert into pipeline.lead_keys values ($1, 'ipscape_lead', 'default', '7001', $2, 'identity', 'e', now()))
			insert into ipscape.dial_attempts (org_id, account_id, attempt_id, lead_id, dialled_at, observed_at, changed_at)
			values ($1, 'default', 1, 7001, $4::timestamptz - interval '10 seconds', now(), $4)`, true},
		{"another organisation's call", `insert into pipeline.calls (org_id, source, account_id, external_call_id, direction, to_number, content_hash, occurred_at, updated_at)
			values (gen_random_uuid(), 'ipscape', 'default', 'c1', 'outbound', $3, '\x00', $4::timestamptz - interval '10 seconds', $4)`, false},
		{"a clock a day ahead, heard of just now", `insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, direction, content_hash, occurred_at, updated_at)
			values ($1, 'convoso', 'default', 'c1', $2, 'outbound', '\x00', $4::timestamptz + interval '1 day', $4::timestamptz - interval '10 seconds')`, true},
		{"a clock a day ahead, heard of long ago", `insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, direction, content_hash, occurred_at, updated_at)
			values ($1, 'convoso', 'default', 'c1', $2, 'outbound', '\x00', $4::timestamptz + interval '1 day', $4::timestamptz - interval '10 minutes')`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.reset(t)
			r.exec(`truncate pipeline.calls, ipscape.dial_attempts`)
			e := r.engine(deliver.Settings{})
			lead, phone := r.lead()
			dial := r.order(store.NewDelivery{Operation: "dial_lead", LeadID: lead, Phone: phone})
			r.exec(strings.NewReplacer("$1", quote(r.org), "$2", quote(lead), "$3", quote(phone),
				"$4", quote(r.clock.Now().Format(time.RFC3339))).Replace(tc.sql))
			r.drain(e)
			if !tc.held {
				r.want(dial, "confirmed", "", "", 1)
				return
			}
			d := r.want(dial, "ready", "", "recent_call", 0)
			quietOver := r.clock.Now().Add(20 * time.Second)
			if d.NotBefore.Before(quietOver) || d.NotBefore.After(quietOver.Add(30*time.Second)) {
				t.Errorf("looked at again at %s, now is %s", d.NotBefore, r.clock.Now())
			}
			other, _ := r.lead()
			r.exec(`update pipeline.leads set phone_e164 = $2, phones = array[$2] where lead_id = $1`, other, phone)
			silent := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: other, Phone: phone})
			r.drain(e)
			r.want(silent, "confirmed", "", "", 1)
		})
	}
}

// capped allows two dials a day at any hour.
type capped struct{ deliver.Window }

func (capped) Cap(pipeline.LeadView) int { return 2 }

func TestDialCapCountsEverybodysDials(t *testing.T) {
	r := newRig(t)
	other := newVendor("convolo")
	e := r.engineOf(capped{always}, r.vendor, other)
	lead, phone := r.lead()
	start := r.clock.Now()
	first := r.order(store.NewDelivery{Operation: "start_call", LeadID: lead, Phone: phone, Destination: other.name})
	if _, err := e.Drain(t.Context(), other.name); err != nil {
		t.Fatal(err)
	}
	if d := r.get(first); d.State != pipeline.DeliveryConfirmed {
		t.Fatalf("first call is %s", d.State)
	}
	r.clock.Advance(time.Hour)
	r.exec(`insert into pipeline.calls (org_id, source, account_id, external_call_id, lead_id, direction, content_hash, occurred_at, updated_at)
		values ($1, 'convoso', 'default', 'c1', $2, 'outbound', '\x00', $3, now()),
			($1, 'convolo', 'default', 'the first again', $2, 'outbound', '\x00', $4, now()),
			($1, 'convoso', 'default', 'c2', $2, 'inbound', '\x00', $3, now())`, r.org, lead, r.clock.Now(), start)
	r.clock.Advance(time.Hour)
	third := r.order(store.NewDelivery{Operation: "dial_lead", LeadID: lead, Phone: phone})
	r.drain(e)
	d := r.want(third, "ready", "", "dial_cap", 0)
	free := start.Add(24 * time.Hour)
	if d.NotBefore.Before(free) || d.NotBefore.After(free.Add(time.Minute)) {
		t.Errorf("looked at again at %s, want within a minute of %s", d.NotBefore, free)
	}
	r.clock.Set(d.NotBefore)
	r.drain(e)
	r.want(third, "confirmed", "", "", 1)
}
