package store_test

import (
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
