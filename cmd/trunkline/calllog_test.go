package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
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
	// By an operator's order, through the daemon.
	r.env = r.with(env)
	r.mustRun(exitDone, "sync", "convoso", "--wait")
	r.mustRun(exitDone, "backfill", "start", "convoso", "call_log", "--from", time.Now().Add(-72*time.Hour).UTC().Format(time.RFC3339), "--wait")
	if n := one[int](r, `select count(*) from ops.walks where source = 'convoso' and stream = 'call_log' and kind = 'backfill' and state = 'done' and rows > 0`); n == 0 {
		t.Error("no window of the backfill read a call")
	}
	r.lawful()
}

// TestOneCallOfManyTellers has a call of Convoso's told by a post, by the call log and through our API, and one of ipSCAPE's by
// activities, attempts and the same activity read again, both to one phone. They are two rows, and each names all who told it.
func TestOneCallOfManyTellers(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 30, Activities: -1, Leads: -1, Posts: 40}, map[string]string{
		"TRUNKLINE_PUSH": "", "CONVOSO_SCHEDULE_CALL_LOG": "@every 1s", "IPSCAPE_SCHEDULE_DIAL_ATTEMPTS": "@every 1s", "TRUNKLINE_TIMEZONE": "America/New_York",
	})
	posts := r.box.Convoso().Posts()
	told := posts[slices.IndexFunc(posts, func(p sandbox.Post) bool {
		return p.Event == sandbox.EventDisposition && p.CallID != "" && p.ContentType == "application/json"
	})]
	began := time.Now().Add(-5 * time.Minute).UTC().Truncate(time.Second)
	leads := youngLeads(1, 1)
	leads[0].Phones = []string{told.Phone}
	r.box.IPSCAPE().AddLeads(leads...)
	activity := sandbox.Activity{
		ID: 9_100_001, Type: sandbox.TypeOutbound, LeadID: leads[0].ID, AttemptID: 700_001, PhoneIndex: 1, Phone: told.Phone, Source: "+61290001111", Destination: told.Phone,
		CampaignID: 12, CampaignName: "Working Capital", AgentID: 301, AgentName: "A. Agent", Created: began, Answered: began.Add(8 * time.Second),
	}
	r.box.IPSCAPE().AddActivities(activity)
	r.box.IPSCAPE().AddDialAttempts(sandbox.DialAttempt{
		ID: 700_001, DialStatusID: 1, DialStatusName: "Answered", PhoneIndex: 1, Phone: told.Phone, LeadID: leads[0].ID, CampaignID: 12, CampaignName: "Working Capital",
		Type: sandbox.TypeOutbound, ActivityID: activity.ID, Dialled: began, Answered: began.Add(8 * time.Second),
	})
	d := r.serve(r.box.Convoso().LogEnv(r.server.URL()))
	r.post(d, told)
	key := answer[keyRow](r, exitDone, "apikey", "create", "--name", "teller").Key
	status, _ := call[json.RawMessage](t, http.MethodPost, d.url()+"/v1/dialer/events", "Bearer "+key, "application/json", fmt.Sprintf(
		`{"externalCallId":"convoso-call-%s","userId":"6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11","eventType":"transfer","occurredAt":%q}`, told.CallID, time.Now().UTC().Format(time.RFC3339)))
	if status != http.StatusCreated {
		t.Fatalf("the event was answered %d", status)
	}
	tellers := func(source, id string) string {
		return one[string](r, `
			select coalesce(string_agg(distinct split_part(p, '/', 1) || '/' || split_part(p, '/', 2), ' '), '') || ' of ' || count(distinct (c.org_id, c.source, c.external_call_id))
			from analytics.calls c
			cross join jsonb_array_elements_text(c.provenance) p
			where c.source = $1 and c.external_call_id = $2`, source, id)
	}
	isTold := func(source, id, want string) {
		t.Helper()
		eventually(t, time.Minute, func() string {
			if got := tellers(source, id); got != want {
				return fmt.Sprintf("call %s to be told by %q, it is by %q", id, want, got)
			}
			return ""
		})
	}
	isTold("convoso", told.CallID, "api/events convoso/call_log convoso/dispositions of 1")
	isTold("ipscape", "9100001", "ipscape/activities ipscape/dial_attempts of 1")

	// Its wrap-up comes with another look at the last minutes.
	r.box.IPSCAPE().UpdateActivity(activity.ID, func(a *sandbox.Activity) {
		a.HangUp, a.WrapUp, a.WrapCode, a.WrapDescription = began.Add(time.Minute), began.Add(2*time.Minute), 4, "Callback"
	})
	eventually(t, 2*time.Minute, func() string {
		if one[int](r, `select count(*) from analytics.calls where source = 'ipscape' and disposition_raw = '4' and ended_at is not null`) == 0 {
			return "the call to be read again"
		}
		return ""
	})
	isTold("ipscape", "9100001", "ipscape/activities ipscape/dial_attempts of 1")
	rows := list[string](r, `select source || ' ' || (c.external_call_id_given is not null) from analytics.calls c
		where (c.source, c.external_call_id) in (('convoso', $1), ('ipscape', '9100001')) order by 1`, told.CallID)
	if want := []string{"convoso true", "ipscape false"}; !slices.Equal(rows, want) {
		t.Errorf("calls %q, want %q", rows, want)
	}
	if n := one[int](r, `select count(*) from analytics.calls where local_day is distinct from (occurred_at at time zone 'America/New_York')::date`); n > 0 {
		t.Errorf("%d calls are on another day than TRUNKLINE_TIMEZONE has them", n)
	}
	if n := one[int](r, `select count(distinct lead_id) from analytics.calls where (source, external_call_id) in (('convoso', $1), ('ipscape', '9100001'))`, told.CallID); n != 1 {
		t.Errorf("the two calls to one phone are of %d leads, want the one that they called", n)
	}
	r.lawful()
}
