package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// halfFaulty makes a vendor act on every request and lose half of its answers: 30 of 100 hang, 10 are cut after the body, 10 are
// a 5xx. A rule sees only what those before it let pass.
func halfFaulty(vendor string) []sandbox.Fault {
	return []sandbox.Fault{
		{Vendor: vendor, Kind: sandbox.FaultHang, Times: -1, Probability: 0.3},
		{Vendor: vendor, Kind: sandbox.FaultCutAfter, Times: -1, Probability: 1. / 7},
		{Vendor: vendor, Kind: sandbox.FaultStatus, Times: -1, Probability: 1. / 6, Status: http.StatusServiceUnavailable, Effect: true},
	}
}

// TestFaultyPushesArriveOnce is the outbox's acceptance: after a first sync of 30 days of leads, which rings nobody, new leads
// are pushed to two vendors that lose half of their answers, while the daemon is killed again and again and once stopped
// gently, each time with requests under way. DialedIn, which can be asked, holds each lead exactly once. Convolo, which
// cannot, rings each at most once; what cannot be known is listed, until webhooks and a person settle it.
func TestFaultyPushesArriveOnce(t *testing.T) {
	t.Parallel()
	old, leads, kills := inFull(150, 3000), inFull(40, 2000), inFull(2, 10)
	r := newRig(t, sandbox.Options{Seed: 17, Activities: -1, Leads: old, Posts: -1, Span: 30 * 24 * time.Hour}, map[string]string{
		"DIALEDIN_RATE": "0", "DIALEDIN_TIMEOUT": "500ms", "DIALEDIN_RECONCILE_DELAY": "1s", "CONVOLO_RATE": "0", "CONVOLO_TIMEOUT": "500ms",
		"IPSCAPE_START": "744h",
	})
	began := time.Now()
	d := r.serve(nil)
	r.settled(3 * time.Minute)
	if n := one[int](r, `select count(*) from ipscape.leads`); n != old {
		t.Fatalf("%d of %d old leads were read", n, old)
	}
	if n := one[int](r, `select count(*) from ops.deliveries`); n != 0 || r.box.DialedIn().Attempts()+len(r.box.Convolo().Calls()) != 0 {
		t.Errorf("the first sync ordered %d deliveries", n)
	}
	t.Logf("%s: %d leads of 30 days were read, nobody was rung", time.Since(began).Round(time.Millisecond), old)

	r.box.Faults().Add(append(halfFaulty(sandbox.VendorDialedIn), halfFaulty(sandbox.VendorConvolo)...)...)
	r.box.IPSCAPE().AddLeads(youngLeads(1, leads)...)
	interrupted, served := 0, began
	// A kill may come just between two requests; not all of them may.
	for i := 0; i < kills || interrupted == 0 && i < kills+5; i++ {
		// Where Convolo has rung and has not said so, DialedIn's turn is yet to come: no more than this is sure to be sent.
		r.sentAtLeast(min(i+1, kills) * leads / (kills + 2))
		time.Sleep(time.Duration(rand.IntN(50_000)) * time.Microsecond)
		d.kill()
		n := one[int](r, `select count(*) from ops.deliveries where state = 'sending'`)
		interrupted += n
		t.Logf("%s: kill %d with %d requests under way", time.Since(began).Round(time.Millisecond), i+1, n)
		served = time.Now()
		d = r.serve(nil)
	}
	if interrupted == 0 {
		t.Error("no kill met a request: the test proves nothing of them")
	}
	r.sentAtLeast((kills + 1) * leads / (kills + 2))
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitDone {
		t.Fatalf("soft stop: exit %d", code)
	}
	unknown := one[int](r, `select count(*) from ops.deliveries where state = 'unknown'`)
	if n := one[int](r, `select count(*) from ops.deliveries where state = 'sending' and sending_at > $1`, served); n != 0 {
		t.Errorf("a soft stop left %d requests without an outcome", n)
	}
	t.Logf("%s: stopped gently with %d unknown", time.Since(began).Round(time.Millisecond), unknown)
	d = r.serve(nil)

	// All is sent, but what would ring a phone that may be ringing.
	r.waitNoDelivery(`d.state = 'unknown' and d.hold = 'search' or d.state in ('ready', 'sending') and not (d.destination = 'dialedin' and d.hold = 'phone_busy'
		and exists (select from ops.deliveries c where c.destination = 'convolo' and c.lead_id = d.lead_id and c.state = 'unknown'))`)
	r.checkRingsOnce(leads)
	r.checkUnknownListed(leads)

	// Convolo's webhooks tell of every call that it made, and of no other.
	r.box.Faults().Clear()
	r.box.PostTo(d.url())
	never := leads - len(r.box.Convolo().RingsByRef())
	eventually(r, 5*time.Minute, func() string {
		if n := one[int](r, `select count(*) from ops.deliveries where destination = 'convolo' and state = 'unknown'`); n > never {
			return fmt.Sprintf("%d calls to be told of, %d were never made", n, never)
		}
		return ""
	})
	for _, id := range list[uuid.UUID](r, `select id from ops.deliveries where state = 'unknown'`) {
		if r.box.Convolo().RingsByRef()[id.String()] != 0 {
			t.Errorf("call %s was made and is not known to be", id)
		}
		r.mustRun(exitDone, "deliveries", "resolve", id.String(), "--as", "rejected")
	}
	r.waitNoDelivery(`state in ('ready', 'sending', 'unknown')`)
	r.checkOneInsert(leads)
	r.checkRingsOnce(leads)
	if n := one[int](r, `select count(*) from ops.deliveries where operation = 'update_lead'`); n != 0 {
		t.Errorf("%d updates of leads that nobody changed", n)
	}
	t.Logf("%s: %d leads: %d inserted once each with %d requests, %d rung once each, %d never and settled by a person; faults: %d hung, %d cut, %d 5xx",
		time.Since(began).Round(time.Second), leads, len(r.box.DialedIn().Leads()), r.box.DialedIn().Attempts(), len(r.box.Convolo().RingsByRef()), never,
		r.box.Faults().Fired(sandbox.FaultHang), r.box.Faults().Fired(sandbox.FaultCutAfter), r.box.Faults().Fired(sandbox.FaultStatus))
	r.lawful()
}

// sentAtLeast waits until the vendors have taken so many inserts and calls, and one more is under way.
func (r *rig) sentAtLeast(n int) {
	r.Helper()
	eventually(r, 5*time.Minute, func() string {
		if sent := r.box.DialedIn().Attempts() + len(r.box.Convolo().Calls()); sent < n {
			return fmt.Sprintf("%d inserts and calls, there are %d", n, sent)
		}
		if one[int](r, `select count(*) from ops.deliveries where state = 'sending'`) == 0 {
			return "a request to be under way"
		}
		return ""
	})
}

// waitNoDelivery waits until the leads' deliveries are there and none of them is in such a state.
func (r *rig) waitNoDelivery(condition string) {
	r.Helper()
	eventually(r, 10*time.Minute, func() string {
		if n := one[int](r, `select count(*) from ops.deliveries d where `+condition); n > 0 {
			return fmt.Sprintf("%d deliveries where %s", n, condition)
		}
		return ""
	})
}

// checkRingsOnce has Convolo count: nobody was rung twice, and who is told to have been rung was.
func (r *rig) checkRingsOnce(leads int) {
	r.Helper()
	rung := r.box.Convolo().RingsByRef()
	for ref, n := range rung {
		if n != 1 {
			r.Errorf("call %s was made %d times", ref, n)
		}
	}
	if n := one[int](r, `select count(*) from ops.deliveries where destination = 'convolo'`); n != leads {
		r.Errorf("%d calls were ordered for %d leads", n, leads)
	}
	for _, id := range list[uuid.UUID](r, `select id from ops.deliveries where destination = 'convolo' and state = 'confirmed'`) {
		if rung[id.String()] != 1 {
			r.Errorf("call %s is confirmed and was not made", id)
		}
	}
}

// checkUnknownListed compares what the operator's list says with the rows: all calls are confirmed or unknown, and DialedIn's
// inserts that wait do so for an unknown call to the same phone.
func (r *rig) checkUnknownListed(leads int) {
	r.Helper()
	unknown := one[int](r, `select count(*) from ops.deliveries where state = 'unknown'`)
	listed := decoded[[]deliveryRow](r, r.mustRun(exitDone, "deliveries", "list", "--state", "unknown", "--limit", fmt.Sprint(leads*2), "--json"))
	if len(listed) != unknown || unknown < leads/5 {
		r.Errorf("%d unknown deliveries are listed, there are %d; want a quarter of %d or more", len(listed), unknown, leads)
	}
	if n := one[int](r, `select count(*) from ops.deliveries where destination = 'convolo' and state not in ('confirmed', 'unknown')`); n != 0 {
		r.Errorf("%d calls are neither confirmed nor unknown", n)
	}
	if n := one[int](r, `
		select count(*)
		from ops.deliveries d
		where d.destination = 'dialedin' and d.state <> 'confirmed'
		  and not exists (select from ops.deliveries c where c.destination = 'convolo' and c.lead_id = d.lead_id and c.state = 'unknown')`); n != 0 {
		r.Errorf("%d inserts are not confirmed, though nothing else may be ringing the phone", n)
	}
	r.Logf("%d deliveries are unknown and listed", unknown)
}
