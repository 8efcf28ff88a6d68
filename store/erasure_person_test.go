package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestEraseOneOfSeveral: a phone that several leads have does not say who is meant, and what others have too stays theirs.
func TestEraseOneOfSeveral(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	for i := range 5 { // more than a phone links
		w.lead(fmt.Sprint(i), 0, "City"+fmt.Sprint(i), phone(phoneA), email(fmt.Sprintf("p%d@a.example", i)))
	}
	w.lead("0", 1, "City0", phone(phoneA), phone(phoneB), email("p0@a.example"))
	_, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA})
	several, ok := errors.AsType[*store.SeveralError](err)
	if !ok || len(several.Leads) != 5 || w.count(`select count(*) from ops.erasures`) != 0 {
		t.Fatalf("a phone of five: %v", err)
	}
	w.erase(store.Identity{Email: "P0@a.example"})
	if n := w.count(`select count(*) from pipeline.leads`); n != 4 || w.holding(phoneB) > 0 || w.holding("p0@a.example") > 0 || w.holding("City0") > 0 {
		t.Errorf("%d leads are left, want the other four", n)
	}
	// The others are still told of, by the phone that one of them was erased with.
	w.lead("1", 2, "Elsewhere", phone(phoneA), email("p1@a.example"))
	if w.count(`select count(*) from pipeline.leads where city = 'Elsewhere'`) != 1 || w.keptOut() != 0 {
		t.Error("somebody else was kept out")
	}
	w.agrees("one of them")
	w.erase(store.Identity{Phone: phoneA, All: true})
	if n := w.count(`select count(*) from ops.records`); n != 0 {
		t.Errorf("all of them: %d records are left", n)
	}
	w.agrees("all of them")
}

// TestEraseNoAddress: what stands where an e-mail address is missing is nobody's name.
func TestEraseNoAddress(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	told := func(id, phone string) {
		w.land(foldRecord{pipeline.SourceIPSCAPE, id, 1, pipeline.Facts{Leads: []pipeline.LeadFact{{
			Keys:   []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}, {Kind: pipeline.KeyPhone, Value: phone}},
			Fields: map[pipeline.Field]string{pipeline.FieldEmail: "none"},
		}}}})
		w.drain()
	}
	w.lead("2", 0, "There is none", phone(phoneB))
	told("1", phoneA)
	if got := w.erase(store.Identity{Phone: phoneA}); len(got.Elsewhere) != 0 {
		t.Errorf("receipt: %+v", got)
	}
	told("3", "+15032221113")
	if n := w.count(`select count(*) from pipeline.leads`); n != 2 || w.keptOut() != 0 {
		t.Errorf("%d leads, want the two others", n)
	}
	if _, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Email: "none"}); err == nil {
		t.Error("a word was erased")
	}
}

// TestEraseCallIDOfEverybody: a call id that others' records name too is nobody's.
func TestEraseCallIDOfEverybody(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	event := func(object, lead string) {
		w.land(foldRecord{pipeline.SourceAPI, object, 1, pipeline.Facts{Calls: []pipeline.CallFact{{
			Key: pipeline.CallKey{Dialler: pipeline.SourceAPI, Account: "default", ExternalID: "0"}, StartedAt: foldStart,
			Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: lead}},
		}}}})
		w.drain()
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	event("e1", "1")
	event("e2", "2")
	w.erase(store.Identity{Phone: phoneA})
	event("e3", "2")
	if n := w.count(`select count(*) from ops.records where object_id in ('2', 'e2', 'e3')`); n != 3 {
		t.Errorf("%d of somebody else's 3 records are there", n)
	}
	if n := w.count(`select count(*) from ops.records where object_id in ('1', 'e1')`); n != 0 {
		t.Errorf("%d of the person's records are there", n)
	}
	w.agrees("in the end")
}

// TestEraseTimes: a time whose digits read as the phone, and a record of nobody with an id like it, are no mention of the person.
func TestEraseTimes(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	const washington = "+12026030512"
	w.lead("1", 0, "Perth", phone(washington))
	w.lead("2", 0, "2026-03-05 12:34:56", phone(phoneB))
	w.lead("2", 1, "Cairns", phone(phoneB)) // leaves history
	w.land(foldRecord{pipeline.SourceIPSCAPE, "12026030512", 1, pipeline.Facts{Leads: []pipeline.LeadFact{{
		Fields: map[pipeline.Field]string{pipeline.FieldCity: "2026030512"},
	}}}})
	w.drain()
	got := w.erase(store.Identity{Phone: washington})
	if n := w.count(`select count(*) from ops.record_history where payload::text like '%12:34:56%'`); n != 1 {
		t.Error("a version of somebody else's is gone")
	}
	if n := w.count(`select count(*) from ops.records where object_id = '12026030512'`); n != 1 || len(got.Elsewhere) != 1 {
		t.Errorf("a record of nobody: %d are there; %q", n, got.Elsewhere)
	}
}
