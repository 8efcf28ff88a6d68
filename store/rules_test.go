package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// agrees fails when a fold over all records would come to something else than the tables hold.
func (w *foldWorld) agrees() {
	w.t.Helper()
	if _, lines := w.compare(); len(lines) > 0 {
		w.t.Errorf("differs: %q", lines)
	}
}

func TestBlockedPhoneLinksNoLeads(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	const phone = "+15032221111"
	w.land(ownLead("1", 1, foldPhone(phone)), ownLead("2", 2, foldPhone(phone)), ownLead("3", 3, foldPhone("+15032221112")))
	w.drain()
	linked := w.stored()
	for _, step := range []struct {
		allow          bool
		leads, touched int
	}{{false, 3, 2}, {true, 2, 2}} {
		touched, err := w.db.BlockPhone(t.Context(), foldOrg, phone, step.allow, nil)
		if err != nil || int(touched) != step.touched {
			t.Fatalf("%d records touched, want %d: %v", touched, step.touched, err)
		}
		w.drain()
		if n := w.number(`select count(*) from pipeline.leads`); n != step.leads {
			t.Errorf("allow %t: %d leads, want %d", step.allow, n, step.leads)
		}
		w.agrees()
	}
	if diff := cmp.Diff(linked, w.stored()); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	if _, err := w.db.BlockPhone(t.Context(), foldOrg, phone, true, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("allowing what is not blocked: %v", err)
	}
}

func TestDispositionRuleOfAnOrganisation(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	r := ownLead("1", 1)
	r.facts.Calls = []pipeline.CallFact{{
		Key:  pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: "c1"},
		Lead: r.facts.Leads[0].Keys, StartedAt: r.at(), Disposition: "cb",
		Events: []pipeline.CallEvent{{Type: pipeline.EventDisposition, OccurredAt: r.at(), Disposition: "cb"}},
	}}
	w.land(r, ownLead("2", 2))
	w.drain()
	before := w.stored()
	rule := pipeline.DispositionRule{Source: pipeline.SourceConvoso, Code: "Cb", Disposition: pipeline.Disposition{Outcome: "hot", Stage: pipeline.StageApplication}}
	touched, err := w.db.SetDispositionRule(t.Context(), foldOrg, rule, false, nil)
	if err != nil || touched != 1 {
		t.Fatalf("%d records touched, want 1: %v", touched, err)
	}
	w.drain()
	after := w.stored()
	if !strings.Contains(after.Calls[0], "c1 hot") || !strings.Contains(strings.Join(after.Leads, ","), pipeline.StageApplication) {
		t.Errorf("by the new rule: %+v", after)
	}
	w.agrees()
	if _, err := w.db.SetDispositionRule(t.Context(), foldOrg, rule, true, nil); err != nil {
		t.Fatal(err)
	}
	w.drain()
	if diff := cmp.Diff(before, w.stored()); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	w.agrees()
}
