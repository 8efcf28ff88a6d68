package store_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// arrived has everything that is open confirmed, with the lead as it was when it was ordered.
func (w *pushWorld) arrived() {
	w.t.Helper()
	if _, err := w.db.Pool.Exec(w.t.Context(), `
		update ops.deliveries d
		set state = 'confirmed', sending_at = created_at, settled_at = created_at,
		  told = (select e.params -> 'lead' from ops.deliveries e where e.operation = 'insert_lead' and e.destination = 'lendworks' and e.lead_id = d.lead_id)
		where state = 'ready'`); err != nil {
		w.t.Fatal(err)
	}
}

// updates counts the updates that were ordered and not yet sent.
func (w *pushWorld) updates(what string, want int) {
	w.t.Helper()
	if got := countRows(w.t, w.db, `select count(*) from ops.deliveries where operation = $1 and state = 'ready' and class = 'repeatable' and expires_at is null`,
		store.OpUpdateLead); got != want {
		w.t.Errorf("%s: %d updates, want %d", what, got, want)
	}
}

// TestChangesAreOrdered orders an update a destination for a lead that changed after it was pushed, however old it is, one at a
// time, and none for a lead that has not arrived, that opted out, or to where no route leads any more.
func TestChangesAreOrdered(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.routes("dialedin", "", "lendworks", "priority=urgent", "lendworks", "")
	w.at(5)
	w.lead("1", 5, "Salem", phone(phoneA))
	w.lead("2", 5, "Salem", phone(phoneB))
	w.updates("just ordered", 0)
	w.arrived()
	w.lead("1", 6, "Salem", phone(phoneA))
	w.updates("nothing new", 0)
	w.at(60 * 24 * 30)
	w.lead("1", 60*24*30, "Eugene", phone(phoneA))
	w.updates("a change after a month", 2)
	w.lead("1", 60*24*30+1, "Portland", phone(phoneA))
	w.updates("a change before the first was told", 2)
	w.routes("dialedin", "")
	w.lead("2", 60*24*30+1, "Eugene", phone(phoneB))
	w.updates("a change with one route left", 3)
	w.arrived()
	w.routes()
	w.lead("2", 60*24*30+2, "Portland", phone(phoneB))
	w.updates("a change without a route", 0)
	w.routes("dialedin", "")
	w.land(foldRecord{pipeline.SourceConvoso, "out", 60*24*30 + 3, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneB, Reason: "DNC"}}}})
	w.drain()
	w.lead("2", 60*24*30+4, "Astoria", phone(phoneB))
	w.updates("a change of a lead that opted out", 0)
	for _, row := range w.rung() {
		if row == "dialedin update_lead "+phoneA || row == "dialedin update_lead "+phoneB {
			return
		}
	}
	t.Error("no update names its lead's phone")
}

// TestRefusedUpdateIsNotTheLast orders the next update of a lead after one that was refused or given up.
func TestRefusedUpdateIsNotTheLast(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.routes("dialedin", "", "lendworks", "")
	w.at(5)
	w.lead("1", 5, "Salem", phone(phoneA))
	w.arrived()
	for i, city := range []string{"Eugene", "Portland", "Astoria"} {
		w.lead("1", 6+i, city, phone(phoneA))
		w.updates(city, 2)
		if _, err := w.db.Pool.Exec(t.Context(), `update ops.deliveries set state = $1 where state = 'ready'`, []string{"rejected", "cancelled", "expired"}[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClaimsGoByRank claims an opt-out before a push, and a push before an update, whichever was ordered first.
func TestClaimsGoByRank(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.rec.Blockers = []string{"dialedin"}
	w.routes("dialedin", "", "lendworks", "")
	w.at(5)
	w.lead("1", 5, "Salem", phone(phoneA))
	w.arrived()
	w.lead("1", 6, "Eugene", phone(phoneA))
	w.at(7)
	w.lead("2", 7, "Salem", phone(phoneB))
	w.at(8)
	w.land(foldRecord{pipeline.SourceConvoso, "out", 8, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: "+15032220077", Reason: "DNC"}}}})
	w.drain()
	var got []string
	for range 3 {
		now := w.db.Now().AddDate(50, 0, 0)
		claimed, err := w.db.ClaimDeliveries(t.Context(), pipeline.DeliveryClaim{
			Destination: "dialedin", Owner: uuid.New(), Now: now, Until: now.Add(time.Hour), Limit: 1,
		})
		if err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %d after %v: %v", len(claimed), got, err)
		}
		var operation string
		if err := w.db.Pool.QueryRow(t.Context(), `select operation from ops.deliveries where id = $1`, claimed[0].ID).Scan(&operation); err != nil {
			t.Fatal(err)
		}
		got = append(got, operation)
	}
	if want := []string{pipeline.OperationAddDNC, store.OpInsertLead, store.OpUpdateLead}; !slices.Equal(got, want) {
		t.Errorf("claimed %v, want %v", got, want)
	}
}

// TestNothingIsToldBack orders no update at LendWorks for what LendWorks says itself, and one at DialedIn.
func TestNothingIsToldBack(t *testing.T) {
	t.Parallel()
	w := newLendWorksWorld(t)
	w.lead("1", 5, "Salem", phone(phoneA))
	w.arrived()
	var lead string
	if err := w.db.Pool.QueryRow(t.Context(), `select lead_id from pipeline.leads`).Scan(&lead); err != nil {
		t.Fatal(err)
	}
	w.listed("lw-1", "+15032229999", lead, 20)
	w.count("at DialedIn", 1, `select count(*) from ops.deliveries where operation = 'update_lead' and destination = 'dialedin'`)
	w.count("at LendWorks", 0, `select count(*) from ops.deliveries where operation = 'update_lead' and destination = 'lendworks'`)
	w.lead("1", 30, "Eugene", phone(phoneA))
	w.count("at LendWorks, beside a change of ours", 1, `select count(*) from ops.deliveries where operation = 'update_lead' and destination = 'lendworks'
		and params -> 'theirs' ? 'phone'`)
}

// TestNamesOfNamesakesAreWithheld: what a phone alone made one lead may be two people. A destination that has one of them is told
// of changes, but not of the other one's name.
func TestNamesOfNamesakesAreWithheld(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.routes("dialedin", "")
	w.at(5)
	lead := func(source pipeline.Source, kind pipeline.KeyKind, minute int, name, city string) {
		w.at(minute)
		w.land(foldRecord{source, string(kind), minute, pipeline.Facts{Leads: []pipeline.LeadFact{{
			Keys:   []pipeline.Key{{Kind: kind, Account: "default", Value: "1"}, phone(phoneA)},
			Fields: map[pipeline.Field]string{pipeline.FieldContactFirstName: name, pipeline.FieldCity: city},
		}}}})
		w.drain()
	}
	lead(pipeline.SourceIPSCAPE, pipeline.KeyIPSCAPELead, 5, "Ann", "Salem")
	mustExec(t, w.db, `update ops.deliveries set state = 'confirmed', settled_at = created_at, sending_at = created_at,
		told = '{"FirstName": "Ann", "City": "Salem", "Phone": "`+phoneA+`"}'`)
	lead(pipeline.SourceConvoso, pipeline.KeyConvosoLead, 6, "Bob", "Salem")
	w.updates("another one's name", 0)
	lead(pipeline.SourceConvoso, pipeline.KeyConvosoLead, 7, "Bob", "Eugene")
	w.updates("another one's name and a city", 1)
	if n := countRows(t, w.db, `select count(*) from ops.deliveries where operation = 'update_lead' and params -> 'withheld' = '["contact_first_name", "contact_last_name"]'`); n != 1 {
		t.Error("the update does not say what it withholds")
	}
}

// TestChangesThatNobodyIsToldAreNotOrdered orders nothing at a destination that has no field for what changed, and all that it
// missed with the next change that it has one for.
func TestChangesThatNobodyIsToldAreNotOrdered(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.rec.Tells = func(destination string, params json.RawMessage, was, now pipeline.LeadView) bool {
		var p store.UpdateParams
		if err := json.Unmarshal(params, &p); err != nil || now.ID == "" || now.Phone != phoneA {
			t.Errorf("asked of %+v with %s: %v", now, params, err)
		}
		return destination != "dialedin" || was.City != now.City
	}
	w.routes("dialedin", "", "lendworks", "")
	w.at(5)
	lead := func(minute int, city, industry string) {
		w.land(foldRecord{pipeline.SourceIPSCAPE, "1", minute, pipeline.Facts{Leads: []pipeline.LeadFact{{
			Keys: []pipeline.Key{ipscapeLead("1"), phone(phoneA)}, Fields: map[pipeline.Field]string{pipeline.FieldCity: city, pipeline.FieldIndustry: industry},
		}}}})
		w.drain()
	}
	lead(5, "Salem", "bakery")
	w.arrived()
	w.at(8)
	lead(6, "Salem", "forge")
	w.updates("a change for one of them", 1)
	lead(7, "Eugene", "forge")
	w.updates("a change for both", 2)
}
