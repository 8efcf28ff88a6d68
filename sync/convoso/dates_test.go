package convoso

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDates(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	trusting := settings(t, Config{TrustLiteralZ: true})
	// 15 March 2024, 14:30 in Los Angeles is 21:30 UTC; its midnight 07:00.
	const half, midnight = "2024-03-15T21:30:00Z", "2024-03-15T07:00:00Z"
	tests := []struct {
		text, want string
		assumed    bool
	}{
		{"2024-03-15 14:30:00", half, true},
		{"2024-03-15", midnight, true},
		{"03/15/2024", midnight, true},
		{"03/15/24", midnight, true},
		{"03/15/2024 14:30:00", half, true},
		{"03/15/24 2:30 pm", half, true},
		{"03/15/24 2:30 PM", half, true},
		{"15-03-24", midnight, true},
		{"20240315", midnight, true},
		{"03.15.24", midnight, true},
		{"Fri Mar 15 14:30:00 MST 2024", half, false},
		{"Fri Mar 15 14:30:00 PDT 2024", half, false},
		{"Fri Mar 15 21:30:00 UTC 2024", half, false},
		{"Fri Mar 15 14:30:00 XYZ 2024", half, true},
		{"March 15, 2024, 2:30 pm", half, true},
		{"15, 3, 2024", midnight, true},
		{"2024-03-15T14:30:00", half, true},
		{"1710538200", half, false},
		{"1710538200.25", "2024-03-15T21:30:00.25Z", false},
		{"1710538200000", half, false},
		{"20240315T143000Z", half, true},
		{"2024-03-15T21:30:00Z", half, false},
		// The first and the last that can be stored.
		{"1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z", false},
		{"2200-12-31 15:59:59", "2200-12-31T23:59:59Z", true},
		{"2024-03-15T14:30:00-07:00", half, false},
		{"2024-03-15T14:30:00-0700", half, false},
		{"2024-03-15 14:30:00.123456789", "2024-03-15T21:30:00.123456Z", true},
		{"  2024-03-15   14:30:00 ", half, true},
		{"12/01/2024 12:05 am", "2024-12-01T08:05:00Z", true},
		// Spring 2026: 02:30 is skipped and counts as 03:30 PDT. Autumn 2026: of the two 01:30 the first, PDT.
		{"2026-03-08 01:59:59", "2026-03-08T09:59:59Z", true},
		{"2026-03-08 02:00:00", "2026-03-08T10:00:00Z", true},
		{"2026-03-08 02:30:00", "2026-03-08T10:30:00Z", true},
		{"2026-03-08 03:00:00", "2026-03-08T10:00:00Z", true},
		{"2026-11-01 00:59:59", "2026-11-01T07:59:59Z", true},
		{"2026-11-01 01:00:00", "2026-11-01T08:00:00Z", true},
		{"2026-11-01 01:30:00", "2026-11-01T08:30:00Z", true},
		{"2026-11-01 02:00:00", "2026-11-01T10:00:00Z", true},
	}
	for _, tt := range tests {
		at, assumed, ok := s.readDate(tt.text)
		if got := at.Format(time.RFC3339Nano); !ok || got != tt.want || assumed != tt.assumed {
			t.Errorf("%q is %s, assumed %v, read %v; want %s, %v", tt.text, got, assumed, ok, tt.want, tt.assumed)
		}
	}
	if at, assumed, ok := trusting.readDate("20240315T143000Z"); !ok || assumed || at.Format(time.RFC3339) != "2024-03-15T14:30:00Z" {
		t.Errorf("a trusted Z gives %s, assumed %v", at, assumed)
	}
	for _, text := range []string{
		"", " ", "0", "0000-00-00 00:00:00", "0000-00-00", "00/00/0000", "3 days", "36 minutes ago", "12", "2024-13-01", "02/30/2024",
		"31.12.2024", "12345678901", "-1710538200", "0001-01-01", "9999-12-31", "1e9", "Fri Mar 15 14:30:00 MST 24", "99999999",
		"0000-06-01", "1899-12-31T23:59:59Z", "1899-12-31", "1900-01-01T00:00:00+01:00", "2201-01-01T00:00:00Z", "2200-12-31 16:00:00", "10000-01-01",
	} {
		if at, _, ok := s.readDate(text); ok {
			t.Errorf("%q is read as %s", text, at)
		}
	}
}

// Also in zones that change clocks the other way round, by half an hour, or at midnight.
func TestClockChanges(t *testing.T) {
	t.Parallel()
	tests := []struct{ zone, wall, want string }{
		{"Australia/Sydney", "2026-10-04 02:30:00", "2026-10-03T16:30:00Z"},
		{"Australia/Sydney", "2026-04-05 02:30:00", "2026-04-04T15:30:00Z"},
		{"Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03T15:45:00Z"},
		{"Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04T14:45:00Z"},
		{"America/Havana", "2026-03-08 00:30:00", "2026-03-08T05:30:00Z"},
		{"UTC", "2026-03-08 02:30:00", "2026-03-08T02:30:00Z"},
	}
	for _, tt := range tests {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		s := settings(t, Config{Zone: zone})
		at, _, ok := s.readDate(tt.wall)
		if got := at.Format(time.RFC3339); !ok || got != tt.want {
			t.Errorf("%s in %s is %s, want %s", tt.wall, tt.zone, got, tt.want)
		}
	}
}

// Whatever the wall clock of a zone showed, it is read back as that instant, or as the earlier one of two.
func TestWallClockRoundTrip(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(946684800, 4102444800).Draw(t, "unix"), 0)
		wall := at.In(s.Zone).Format(time.DateTime)
		got, assumed, ok := s.readDate(wall)
		if !ok || !assumed {
			t.Fatalf("%s: read %v, assumed %v", wall, ok, assumed)
		}
		if back := got.In(s.Zone).Format(time.DateTime); back != wall || got.After(at) || at.Sub(got) > time.Hour {
			t.Fatalf("%s reads as %s, was %s", wall, got, at)
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, seed := range []string{
		"2024-03-15 14:30:00", "03/15/24 2:30 pm", "15-03-24", "20240315", "Fri Mar 15 14:30:00 MST 2024", "March 15, 2024, 2:30 pm", "15, 3, 2024",
		"1710538200", "20240315T143000Z", "0000-00-00", "\x00", "2024-03-15T14:30:00+99:99",
	} {
		f.Add(seed)
	}
	s := settings(f, Config{})
	f.Fuzz(func(t *testing.T, text string) {
		at, assumed, ok := s.readDate(text)
		again, assumedAgain, okAgain := s.readDate(" " + strings.ToUpper(text) + "\n")
		if strings.EqualFold(strings.ToUpper(text), text) && (!at.Equal(again) || assumed != assumedAgain || ok != okAgain) {
			t.Errorf("%q: case and blanks change the result", text)
		}
		if !ok && !at.IsZero() {
			t.Errorf("%q: unreadable, yet %s", text, at)
		}
		if ok && (at.Location() != time.UTC || at.Year() < 1900 || at.Year() > 2200 || at.Nanosecond()%1000 != 0) {
			t.Errorf("%q: %s cannot be stored", text, at)
		}
	})
}
