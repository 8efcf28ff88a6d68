package store_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// What told an opt-out and cannot be read any more has not taken it back, however many folds of the same person follow (law 6).
func TestOptOutHoldsWhileItsRecordCannotBeRead(t *testing.T) {
	t.Parallel()
	const phone = "+15032221111"
	const unreadable = "unreadable"
	w := newFoldWorld(t)
	w.rec.Facts = func(r *pipeline.Record) (f pipeline.Facts, err error) {
		if err = json.Unmarshal(r.Payload, &f); err == nil && len(f.Leads) == 1 && f.Leads[0].Stage == unreadable {
			err = errors.New("not to be read")
		}
		return f, err
	}
	by := func(object string, minute int, fact pipeline.DNCFact) foldRecord {
		fact.Reason = "DNC"
		return foldRecord{pipeline.SourceConvoso, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{fact}}}
	}
	broken := func(object string, minute int) foldRecord {
		return foldRecord{pipeline.SourceConvoso, object, minute, pipeline.Facts{Leads: []pipeline.LeadFact{{Stage: unreadable}}}}
	}
	held := func(when string) {
		t.Helper()
		w.blocked(phone)
		if n := w.number(`select count(*) from pipeline.leads where is_do_not_call`); n != 2 {
			t.Errorf("%s: %d leads are opted out, want both", when, n)
		}
	}
	named := customerKey("named")
	for _, batch := range [][]foldRecord{
		{ownLead("1", 1, foldPhone(phone)), ownLead("2", 1, named)},
		{by("by phone", 2, pipeline.DNCFact{Phone: phone}), by("by name", 2, pipeline.DNCFact{Lead: []pipeline.Key{named}})},
	} {
		w.land(batch...)
		w.drain()
	}
	held("at first")
	w.land(broken("by phone", 3), broken("by name", 3))
	w.drain()
	held("when its record cannot be read")
	w.land(ownLead("1", 4, foldPhone(phone)), ownLead("2", 4, named))
	w.drain()
	w.land(foldRecord{pipeline.SourceConvoso, "call", 5, pipeline.Facts{Calls: []pipeline.CallFact{{
		Key: pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: "c1"}, Lead: []pipeline.Key{foldPhone(phone)}, ToNumber: phone,
	}}}})
	w.drain()
	held("after further folds")
	w.agrees()

	w.land(by("by phone", 6, pipeline.DNCFact{Phone: "+15032221112"}), by("by name", 6, pipeline.DNCFact{Phone: "+15032221113"}))
	w.drain()
	if n := w.number(`select count(*) from pipeline.leads where is_do_not_call`); n != 0 {
		t.Errorf("%d leads are opted out by what nobody says any more", n)
	}
}
