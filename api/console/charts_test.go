package console

import (
	"testing"
	"time"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

// TestLineKeepsTheNewest: of more ranges and holes than a drawing has, the oldest are left out.
func TestLineKeepsTheNewest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	st := &status.Stream{Source: "ipscape", Stream: "activities", State: &store.StreamStatus{}}
	first := now.Add(-301 * 10 * time.Minute)
	for i := range 301 {
		from := first.Add(time.Duration(i) * 10 * time.Minute)
		st.State.Covered = append(st.State.Covered, store.TimeRange{From: from, To: from.Add(5 * time.Minute)})
	}
	st.State.Origin = first
	a := axis{first, now}
	l := a.line(0, st)
	if len(l.Covered) != most || len(l.Holes) != most {
		t.Fatalf("%d ranges and %d holes, want %d of each", len(l.Covered), len(l.Holes), most)
	}
	newest := st.State.Covered[300]
	if got := l.Covered[0].X; got != a.at(newest.From) {
		t.Errorf("the first range begins at %v, the newest at %v", got, a.at(newest.From))
	}
	if got, want := l.Holes[0].X, min(a.at(newest.From.Add(-5*time.Minute)), wide-thinnest); got != want {
		t.Errorf("the first hole begins at %v, the newest at %v", got, want)
	}
}

// TestFirstBucketHasNoLowerEnd: its count holds leads whose step is told for before they came, so its link has to find them.
func TestFirstBucketHasNoLowerEnd(t *testing.T) {
	t.Parallel()
	n := len(store.SpeedBounds()) + 1
	list := bucketsOf(&status.Speed{SentIn: make([]int, n), DialledIn: make([]int, n)})
	for i, want := range map[int]string{0: "/ui/speed?step=sent&to=5", 1: "/ui/speed?from=5&step=sent&to=15", n - 1: "/ui/speed?from=14400&step=sent"} {
		if got := list[i].Sent.Link; got != want {
			t.Errorf("bucket %d leads to %s, want %s", i, got, want)
		}
	}
}
