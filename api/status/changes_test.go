package status

import (
	"testing"
	"time"
)

// TestChangesText counts few changes and tells the share of many.
func TestChangesText(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Stream{
		"": {},
		"1 of 1 change came within the look-back of 48h":         {Changes: 1, Covered: 1},
		"39 of 40 changes came within the look-back of 48h":      {Changes: 40, Covered: 39},
		"99.1% of 1840 changes came within the look-back of 48h": {Changes: 1840, Covered: 1823},
	} {
		if got := s.ChangesText(48 * time.Hour); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, want := (&Stream{Changes: 2, Covered: 2}).ChangesText(90*time.Minute), "2 of 2 changes came within the look-back of 1h30m0s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
