package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// refuseCity has Postgres refuse every lead in a city, with a code that says the row is at fault.
func (w *foldWorld) refuseCity(city string) {
	w.t.Helper()
	mustExec(w.t, w.db, `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no' using errcode = '22000'; end $$`)
	mustExec(w.t, w.db, fmt.Sprintf(`create trigger refuse before insert or update on pipeline.leads for each row when (new.city = '%s') execute function refuse()`, city))
}

// inCity is a record of an object's own that tells a city of an ipSCAPE lead.
func inCity(object, lead, city string, minute int) foldRecord {
	r := ownLead(lead, minute)
	r.object = object
	r.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: city}
	return r
}

// A record that Postgres refuses takes nothing with it that shares its lead: not when its keys were written ahead of the fold, not
// when it is queued behind the others, and not when an earlier version of it was folded. Nor does a rebuild see a difference.
func TestWhatSharesALeadWithARefusedRecordIsFolded(t *testing.T) {
	t.Parallel()
	good, bad := inCity("note", "L", "Salem", 1), inCity("L", "L", "Nowhere", 5)
	first, second := leadCall("L", "1", 2), leadCall("L", "2", 6)
	for name, batches := range map[string][][]foldRecord{
		"behind the others":  {{good, first, second, bad}},
		"before the others":  {{bad, good, first, second}},
		"between the others": {{good, first, bad, second}},
		"folded before":      {{inCity("L", "L", "Bend", 0), good, first}, {second, bad}},
		"others came before": {{good, first, second}, {bad}},
		"others come after":  {{bad}, {first}, {second, good}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFoldWorld(t)
			w.refuseCity("Nowhere")
			w.rec.Batch = 2 // keys are written ahead of a longer queue
			for i, batch := range batches {
				for j := range 3 {
					w.land(ownLead(fmt.Sprintf("x%d%d", i, j), 1))
				}
				w.land(batch...)
				w.drain()
			}
			state := func() []int {
				return []int{
					w.number(`select count(*) from ops.reconcile_queue`),
					w.number(`select count(*) from ops.quarantine where state = 'open'`),
					w.number(`select count(*) from ops.quarantine where object_id = 'L' and reason = 'facts' and state = 'open'`),
					w.number(`select count(*) from pipeline.calls c join pipeline.leads l using (org_id, lead_id) where l.city = 'Salem'`),
					w.number(`select count(*) from ops.record_keys k join ops.records r using (record_id) where r.object_id = 'L'`),
				}
			}
			if diff := cmp.Diff([]int{0, 1, 1, 2, 0}, state()); diff != "" {
				t.Errorf("queued, in quarantine, of those the record, calls of the lead, keys of the record (-want +got):\n%s", diff)
			}
			w.agrees()
			// Its next version is tried anew.
			w.land(inCity("L", "L", "Salem", 9))
			w.drain()
			if diff := cmp.Diff([]int{0, 0, 0, 2, 1}, state()); diff != "" {
				t.Errorf("with a version that can be folded (-want +got):\n%s", diff)
			}
			w.agrees()
		})
	}
}
