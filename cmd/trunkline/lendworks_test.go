package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestLendWorksBothWays pushes leads whose answers get lost, while somebody types one in over there: each of ours is made once,
// theirs comes here and is not pushed back, and what comes back is known for what it is.
func TestLendWorksBothWays(t *testing.T) {
	t.Parallel()
	r := newRig(t, emptied(23), map[string]string{
		"TRUNKLINE_PUSH": "lendworks", "LENDWORKS_TIMEOUT": "5s", "LENDWORKS_SETTLE": "1s", "LENDWORKS_SCHEDULE_LEADS": "@every 1s",
	})
	d := r.serve(nil)
	r.box.PostTo(d.url())
	for _, kind := range []sandbox.FaultKind{sandbox.FaultHang, sandbox.FaultCutAfter, sandbox.FaultBadGateway} {
		r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorLendWorks, Op: sandbox.OpCreateLendWorksLead, Kind: kind, Effect: true})
	}
	r.box.IPSCAPE().AddLeads(youngLeads(1, 4)...)
	typed := r.box.LendWorks().AddLead(map[string]any{"businessName": "Typed In LLC", "phone": "+12127370001", "source": "web_form"})
	eventually(t, 2*time.Minute, func() string {
		if n := len(r.box.LendWorks().Pending()); n > 0 {
			return fmt.Sprintf("%d webhooks to come", n)
		}
		known := one[int](r, `select count(*) from pipeline.leads where external_ids ? 'lendworks' and external_ids ? 'ipscape'`)
		confirmed := one[int](r, `select count(*) from ops.deliveries where destination = 'lendworks' and state = 'confirmed' and external_id is not null`)
		theirs := one[int](r, `select count(*) from pipeline.leads where external_ids ->> 'lendworks' = $1 and phone_e164 = '+12127370001' and source = 'web_form'`, typed)
		if known != 4 || confirmed != 4 || theirs != 1 {
			return fmt.Sprintf("4 leads known on both sides (%d), 4 deliveries confirmed (%d), and the typed one here (%d)", known, confirmed, theirs)
		}
		return ""
	})
	if got := r.box.LendWorks().ByOurID("trunkline_lead_id"); len(got) != 4 || len(r.box.LendWorks().Leads()) != 5 {
		t.Errorf("%d leads at LendWorks, ours %v", len(r.box.LendWorks().Leads()), got)
	}
	for id, n := range r.box.LendWorks().ByOurID("trunkline_lead_id") {
		if n != 1 || one[int](r, `select count(*) from pipeline.leads where lead_id::text = $1`, id) != 1 {
			t.Errorf("lead %s was made %d times", id, n)
		}
	}
	if n := one[int](r, `select count(*) from ops.deliveries`); n != 4 {
		t.Errorf("%d deliveries of 4 leads", n)
	}
	if n := one[int](r, `select count(*) from pipeline.leads`); n != 5 {
		t.Errorf("%d leads, want 5", n)
	}
	// A mark that somebody sets over there reaches us when the lead is read again.
	r.box.LendWorks().ChangeLead(typed, map[string]any{"isDoNotCall": true, "dncReason": "asked"})
	eventually(t, time.Minute, func() string {
		if one[int](r, `select count(*) from analytics.do_not_call where phone = '+12127370001' and source = 'lendworks'`) != 1 {
			return "the do-not-call mark"
		}
		return ""
	})
	// By an operator's order: a walk now, and a request.
	r.mustRun(exitDone, "sync", "lendworks", "leads", "--wait")
	r.mustRun(exitUsage, "vendor", "lendworks", "update_lead", "id="+typed, "industry=Bakery")
	r.mustRun(exitDone, "vendor", "lendworks", "update_lead", "id="+typed, "industry=Bakery", "--yes")
	if got := r.mustRun(exitDone, "vendor", "lendworks", "get_lead", "id="+typed); !strings.Contains(got.stdout, `"industry": "Bakery"`) {
		t.Errorf("the lead after the change: %s", got)
	}
	r.lawful()
}
