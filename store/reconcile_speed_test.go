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
