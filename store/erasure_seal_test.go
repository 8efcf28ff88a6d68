package store_test

import (
	"fmt"
	"testing"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestEraseOptOutByID: an opt-out that gives no more than the id of an erased person's lead or call is kept, for each phone
// that they had, also one that others have. Until then the phones stand nowhere in clear.
func TestEraseOptOutByID(t *testing.T) {
	t.Parallel()
	const phoneC = "+13055550199"
	w := newEraseWorld(t)
	blocked := func(phone string) bool {
		w.t.Helper()
		yes, err := w.db.Suppressed(t.Context(), foldOrg, []string{phone})
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	optOut := func(object string, minute int, dnc pipeline.DNCFact) {
		w.at(minute)
		w.land(foldRecord{pipeline.SourceConvoso, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{dnc}}})
		w.drain()
	}
	byLead := func(id string) pipeline.DNCFact {
		return pipeline.DNCFact{Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}}, Reason: "asked"}
	}
	for i := range 5 { // more than a phone links
		w.lead(fmt.Sprint(i), 0, "City", phone(phoneB), email(fmt.Sprintf("p%d@a.example", i)))
	}
	w.lead("0", 1, "City", phone(phoneA), phone(phoneB), email("p0@a.example"))
	w.lead("9", 1, "Perth", phone(phoneC))
	w.land(foldRecord{pipeline.SourceIPSCAPE, "c9", 2, callOf("c9", phoneC)})
	w.drain()
	w.erase(store.Identity{Phone: phoneA})
	w.erase(store.Identity{Phone: phoneC})
	if n := w.holding(phoneA) + w.holding(phoneC) + w.count(`select count(*) from ops.erasure_hashes where encode(sealed, 'escape') like '%305555%'`); n > 0 {
		t.Fatalf("%d rows hold a phone", n)
	}
	if n := w.count(`select count(*) from ops.erasure_hashes where (sealed is null) <> (kind in ('phone', 'email', 'digits'))`); n > 0 {
		t.Errorf("%d hashes have their phones sealed, or not, against their kind", n)
	}

	optOut("by lead", 3, byLead("0"))
	if !blocked(phoneA) || !blocked(phoneB) || blocked(phoneC) {
		t.Errorf("by a lead's id: blocked %t, the phone of several %t, somebody else %t", blocked(phoneA), blocked(phoneB), blocked(phoneC))
	}
	optOut("by call", 4, pipeline.DNCFact{Call: pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: "c9"}, Reason: "asked"})
	if !blocked(phoneC) {
		t.Error("an opt-out by a call's id is lost")
	}
	if n := w.count(`select count(*) from ops.records where payload::text like '%asked%'`) + w.count(`select count(*) from ops.quarantine`); n > 0 {
		t.Errorf("%d rows tell more than the phone", n)
	}
	w.agrees("with the opt-outs")

	// Somebody who had no phone: there is nothing to keep, and a person has to see to it.
	w.lead("7", 1, "Hobart", email("phoneless@a.example"))
	w.erase(store.Identity{Email: "phoneless@a.example"})
	optOut("of nobody's phone", 5, byLead("7"))
	if n := w.count(`select count(*) from ops.quarantine where reason = 'opt_out_of_erased' and object_id = 'of nobody''s phone' and state = 'open'`); n != 1 {
		t.Error("an opt-out of somebody who had no phone is lost")
	}

	// Somebody who was erased before phones were sealed: a person has to see to it.
	if _, err := w.db.Pool.Exec(t.Context(), `update ops.erasure_hashes set sealed = null`); err != nil {
		t.Fatal(err)
	}
	optOut("lost", 5, byLead("9"))
	if n := w.count(`select count(*) from ops.quarantine where reason = 'opt_out_of_erased' and object_id = 'lost' and state = 'open' and body = ''`); n != 1 {
		t.Error("an opt-out that cannot be kept is not in quarantine")
	}
}
