package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestCallThatHangs has Convolo take a call and never answer: a phone may be ringing, so nothing is sent again. Its webhooks,
// with our reference, settle the delivery and tell of the call.
func TestCallThatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, emptied(17), map[string]string{"TRUNKLINE_PUSH": "convolo", "CONVOLO_TIMEOUT": "5s"})
	d := r.serve(nil)
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorConvolo, Op: sandbox.OpAddCall, Kind: sandbox.FaultHang})
	r.box.IPSCAPE().AddLeads(youngLeads(1, 1)...)
	eventually(t, time.Minute, func() string {
		if got := fmt.Sprint(list[string](r, `select state || ' ' || coalesce(hold, '-') from ops.deliveries`)); got != "[unknown webhook]" {
			return "the delivery to wait for a webhook, it is " + got
		}
		return ""
	})
	r.box.PostTo(d.url())
	eventually(t, time.Minute, func() string {
		if n := len(r.box.Convolo().Pending()); n > 0 {
			return fmt.Sprintf("%d webhooks to be taken", n)
		}
		linked := one[int](r, `
			select count(*)
			from ops.deliveries d
			join convolo.calls v on v.delivery_id = d.id and v.call_id = d.external_id and v.status is not null
			join pipeline.calls c on c.source = 'convolo' and c.external_call_id = v.call_id and c.lead_id = d.lead_id and c.ended_at is not null
			where d.state = 'confirmed' and d.attempts = 1`)
		if linked != 1 {
			return "the call to be told and linked"
		}
		return ""
	})
	if n := len(r.box.Convolo().Calls()); n != 1 {
		t.Errorf("%d calls were started", n)
	}
	r.lawful()
}
