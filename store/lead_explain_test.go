package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestExplainTellsWhoSaidWhatAndWhen: a field is told by two sources and changed by one of them; the lead of each moment is
// what was known here at that moment.
func TestExplainTellsWhoSaidWhatAndWhen(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	now := foldStart.Add(time.Hour)
	w.db.Clock = func() time.Time { return now }
	told := func(source pipeline.Source, object string, minute int, city string) foldRecord {
		r := ownLead("1", minute)
		r.source, r.object = source, object
		r.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: city}
		return r
	}
	for _, r := range []foldRecord{
		told(pipeline.SourceIPSCAPE, "1", 60, "Salem"), told(pipeline.SourceConvoso, "c", 120, "Bend"), told(pipeline.SourceConvoso, "c", 180, "Eugene"),
	} {
		w.land(r)
		w.drain()
		now = now.Add(time.Hour)
	}
	var id uuid.UUID
	if err := w.db.Pool.QueryRow(t.Context(), `select lead_id from pipeline.leads`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		at        time.Time
		city      string
		record    string
		overruled []string
	}{
		{time.Time{}, "Eugene", "convoso/s/c", []string{"Salem"}},
		{foldStart.Add(150 * time.Minute), "Bend", "convoso/s/c", []string{"Salem"}},
		{foldStart.Add(90 * time.Minute), "Salem", "ipscape/s/1", nil},
		{foldStart.Add(30 * time.Minute), "", "", nil},
	} {
		x, err := w.rec.Explain(t.Context(), foldOrg, id, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if tc.city == "" {
			if len(x.Leads) != 0 {
				t.Errorf("%s: %+v", tc.at, x.Leads)
			}
			continue
		}
		if len(x.Leads) != 1 || len(x.Leads[0].Fields) != 1 || len(x.Leads[0].Links) != 1 {
			t.Fatalf("%s: %+v", tc.at, x)
		}
		f := x.Leads[0].Fields[0]
		var overruled []string
		for _, o := range f.Overruled {
			overruled = append(overruled, o.Value)
		}
		if f.Value != tc.city || f.Record != tc.record || !cmp.Equal(tc.overruled, overruled) {
			t.Errorf("%s: %+v", tc.at, f)
		}
	}
}

// What was one lead and was split since is explained as it was, asked for by either id.
func TestExplainALeadThatWasSplitSince(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	now := foldStart.Add(time.Hour)
	w.db.Clock = func() time.Time { return now }
	convoso := pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "9"}
	shared := foldPhone("+15032221111")
	post := foldRecord{pipeline.SourceConvoso, "post", 30, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{convoso, shared}}}}}
	for _, r := range []foldRecord{ownLead("1", 10, shared), post, ownLead("1", 100, foldPhone("+15032221112"))} {
		w.land(r)
		w.drain()
		now = now.Add(time.Hour)
	}
	ids := map[string]uuid.UUID{}
	for _, value := range []string{"1", "9"} {
		var id uuid.UUID
		if err := w.db.Pool.QueryRow(t.Context(), `select lead_id from pipeline.lead_keys where value = $1`, value).Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids[value] = id
	}
	if ids["1"] == ids["9"] {
		t.Fatal("the lead is not split")
	}
	for value, id := range ids {
		for at, want := range map[time.Time][]string{
			{}:                             map[string][]string{"1": {"+15032221112", "1"}, "9": {"+15032221111", "9"}}[value],
			foldStart.Add(2*time.Hour + 1): {"+15032221111", "1", "9"},
		} {
			x, err := w.rec.Explain(t.Context(), foldOrg, id, at)
			if err != nil || len(x.Leads) != 1 {
				t.Fatalf("lead of %s at %s: %+v, %v", value, at, x, err)
			}
			var got []string
			for _, l := range x.Leads[0].Links {
				got = append(got, l.Value)
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("lead of %s at %s: keys (-want +got):\n%s", value, at, diff)
			}
		}
	}
}
