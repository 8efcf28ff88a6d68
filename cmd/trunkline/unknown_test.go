package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// emptied are options of vendors that hold nothing yet.
func emptied(seed uint64) sandbox.Options {
	return sandbox.Options{Seed: seed, Activities: -1, Leads: -1, Posts: -1}
}

// attempts lists what was asked for a lead at DialedIn, in order: kind and outcome.
func (r *rig) attempts(customerKey string) []string {
	r.Helper()
	return list[string](r, `
		select a.kind || ' ' || coalesce(a.outcome, '-')
		from ops.delivery_attempts a
		join ops.deliveries d on d.id = a.delivery_id
		join pipeline.lead_keys k on k.org_id = d.org_id and k.lead_id = d.lead_id and k.kind = 'customer_key'
		where d.destination = 'dialedin' and k.value = $1
		order by a.attempt`, customerKey)
}

// TestInsertThatHangs has DialedIn take an insert and then hold the answer back until the daemon gives up: nobody can tell
// what became of it. SearchLead finds the lead, and it is not sent again.
func TestInsertThatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, emptied(13), map[string]string{
		"TRUNKLINE_PUSH": "dialedin", "DIALEDIN_TIMEOUT": "10s", "DIALEDIN_RECONCILE_DELAY": "1s",
	})
	r.serve(nil)
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorDialedIn, Op: sandbox.OpInsertLead, Kind: sandbox.FaultHang})
	r.box.IPSCAPE().AddLeads(youngLeads(1, 1)...)
	took := eventually(t, 3*time.Minute, func() string {
		states := list[string](r, `select state from ops.deliveries`)
		if len(states) != 1 || states[0] != "confirmed" {
			return fmt.Sprintf("the delivery to be confirmed, it is %q", states)
		}
		return ""
	})
	r.checkOneInsert(1)
	if got := fmt.Sprint(r.attempts("fresh-00001")); got != "[send unknown search found]" {
		t.Errorf("attempts: %s", got)
	}
	t.Logf("unknown, searched and confirmed %s after the upload; one lead at DialedIn", took.Round(time.Millisecond))
	r.lawful()
}

// checkOneInsert compares what DialedIn counts with our rows: each lead is there once, under the id we know it by.
func (r *rig) checkOneInsert(leads int) {
	r.Helper()
	ids := list[string](r, `select lead_id::text from ops.deliveries where destination = 'dialedin' and operation = 'insert_lead' and state = 'confirmed'`)
	stored := r.box.DialedIn().InsertsByClientID()
	if len(ids) != leads || len(stored) != leads || len(r.box.DialedIn().Leads()) != leads {
		r.Errorf("%d deliveries confirmed, %d ClientIds and %d leads at DialedIn, want %d", len(ids), len(stored), len(r.box.DialedIn().Leads()), leads)
	}
	for _, id := range ids {
		if stored[id] != 1 {
			r.Errorf("lead %s was stored %d times", id, stored[id])
		}
	}
}

// TestKilledWhileSending kills the daemon between request and answer of two inserts: DialedIn took one of them and never saw
// the other. The next daemon cannot tell which, asks, and sends again only what is not there.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	r := newRig(t, emptied(14), map[string]string{"TRUNKLINE_PUSH": "dialedin", "DIALEDIN_RECONCILE_DELAY": "1s"})
	d := r.serve(nil)
	r.box.Faults().Add(
		sandbox.Fault{Vendor: sandbox.VendorDialedIn, Op: sandbox.OpInsertLead, Kind: sandbox.FaultHang},
		sandbox.Fault{Vendor: sandbox.VendorDialedIn, Op: sandbox.OpInsertLead, Kind: sandbox.FaultStall},
	)
	r.box.IPSCAPE().AddLeads(youngLeads(1, 2)...)
	eventually(t, time.Minute, func() string {
		hung, stalled := r.box.Faults().Fired(sandbox.FaultHang), r.box.Faults().Fired(sandbox.FaultStall)
		if hung+stalled < 2 || r.box.DialedIn().Attempts() < 1 {
			return fmt.Sprintf("both inserts to be under way: %d hang, %d stall", hung, stalled)
		}
		return ""
	})
	d.kill()
	died := time.Now()
	if states := fmt.Sprint(list[string](r, `select state from ops.deliveries`)); states != "[sending sending]" {
		t.Fatalf("after the kill the deliveries are %s: sending was not committed before the request left", states)
	}
	if n := r.box.DialedIn().Attempts(); n != 1 {
		t.Fatalf("%d inserts took effect, one was to", n)
	}
	r.serve(nil)
	eventually(t, 3*time.Minute, func() string {
		states := fmt.Sprint(list[string](r, `select state from ops.deliveries`))
		if states != "[confirmed confirmed]" {
			return "both deliveries to be confirmed, they are " + states
		}
		return ""
	})
	t.Logf("both confirmed %s after the kill, once the dead daemon's leases of 20 s had run out", time.Since(died).Round(time.Millisecond))
	r.checkOneInsert(2)
	if n := r.box.DialedIn().Attempts(); n != 2 {
		t.Errorf("DialedIn saw %d inserts of 2 leads", n)
	}
	ways := map[string]int{}
	for _, key := range []string{"fresh-00001", "fresh-00002"} {
		ways[fmt.Sprint(r.attempts(key))]++
	}
	// Found at once; or missed twice, a delay apart, and sent once more.
	for _, way := range []string{"[send unknown search found]", "[send unknown search missed search missed send confirmed]"} {
		if ways[way] != 1 {
			t.Errorf("attempts: %v, want one %s", ways, way)
		}
	}
	r.lawful()
}
