package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestStepsAreToldOnce: a pushed lead is ready, dialled and answered once each, whatever else is folded; one that nobody pushed is
// no matter of speed.
func TestStepsAreToldOnce(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	var mu sync.Mutex
	var told []string
	w.rec.Sped = func(destination, step string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, destination+" "+step+" "+took.String())
	}
	call := func(id, lead string, minute int, answered bool) {
		at := foldStart.Add(time.Duration(minute) * time.Minute)
		c := pipeline.CallFact{
			Key: pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: id}, Direction: pipeline.Outbound, StartedAt: at,
			Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: lead}},
		}
		if answered {
			c.AnsweredAt = at.Add(10 * time.Second)
		}
		w.land(foldRecord{pipeline.SourceIPSCAPE, "call " + id, minute, pipeline.Facts{Calls: []pipeline.CallFact{c}}})
		w.drain()
	}
	w.at(4)
	w.lead("0", 3, "Salem", phone(phoneB))
	w.routes("dialedin", "", "convolo", "", "lendworks", "")
	w.at(20)
	w.lead("1", 5, "Salem", phone(phoneA))
	w.lead("1", 6, "Eugene", phone(phoneA))
	call("a", "1", 7, false)
	call("b", "1", 8, true)
	call("c", "1", 9, true)
	call("d", "0", 9, true)
	slices.Sort(told)
	want := []string{
		"convolo answered 2m10s", "convolo dialled 1m0s", "convolo ready 15m0s", "dialedin answered 2m10s", "dialedin dialled 1m0s", "dialedin ready 15m0s",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TestStepsOfOddLeads: a dial before the lead came to be answers no lead, but for the minute that clocks may disagree by; a merge
// tells nothing anew; a lead that was pushed under another id is told of; and an order by hand tells nothing of speed.
func TestStepsOfOddLeads(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	var mu sync.Mutex
	var told []string
	w.rec.Sped = func(destination, step string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if step != "ready" {
			told = append(told, destination+" "+step+" "+took.String())
		}
	}
	dialled := func(lead string, at time.Duration) {
		c := pipeline.CallFact{
			Key: pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: lead + at.String()}, Direction: pipeline.Outbound,
			StartedAt: foldStart.Add(at), Lead: []pipeline.Key{ipscapeLead(lead)},
		}
		w.land(foldRecord{pipeline.SourceIPSCAPE, "call " + c.Key.ExternalID, 30, pipeline.Facts{Calls: []pipeline.CallFact{c}}})
		w.drain()
	}
	want := func(what string, steps ...string) {
		t.Helper()
		if !slices.Equal(told, steps) {
			t.Errorf("%s: told %v, want %v", what, told, steps)
		}
		told = nil
	}
	w.at(4)
	w.lead("elder", 3, "Salem", phone("+15032221110"))
	w.routes("dialedin", "")
	w.at(40)
	w.lead("early", 10, "Salem", phone("+15032221111"))
	dialled("early", 5*time.Minute)
	want("dialled before it came to be")
	w.lead("skewed", 10, "Salem", phone("+15032221112"))
	dialled("skewed", 10*time.Minute-30*time.Second)
	want("by a clock that is behind", "dialedin dialled 0s")

	w.lead("one", 10, "Salem", phone("+15032221113"))
	w.lead("two", 11, "Salem", phone("+15032221114"))
	dialled("two", 12*time.Minute)
	want("one of two leads", "dialedin dialled 1m0s")
	w.lead("one", 12, "Salem", phone("+15032221113"), ipscapeLead("two"))
	dialled("one", 13*time.Minute)
	want("once they are one lead")

	w.lead("younger", 10, "Salem", phone("+15032221115"))
	w.lead("younger", 11, "Salem", phone("+15032221115"), ipscapeLead("elder"))
	if n := countRows(t, w.db, `select count(*) from ops.deliveries d join pipeline.lead_merges m using (org_id, lead_id)
		join pipeline.lead_keys k on k.lead_id = m.into_lead_id and k.value = 'elder'`); n != 1 {
		t.Fatalf("%d deliveries are of the lead that was merged into the elder one, want 1", n)
	}
	dialled("younger", 14*time.Minute)
	want("pushed under another id", "dialedin dialled 11m0s")

	w.lead("by hand", 3, "Salem", phone("+15032221116"))
	mustExec(t, w.db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, state, source_time, not_before, created_at, dedupe)
		select gen_random_uuid(), org_id, 'default', 'dialedin', 'insert_lead', 'rings', lead_id, 'confirmed', created_at, created_at, created_at, 'operator 1'
		from pipeline.leads where phone_e164 = '+15032221116'`)
	dialled("by hand", 15*time.Minute)
	want("pushed by hand")
}
