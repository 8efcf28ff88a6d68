package sandbox

import (
	"testing"
	"time"
)

// TestHistoryLiesWhereItIsSaid: all that AddHistory adds is of its time, about leads of its own, and leaves what there was as it was.
func TestHistoryLiesWhereItIsSaid(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	box := New(Options{Seed: 7, Now: func() time.Time { return now }})
	v := box.IPSCAPE()
	leads, calls, attempts := len(v.Leads()), len(v.Activities()), len(v.DialAttempts())
	from, to := now.AddDate(0, 0, -90), now.AddDate(0, 0, -40)
	v.AddHistory(from, to, 30, 200)
	within := func(at time.Time) bool { return !at.Before(from) && at.Before(to) }
	phones, added := map[string]bool{}, map[int64]bool{}
	for _, l := range v.Leads() {
		if phones[l.Phones[0]] && within(l.Created) {
			t.Errorf("lead %d has somebody else's phone", l.ID)
		}
		phones[l.Phones[0]] = true
		added[l.ID] = within(l.Created)
	}
	old := 0
	for _, a := range v.Activities() {
		if within(a.Created) {
			old++
			if a.LeadID != 0 && !added[a.LeadID] {
				t.Errorf("call %d of the history is about lead %d, which is not", a.ID, a.LeadID)
			}
		}
	}
	for i, l := range v.Leads()[:30] {
		if l.ID != v.Leads()[30].ID-30+int64(i) {
			t.Errorf("lead %d lies apart from the others", l.ID)
		}
	}
	if got := len(v.Leads()); got != leads+30 {
		t.Errorf("%d leads, want %d", got, leads+30)
	}
	if got := len(v.Activities()); got != calls+200 || old != 200 {
		t.Errorf("%d calls, %d of them old; want %d and 200", got, old, calls+200)
	}
	if got := len(v.DialAttempts()); got <= attempts {
		t.Errorf("%d attempts, and %d before", got, attempts)
	}
}
