package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestLostPostsComeBack loses most of Convoso's posts. The call log brings the calls back, and those that a post told of too
// are one call.
func TestLostPostsComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 29, Activities: -1, Leads: -1, Posts: 90}, map[string]string{
		"TRUNKLINE_PUSH": "", "CONVOSO_SCHEDULE_CALL_LOG": "@every 1s",
	})
	env := r.box.Convoso().LogEnv(r.server.URL())
	r.box.Convoso().SetLogPage(5)
	d := r.serve(env)
	posted := map[string]bool{}
	for i, p := range r.box.Convoso().Posts() {
		if i%3 == 0 {
			r.post(d, p)
			posted[p.CallID] = posted[p.CallID] || p.CallID != ""
		}
	}
	logged := 0
	seen := map[string]bool{}
	for _, p := range r.box.Convoso().Posts() {
		if p.CallID != "" && !seen[p.CallID] && (p.Event == sandbox.EventDisposition || p.Event == sandbox.EventDNC) {
			seen[p.CallID] = true
			logged++
		}
	}
	eventually(t, time.Minute, func() string {
		have := one[int](r, `select count(*) from pipeline.calls c where source = 'convoso' and disposition_raw is not null
			and exists (select from jsonb_array_elements_text(c.provenance) p where p like 'convoso/call_log/%')`)
		waiting := one[int](r, `select count(*) from ops.reconcile_queue`) + one[int](r, `select count(*) from ops.inbox where state = 'new'`)
		if have < logged-1 || waiting > 0 { // an opt-out alone has no disposition
			return fmt.Sprintf("%d of %d calls to come back, %d to be read", have, logged, waiting)
		}
		return ""
	})
	if n, calls := one[int](r, `select count(*) from pipeline.calls`), one[int](r, `select count(distinct external_call_id) from pipeline.calls`); n != calls {
		t.Errorf("%d rows of %d calls", n, calls)
	}
	if n := one[int](r, `select count(*) from pipeline.calls where jsonb_array_length(provenance) > 1`); n == 0 {
		t.Error("no call was told by a post and by the log")
	}
	if got := one[string](r, `select coalesce(string_agg(stream || ' ' || (covered_through is not null)::text, ',' order by stream), '') from analytics.freshness where source = 'convoso'`); got != "call_log true,posts false" {
		t.Errorf("freshness of convoso: %s", got)
	}
	r.lawful()
}
