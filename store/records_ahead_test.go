package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// sight is one look at an object: the city that it tells, the minute of the source's time, which stands in what it tells, and that
// of ours.
type sight struct {
	city       string
	told, seen int
}

// An object goes there and back while its source's clock is ahead of ours. Somebody else says Bend in between, at minute 2. Who wins
// follows from the looks, in whatever order and batches they arrive.
func TestThereAndBackByAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	minute := func(n int) time.Time { return foldStart.Add(time.Duration(n) * time.Minute) }
	land := func(lead, object string, sights ...sight) {
		t.Helper()
		var recs []store.LandRecord
		for _, s := range sights {
			payload, err := json.Marshal(pipeline.Facts{Leads: []pipeline.LeadFact{{
				Keys:   []pipeline.Key{{Kind: pipeline.KeyConvosoLead, Account: "default", Value: lead}},
				Fields: map[pipeline.Field]string{pipeline.FieldCity: s.city},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			recs = append(recs, store.LandRecord{ObjectID: object, Payload: payload, SourceTime: minute(s.told), ObservedAt: minute(s.seen)})
		}
		err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
			target := store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceConvoso, Stream: "s"}
			_, err := w.db.Land(t.Context(), tx, target, recs, store.LandOptions{Bump: true})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	worlds := map[string][3]sight{
		// What was told at minute 1 is told again, and no later for it.
		"one time":                {{"Salem", 500, 1}, {"Eugene", 500, 3}, {"Salem", 500, 5}},
		"one time that has come":  {{"Salem", 4, 1}, {"Eugene", 4, 3}, {"Salem", 4, 5}},
		"words that went for one": {{"Eugene", 500, 1}, {"Salem", 500, 3}, {"Salem", 500, 5}},
		// A time of its own counts as of its own look.
		"another time between": {{"Salem", 500, 1}, {"Eugene", 600, 3}, {"Salem", 500, 5}},
		"times that go on":     {{"Salem", 8, 1}, {"Eugene", 10, 3}, {"Salem", 12, 5}},
		"a clock put right":    {{"Salem", 500, 1}, {"Eugene", 500, 3}, {"Astoria", 4, 5}},
	}
	want := map[string]string{
		"one time": "Bend", "one time that has come": "Bend", "words that went for one": "Bend",
		"another time between": "Salem", "times that go on": "Salem", "a clock put right": "Astoria",
	}
	// All orders go side by side, each in a lead of its own, one by one or two at a time, and are folded after each step.
	for step := range 4 {
		for name, sights := range worlds {
			for i, order := range orders {
				apart, pairs := fmt.Sprintf("%s %d apart", name, i), fmt.Sprintf("%s %d in pairs", name, i)
				if step == i%4 {
					land(apart, "other "+apart, sight{"Bend", 2, 2})
					land(pairs, "other "+pairs, sight{"Bend", 2, 2})
				}
				if step < 3 {
					land(apart, apart, sights[order[step]])
				}
				if step < 2 {
					land(pairs, pairs, sights[order[step]], sights[order[step+1]])
				}
			}
		}
		w.drain()
	}
	rows, err := w.db.Pool.Query(t.Context(), `select k.value, l.city from pipeline.lead_keys k join pipeline.leads l using (org_id, lead_id)`)
	if err != nil {
		t.Fatal(err)
	}
	var lead, city string
	got := map[string]string{}
	if _, err := pgx.ForEachRow(rows, []any{&lead, &city}, func() error { got[lead] = city; return nil }); err != nil {
		t.Fatal(err)
	}
	for name := range worlds {
		for i := range orders {
			for _, how := range []string{"apart", "in pairs"} {
				if lead := fmt.Sprintf("%s %d %s", name, i, how); got[lead] != want[name] {
					t.Errorf("%s: city %q, want %s", lead, got[lead], want[name])
				}
			}
		}
	}
	w.agrees()
}
