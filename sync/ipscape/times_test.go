package ipscape

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	zone := sydney(t).Zone
	tests := []struct {
		in, want string // want in UTC, empty when the text is refused
		assumed  bool
	}{
		{in: "2024-03-02T10:00:00+1000", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-02T10:00:00+10:00", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-02T10:00:00+10", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-02T00:00:00Z", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-02t00:00:00z", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-02T00:00:00-00:00", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-01T14:30:00-09:30", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-02 11:00:00 +1100", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-02T00:00:00.5Z", want: "2024-03-02T00:00:00.5Z"},
		{in: "2024-03-02T00:00:00,25Z", want: "2024-03-02T00:00:00.25Z"},
		{in: "2024-03-02T00:00:00.1234567891234Z", want: "2024-03-02T00:00:00.123456Z"},
		{in: "2024-03-02T00:00Z", want: "2024-03-02T00:00:00Z"},
		{in: "2024-03-01T24:00:00Z", want: "2024-03-02T00:00:00Z"},
		{in: "2024-12-31T24:00Z", want: "2025-01-01T00:00:00Z"},
		{in: "2024-02-29T00:00:00Z", want: "2024-02-29T00:00:00Z"},
		{in: "2024-03-02T11:00:00", want: "2024-03-02T00:00:00Z", assumed: true},
		{in: "2024-07-02T10:00:00", want: "2024-07-02T00:00:00Z", assumed: true},
		{in: "2024-03-02 11:00:00.5", want: "2024-03-02T00:00:00.5Z", assumed: true},
		{in: "2024-07-02", want: "2024-07-01T14:00:00Z", assumed: true},
		// In the hour that daylight time skips.
		{in: "2024-10-06T02:30:00", want: "2024-10-05T16:30:00Z", assumed: true},
		{in: "2023-02-29T00:00:00Z"},
		{in: "2024-13-01T00:00:00Z"},
		{in: "2024-00-01T00:00:00Z"},
		{in: "2024-01-00T00:00:00Z"},
		{in: "1900-01-01T00:00:00Z", want: "1900-01-01T00:00:00Z"},
		{in: "2200-12-31T23:59:59Z", want: "2200-12-31T23:59:59Z"},
		{in: "2201-01-01T09:00:00+10:00", want: "2200-12-31T23:00:00Z"},
		{in: "1899-12-31T20:00:00-09:00", want: "1900-01-01T05:00:00Z"},
		{in: "0000-01-01T00:00:00Z"},
		{in: "0001-01-01T00:00:00Z"},
		{in: "1899-12-31T23:59:59Z"},
		{in: "1900-01-01T00:00:00+10:00"},
		{in: "1900-01-01T00:00:00"}, // in Sydney's zone it is the year before
		{in: "2200-12-31T24:00:00Z"},
		{in: "2200-12-31T23:00:00-01:00"},
		{in: "9999-12-31T23:59:59-01:00"},
		{in: "2024-03-02T25:00:00Z"},
		{in: "2024-03-02T24:00:01Z"},
		{in: "2024-03-02T10:60:00Z"},
		{in: "2024-03-02T10:00:60Z"},
		{in: "2024-03-02T10:00:00+16:00"},
		{in: "2024-03-02T10:00:00+10:60"},
		{in: "2024-03-02T10:00:00+1"},
		{in: "2024-03-02T10:00:00+10:0"},
		{in: "2024-03-02T10:00:00*10:00"},
		{in: "2024-03-02T10:00:00.Z"},
		{in: "2024-03-02T10:00:00 "},
		{in: "2024-03-02T10"},
		{in: "2024-03-02T"},
		{in: "2024-3-2"},
		{in: "02/03/2024 10:00"},
		{in: "1709337600"},
		{in: "tomorrow"},
		{in: ""},
	}
	for _, tt := range tests {
		got, assumed, ok := parseTime([]byte(tt.in), zone)
		text := ""
		if ok {
			text = got.Format(time.RFC3339Nano)
		}
		if text != tt.want || assumed != tt.assumed {
			t.Errorf("%q: got %q (assumed %v), want %q (%v)", tt.in, text, assumed, tt.want, tt.assumed)
		}
	}
}

// All spellings of an instant, at any offset, are that instant.
func TestParseTimeSpellings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := time.Unix(rapid.Int64Range(-2208988800, 7289654399).Draw(t, "unix"), 0).UTC()
		minutes := rapid.IntRange(-15*60-59, 15*60+59).Draw(t, "offset")
		local := want.In(time.FixedZone("", minutes*60))
		sign, abs := '+', minutes
		if minutes < 0 {
			sign, abs = '-', -minutes
		}
		clock := local.Format("2006-01-02T15:04:05")
		spellings := []string{
			fmt.Sprintf("%s%c%02d%02d", clock, sign, abs/60, abs%60),
			fmt.Sprintf("%s%c%02d:%02d", clock, sign, abs/60, abs%60),
			fmt.Sprintf("%s.000%c%02d:%02d", clock, sign, abs/60, abs%60),
			want.Format("2006-01-02T15:04:05Z"),
		}
		if abs%60 == 0 {
			spellings = append(spellings, fmt.Sprintf("%s%c%02d", clock, sign, abs/60))
		}
		for _, text := range spellings {
			got, assumed, ok := parseTime([]byte(text), time.FixedZone("", 3600))
			if !ok || assumed || !got.Equal(want) || got.Location() != time.UTC {
				t.Fatalf("%q: got %v, %v, %v, want %v", text, got, assumed, ok, want)
			}
		}
	})
}

// A text without an offset is what the same text with the zone's offset is.
func TestParseTimeAssumedZone(t *testing.T) {
	t.Parallel()
	zone := sydney(t).Zone
	rapid.Check(t, func(t *rapid.T) {
		want := time.Unix(rapid.Int64Range(0, 4102444800).Draw(t, "unix"), 0)
		text := want.In(zone).Format("2006-01-02T15:04:05")
		got, assumed, ok := parseTime([]byte(text), zone)
		if !ok || !assumed {
			t.Fatalf("%q: %v, %v", text, assumed, ok)
		}
		// An hour that comes twice a year may be either of the two.
		if d := got.Sub(want).Abs(); d != 0 && d != time.Hour || got.In(zone).Format("2006-01-02T15:04:05") != text {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2024-03-02T10:00:00+1000", "2024-03-02T24:00Z", "2024-03-02", "2024-03-02 10:00:00,5 -09:30"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, assumed, ok := parseTime([]byte(text), nil)
		if !ok {
			return
		}
		if got.Location() != time.UTC || got.Year() < 1900 || got.Year() > 2200 {
			t.Fatalf("%q: %v", text, got)
		}
		if want, err := time.Parse(time.RFC3339, text); err == nil && (assumed || !want.Truncate(time.Microsecond).Equal(got)) {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
	})
}
