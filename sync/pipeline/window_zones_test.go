package pipeline_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func zoneNames(stated string, phones ...string) []string {
	var names []string
	for _, zone := range pipeline.LeadZones(stated, phones...) {
		names = append(names, zone.String())
	}
	return names
}

func TestLeadZones(t *testing.T) {
	t.Parallel()
	const miami, losAngeles = "+13055550123", "+12135550123"
	for _, tc := range []struct {
		name, stated string
		phones, want []string
	}{
		{"a stated zone wins", "America/Denver", []string{miami}, []string{"America/Denver"}},
		{"blanks around it", " America/Denver\n", []string{miami}, []string{"America/Denver"}},
		{"an old name", "US/Pacific", []string{miami}, []string{"US/Pacific"}},
		{"the area's zone", "", []string{miami}, []string{"America/New_York"}},
		{"no such zone", "Mars/Olympus", []string{miami}, []string{"America/New_York"}},
		{"a vendor's own wording", "Eastern Standard Time", []string{losAngeles}, []string{"America/Los_Angeles"}},
		{"UTC states no place", "UTC", []string{miami}, []string{"America/New_York"}},
		{"nor does Etc", "Etc/GMT+5", []string{losAngeles}, []string{"America/Los_Angeles"}},
		{"EST has no summer time", "EST", []string{losAngeles}, []string{"America/Los_Angeles"}},
		{"the machine's own zone", "Local", []string{miami}, []string{"America/New_York"}},
		{"the machine's own zone, as a file", "localtime", []string{miami}, []string{"America/New_York"}},
		{"a path", "../zoneinfo/America/Denver", []string{miami}, []string{"America/New_York"}},
		{"both phones count", "", []string{miami, losAngeles}, []string{"America/Los_Angeles", "America/New_York"}},
		{"empty phones do not", "", []string{"", miami, miami}, []string{"America/New_York"}},
		{"an area with two zones", "", []string{"+19075550100"}, []string{"America/Adak", "America/Anchorage"}},
		{"Hawaii", "", []string{"+18085550100"}, []string{"Pacific/Honolulu"}},
		{"Sydney by wire", "", []string{"+61291234567"}, []string{"Australia/Sydney"}},
		{"a London number", "", []string{"+442079460958"}, []string{"Europe/London"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, zoneNames(tc.stated, tc.phones...)); diff != "" {
				t.Errorf("zones (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeadZonesUnknownAreStrict(t *testing.T) {
	t.Parallel()
	northAmerica := []string{"America/New_York", "America/Chicago", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu", "America/St_Johns"}
	australia := []string{"Australia/Perth", "Australia/Sydney", "Australia/Adelaide"}
	world := []string{"Pacific/Pago_Pago", "America/New_York", "Europe/London", "Asia/Tokyo", "Pacific/Kiritimati"}
	for _, tc := range []struct {
		name   string
		phones []string
		want   []string
	}{
		{"toll-free", []string{"+18005551234"}, northAmerica},
		{"no such area", []string{"+19995551234"}, northAmerica},
		{"too short to read", []string{"+1"}, northAmerica},
		{"a mobile is bound to no area", []string{"+61412345678"}, australia},
		{"satellite", []string{"+881612345678"}, world},
		{"no number", []string{"call me"}, world},
		{"no phone", nil, world},
		{"empty phone", []string{""}, world},
		{"one unknown among known", []string{"+13055550123", "+881612345678"}, world},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := zoneNames("", tc.phones...)
			for _, name := range tc.want {
				if !slices.Contains(got, name) {
					t.Errorf("%s is missing in %v", name, got)
				}
			}
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("not sorted or not distinct: %v", got)
			}
		})
	}
}

// A toll-free number may ring anywhere from Guam to Newfoundland: under the default window that leaves the late afternoon.
func TestTollFreeHasAnHour(t *testing.T) {
	t.Parallel()
	w := mustWindow(t, "08:00-21:00")
	for at, want := range map[string]string{
		"2026-01-15T12:00:00Z": "2026-01-15T22:00:00Z",
		"2026-07-15T12:00:00Z": "2026-07-15T22:00:00Z",
	} {
		if got, ok := w.Next(instant(t, at), pipeline.LeadZones("", "+18005551234")); !ok || !got.Equal(instant(t, want)) {
			t.Errorf("Next(%s) = %v, %v, want %s", at, got, ok, want)
		}
	}
	if got, ok := w.Next(instant(t, "2026-01-15T12:00:00Z"), pipeline.LeadZones("")); ok {
		t.Errorf("with nothing known Next = %v, want never", got)
	}
}

// The numbering data is shared by all goroutines and must come out of every look-up as it went in.
func TestLeadZonesDoesNotWearOut(t *testing.T) {
	t.Parallel()
	want := zoneNames("", "+61412345678", "+18005551234")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if diff := cmp.Diff(want, zoneNames("", "+61412345678", "+18005551234")); diff != "" {
					t.Errorf("zones changed (-want +got):\n%s", diff)
					return
				}
			}
		})
	}
	wg.Wait()
}
