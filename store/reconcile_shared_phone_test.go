package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// told is one observation of an ipSCAPE object that tells of one lead.
func told(object string, minute int, keys ...pipeline.Key) foldRecord {
	return foldRecord{pipeline.SourceIPSCAPE, object, minute, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: keys}}}}
}

// Phones that came to be shared by more leads than one may link, with somebody known by such a phone alone. Rounds are drained one after
// the other, a record or two a batch. Each world once lost a lead, kept one too many, or left one callable that was opted out.
func TestReconcileOfSharedPhones(t *testing.T) {
	t.Parallel()
	convoso := func(id string) pipeline.Key {
		return pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: "default", Value: id}
	}
	p, q, r, s := foldPhone("+15032221117"), foldPhone("+15032221112"), foldPhone("+15032221123"), foldPhone("+15032221115")
	optOut := func(object string, minute int, phone pipeline.Key) foldRecord {
		return foldRecord{pipeline.SourceIPSCAPE, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{{Reason: "DNC", Phone: phone.Value}}}}
	}
	call := func(object string, minute int, phone pipeline.Key) foldRecord {
		c := leadCall("", object, minute)
		c.object, c.facts.Calls[0].Lead = object, []pipeline.Key{phone}
		return c
	}
	for name, world := range map[string]struct {
		batch  int
		rounds [][]foldRecord
	}{
		"who was known by it alone turns out to be somebody else": {2, [][]foldRecord{
			{told("bare", 1, p)},
			{ownLead("1", 2, p), told("2", 3, convoso("2"), q, p), told("3", 4, convoso("3"), p), ownLead("4", 5, r, p), told("both", 6, p, r)},
		}},
		"somebody else is known by it alone": {1, [][]foldRecord{
			{ownLead("1", 1, convoso("1"), p), ownLead("2", 2, convoso("2"), p, q), told("bare", 3, s), told("3", 4, convoso("3"), p)},
			{ownLead("4", 5, p), told("first", 6, r, p)},
			{told("5", 7, convoso("5"), q, r), call("bare", 8, q), told("second", 9, p), optOut("first", 10, foldPhone("+15032221121"))},
		}},
		"all who share it are opted out": {1, [][]foldRecord{
			{ownLead("1", 1, p), ownLead("2", 2, p), ownLead("3", 3, p), ownLead("4", 4, p), ownLead("5", 5, p)},
			{ownLead("1", 6, p, q), optOut("out", 7, p), ownLead("6", 8, s)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFoldWorld(t)
			w.rec.Batch = world.batch
			var all []foldRecord
			for i, round := range world.rounds {
				all = append(all, round...)
				w.land(round...)
				w.drain()
				if diff := cmp.Diff(pure(all), w.stored(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("after round %d (-fold +tables):\n%s", i, diff)
				}
			}
		})
	}
}
