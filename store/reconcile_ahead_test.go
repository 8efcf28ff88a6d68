package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// leadCall is a call of a lead's own id.
func leadCall(lead, call string, minute int) foldRecord {
	r := foldRecord{pipeline.SourceIPSCAPE, "call " + call, minute, pipeline.Facts{}}
	r.facts.Calls = []pipeline.CallFact{{
		Key:  pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: call},
		Lead: ownLead(lead, 0).facts.Leads[0].Keys, Direction: pipeline.Outbound, StartedAt: r.at(),
	}}
	return r
}

// Ten leads with five calls each, queued so that each batch of the queue's order would hold some of every lead.
func TestALeadIsFoldedOnceHoweverItsCallsAreQueued(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.rec.Batch = 7
	for call := range 5 {
		for lead := range 10 {
			w.land(leadCall(fmt.Sprint(lead), fmt.Sprintf("%d-%d", lead, call), call))
		}
	}
	for lead := range 10 {
		w.land(ownLead(fmt.Sprint(lead), 9))
	}
	records, leads := 0, 0
	w.rec.Observe = func(r, l, _ int, _ time.Duration) { records, leads = records+r, leads+l }
	w.drain()
	if records != 60 || leads != 10 {
		t.Errorf("%d records and %d leads were folded, want 60 and 10, each once", records, leads)
	}
	if calls := w.number(`select count(*) from pipeline.calls where lead_id is not null`); calls != 50 {
		t.Errorf("%d calls have their lead, want 50", calls)
	}
}

// A fold's memory follows from what it reads. Leads with eight calls each: five of them are too many for a batch of five.
func TestABatchReadsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.rec.Batch = 5
	for lead := range 10 {
		w.land(ownLead(fmt.Sprint(lead), 1))
	}
	for lead := range 10 {
		for call := range 8 {
			w.land(leadCall(fmt.Sprint(lead), fmt.Sprintf("%d-%d", lead, call), call))
		}
	}
	most, records := 0, 0
	w.rec.Observe = func(r, _, _ int, _ time.Duration) { most, records = max(most, r), records+r }
	w.drain()
	if most > 40 || records != 90 {
		t.Errorf("%d records were folded, up to %d at once; want 90, at most 40", records, most)
	}
}

// A version that lands while its record is folded with another's lead is not lost with the queue's row.
func TestWhatLandsWhileItIsFoldedWithOthersIsFoldedAgain(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.rec.Batch = 1
	city := func(name string, minute int) foldRecord {
		r := ownLead("L", minute)
		r.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: name}
		return r
	}
	w.land(leadCall("L", "1", 1), city("Salem", 2))
	plain, read := w.rec.Facts, 0
	w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		if r.ObjectID == "L" {
			if read++; read == 2 { // the first time it was keyed ahead
				w.land(city("Eugene", 3))
			}
		}
		return plain(r)
	}
	w.drain()
	if got := w.number(`select count(*) from pipeline.leads where city = 'Eugene'`); got != 1 || read < 3 {
		t.Errorf("%d leads in Eugene after %d readings: what landed meanwhile is lost", got, read)
	}
}
