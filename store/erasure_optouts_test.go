package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestEraseOptOut keeps the opt-outs of who is erased, old ones and new ones, as phones of nobody, until they are lifted.
func TestEraseOptOut(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.routes("convolo", "")
	optOut := func(object string, minute int, phone string) {
		w.land(foldRecord{pipeline.SourceConvoso, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Reason: "Jane asked", Since: foldStart}}}})
		w.drain()
	}
	blocked := func(phone string) bool {
		w.t.Helper()
		yes, err := w.db.Suppressed(t.Context(), foldOrg, []string{phone})
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	optOut("out", 1, phoneA)
	w.at(2)
	obliged := w.count(`select count(*) from ops.deliveries where operation = 'dnc_add' and state = 'ready'`)
	if got := w.erase(store.Identity{Phone: phoneA}); got.KeptOptOuts != 1 || !blocked(phoneA) {
		t.Errorf("the opt-out is gone: %+v", got)
	}
	w.erase(store.Identity{Phone: phoneB})
	if n := w.count(`select count(*) from ops.deliveries where operation = 'dnc_add' and state = 'ready' and phone = $1`, phoneA); obliged != 1 || n != 1 {
		t.Errorf("%d diallers are still to be told, %d were", n, obliged)
	}
	if n := w.count(`select count(*) from ops.records where payload::text like '%Jane%' or payload::text like '%Perth%'`); n > 0 {
		t.Errorf("%d records tell more than the phone", n)
	}
	if n := w.count(`select count(*) from pipeline.do_not_call where since = $1 and reason = 'opt_out' and source = 'operator'`, foldStart); n != 1 {
		t.Error("the opt-out is not as old as it was")
	}
	if blocked(phoneB) || w.holding(phoneB) > 0 {
		t.Error("who never opted out is on a list")
	}
	// Told anew, of somebody who had not opted out: that counts, and is all that is known. Told twice it is one.
	w.at(3)
	optOut("new", 3, phoneB)
	optOut("new", 4, phoneB)
	if !blocked(phoneB) || w.count(`select count(*) from ops.records`) != 2 {
		t.Errorf("a new opt-out: blocked %t, %d records", blocked(phoneB), w.count(`select count(*) from ops.records`))
	}
	// Lifted: hearing of the old one again does not bring it back.
	w.at(5)
	payload, _ := json.Marshal(pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneB, Lift: true, Since: foldStart.Add(5 * time.Minute)}}})
	lift := pipeline.Record{Org: foldOrg, Account: "default", Source: pipeline.SourceOperator, Stream: "do_not_call", ObjectID: "lift", Payload: payload, ObservedAt: w.db.Now()}
	if _, err := w.db.LandOrder(t.Context(), &lift, "", "", nil); err != nil {
		t.Fatal(err)
	}
	w.drain()
	w.at(6)
	optOut("new", 6, phoneB)
	if blocked(phoneB) {
		t.Error("an opt-out that was lifted is back")
	}
	w.agrees("in the end")
}

// TestEraseOptOutOverAPI: an opt-out of somebody who was erased is refused over our API, and counts all the same (law 6).
func TestEraseOptOutOverAPI(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.erase(store.Identity{Phone: phoneA})
	_, err := store.NewWriter(w.db, w.rec).Write(t.Context(), foldOrg, nil, func(ctx context.Context, tx *store.OwnWrite) (store.Answer, error) {
		return store.Answer{}, tx.Land(ctx, []store.OwnRecord{
			{Stream: "events", ObjectID: "e1", Payload: callOf("other", phoneB)},
			{Stream: "events", ObjectID: "e2", Payload: callOf("one more", phoneA)}, // the opt-out is in what came with it
		}, []store.Suppression{{Kind: "phone", Value: phoneA, Stream: "events", ObjectID: "e2", Reason: "Jane asked"}})
	})
	if !errors.Is(err, store.ErrErased) {
		t.Fatalf("refused with %v", err)
	}
	if n := w.count(`select count(*) from pipeline.do_not_call where phone = $1 and lifted_at is null`, phoneA); n != 1 {
		t.Error("the opt-out is lost")
	}
	if n := w.count(`select count(*) from ops.records where object_id not like 'erased-%'`); n != 0 {
		t.Errorf("%d records of a write that was refused are kept", n)
	}
	w.agrees("in the end")
}

// TestEraseOptOutOfSharedPhone: what a person told of a phone that others have too holds for those.
func TestEraseOptOutOfSharedPhone(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	for i := range 5 { // more than a phone links
		w.lead(fmt.Sprint(i), 0, "City", phone(phoneA), email(fmt.Sprintf("p%d@a.example", i)))
	}
	w.land(foldRecord{pipeline.SourceIPSCAPE, "out", 1, pipeline.Facts{
		Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "0"}}}},
		DNC:   []pipeline.DNCFact{{Phone: phoneA, Reason: "asked"}},
	}})
	w.drain()
	holds := func() int {
		return w.count(`select count(*) from pipeline.do_not_call where phone = $1 and lifted_at is null`, phoneA)
	}
	if got := w.erase(store.Identity{Email: "p0@a.example"}); holds() != 1 || got.KeptOptOuts != 1 || w.count(`select count(*) from pipeline.leads`) != 4 {
		t.Errorf("the others with the phone may be called: %+v", got)
	}
	// A lead of whom nothing but its own id was told opts out with every phone.
	w.land(foldRecord{pipeline.SourceIPSCAPE, "out1", 2, pipeline.Facts{
		DNC: []pipeline.DNCFact{{Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "1"}}}},
	}})
	w.drain()
	w.erase(store.Identity{Email: "p1@a.example"})
	if holds() != 1 {
		t.Error("the phone may be called")
	}
	w.agrees("in the end")
}

// TestEraseOptOutLifted: an opt-out that was lifted, before its person was erased or after, is not brought back by hearing of it again.
func TestEraseOptOutLifted(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	optOut := func(object string, minute int, phone string) {
		w.at(minute)
		w.land(foldRecord{pipeline.SourceConvoso, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Reason: "asked", Since: foldStart}}}})
		w.drain()
	}
	lift := func(minute int, phone string) {
		w.t.Helper()
		w.at(minute)
		payload, _ := json.Marshal(pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Lift: true}}})
		rec := pipeline.Record{
			Org: foldOrg, Account: "default", Source: pipeline.SourceOperator, Stream: "do_not_call", ObjectID: "lift " + phone, Payload: payload, ObservedAt: w.db.Now(),
		}
		if _, err := w.db.LandOrder(t.Context(), &rec, "", "", nil); err != nil {
			t.Fatal(err)
		}
		w.drain()
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	optOut("a", 1, phoneA)
	optOut("b", 1, phoneB)
	lift(2, phoneA)
	w.at(3)
	w.erase(store.Identity{Phone: phoneA})
	w.erase(store.Identity{Phone: phoneB})
	lift(4, phoneB)
	optOut("a", 5, phoneA)
	optOut("b", 5, phoneB)
	if n := w.count(`select count(*) from pipeline.do_not_call where lifted_at is null`); n != 0 {
		t.Errorf("%d opt-outs that were lifted are back", n)
	}
	optOut("a new one", 6, phoneA)
	if n := w.count(`select count(*) from pipeline.do_not_call where lifted_at is null`); n != 1 {
		t.Errorf("%d opt-outs hold, want the new one", n)
	}
	w.agrees("in the end")
}

// TestEraseOptOutIsAsOldAsTold: an opt-out of somebody who was erased holds since the time that its source told, as any other does,
// however late it is heard of.
func TestEraseOptOutIsAsOldAsTold(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.erase(store.Identity{Phone: phoneA})
	payload, _ := json.Marshal(pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneA, Reason: "asked"}}})
	told := foldStart.Add(3 * time.Minute)
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceConvoso, Stream: "s"},
			[]store.LandRecord{{ObjectID: "late", Payload: payload, SourceTime: told, ObservedAt: told.Add(time.Hour)}}, store.LandOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.drain()
	if n := w.count(`select count(*) from pipeline.do_not_call where phone = $1 and since = $2`, phoneA, told); n != 1 {
		t.Error("the opt-out does not hold since it was told")
	}
	w.agrees("in the end")
}
