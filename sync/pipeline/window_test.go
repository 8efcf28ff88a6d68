package pipeline_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func zones(t *testing.T, names ...string) []*time.Location {
	t.Helper()
	var out []*time.Location
	for _, name := range names {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, zone)
	}
	return out
}

func mustWindow(t *testing.T, text string) pipeline.CallWindow {
	t.Helper()
	w, err := pipeline.ParseCallWindow(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCallWindowNext(t *testing.T) {
	t.Parallel()
	const day = "08:00-21:00"
	newYork := []string{"America/New_York"}
	for _, tc := range []struct {
		name, window string
		zones        []string
		at           string
		// want is the next opening; equal to at when the window is open then, empty for never.
		want string
	}{
		{"inside stays", day, newYork, "2026-01-15T15:30:12.5Z", "2026-01-15T15:30:12.5Z"},
		{"first instant is inside", day, newYork, "2026-01-15T13:00:00Z", "2026-01-15T13:00:00Z"},
		{"a nanosecond early", day, newYork, "2026-01-15T12:59:59.999999999Z", "2026-01-15T13:00:00Z"},
		{"last nanosecond is inside", day, newYork, "2026-01-16T01:59:59.999999999Z", "2026-01-16T01:59:59.999999999Z"},
		{"21:00 is outside", day, newYork, "2026-01-16T02:00:00Z", "2026-01-16T13:00:00Z"},
		{"21:01 waits for the morning", day, newYork, "2026-01-16T02:01:00Z", "2026-01-16T13:00:00Z"},
		{"after local midnight, same local day", day, newYork, "2026-01-16T06:00:00Z", "2026-01-16T13:00:00Z"},
		{"at may carry any zone", day, newYork, "2026-01-16T22:00:00+11:00", "2026-01-16T13:00:00Z"},
		{"summer time moves the opening", day, newYork, "2026-07-15T03:00:00Z", "2026-07-15T12:00:00Z"},
		{"night before spring forward", day, newYork, "2026-03-08T03:00:00Z", "2026-03-08T12:00:00Z"},
		{"night before fall back", day, newYork, "2026-11-01T03:00:00Z", "2026-11-01T13:00:00Z"},
		{"opening in the skipped hour", "02:30-06:00", newYork, "2026-03-08T05:00:00Z", "2026-03-08T07:00:00Z"},
		{"opening in the repeated hour: its first pass", "01:30-06:00", newYork, "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"},
		{"closing in the repeated hour: open again on its second pass", "00:30-01:30", newYork, "2026-11-01T05:45:00Z", "2026-11-01T06:00:00Z"},
		{"window wholly in the skipped hour waits a day", "02:10-02:50", newYork, "2026-03-08T06:00:00Z", "2026-03-09T06:10:00Z"},
		{"skip at midnight (Santiago)", "00:15-06:00", []string{"America/Santiago"}, "2026-09-06T03:50:00Z", "2026-09-06T04:00:00Z"},
		{"half an hour of summer time (Lord Howe)", day, []string{"Australia/Lord_Howe"}, "2026-04-04T14:00:00Z", "2026-04-04T21:30:00Z"},
		{"southern end of summer time", day, []string{"Australia/Sydney"}, "2026-04-04T12:00:00Z", "2026-04-04T22:00:00Z"},
		{"southern start of summer time", day, []string{"Australia/Sydney"}, "2026-10-03T12:00:00Z", "2026-10-03T21:00:00Z"},
		{"quarter-hour zone", day, []string{"Asia/Kathmandu"}, "2026-01-15T00:00:00Z", "2026-01-15T02:15:00Z"},
		{"date line: already tomorrow there", day, []string{"Pacific/Kiritimati"}, "2026-01-15T12:00:00Z", "2026-01-15T18:00:00Z"},
		{"crossing midnight, inside after it", "20:00-02:00", newYork, "2026-01-16T06:59:00Z", "2026-01-16T06:59:00Z"},
		{"crossing midnight, outside", "20:00-02:00", newYork, "2026-01-16T07:00:00Z", "2026-01-17T01:00:00Z"},
		{"until midnight", "20:00-24:00", newYork, "2026-01-16T05:00:00Z", "2026-01-17T01:00:00Z"},
		{"until midnight, written 00:00", "20:00-00:00", newYork, "2026-01-16T04:59:00Z", "2026-01-16T04:59:00Z"},
		{"two zones: the later opening", day, []string{"America/New_York", "America/Los_Angeles"}, "2026-01-15T13:30:00Z", "2026-01-15T16:00:00Z"},
		{"two zones: the earlier closing", day, []string{"America/Los_Angeles", "America/New_York"}, "2026-01-16T02:30:00Z", "2026-01-16T16:00:00Z"},
		{"Arizona has no summer time", day, []string{"America/Phoenix", "America/Denver"}, "2026-07-15T14:10:00Z", "2026-07-15T15:00:00Z"},
		{"New York and Perth, the last half hour", day, []string{"America/New_York", "Australia/Perth"}, "2026-07-15T12:30:00Z", "2026-07-15T12:30:00Z"},
		{"New York and Perth, next opening", day, []string{"America/New_York", "Australia/Perth"}, "2026-07-15T13:00:00Z", "2026-07-16T00:00:00Z"},
		{"opposite ends of the earth, narrow window", "09:00-12:00", []string{"America/New_York", "Asia/Shanghai"}, "2026-07-15T13:00:00Z", ""},
		{"always", "00:00-24:00", newYork, "2026-01-16T06:00:00Z", "2026-01-16T06:00:00Z"},
		{"always, nothing known", "00:00-24:00", nil, "2026-01-16T06:00:00Z", "2026-01-16T06:00:00Z"},
		{"no zone is never open", day, nil, "2026-01-15T15:00:00Z", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, where, at := mustWindow(t, tc.window), zones(t, tc.zones...), instant(t, tc.at)
			got, ok := w.Next(at, where)
			if tc.want == "" {
				if ok || !got.IsZero() || w.Open(at, where) {
					t.Fatalf("Next = %v, %v, Open = %v, want never", got, ok, w.Open(at, where))
				}
				return
			}
			if want := instant(t, tc.want); !ok || !got.Equal(want) {
				t.Errorf("Next = %v, %v, want %v", got, ok, want)
			}
			if got.Location() != time.UTC {
				t.Errorf("Next is in %v, want UTC", got.Location())
			}
			if open := w.Open(at, where); open != (tc.want == tc.at) {
				t.Errorf("Open = %v", open)
			}
		})
	}
}

func TestZeroCallWindowNeverOpens(t *testing.T) {
	t.Parallel()
	at, where := instant(t, "2026-01-15T00:00:00Z"), zones(t, "UTC")
	var w pipeline.CallWindow
	if _, ok := w.Next(at, where); ok || w.Open(at, where) {
		t.Error("the zero window is open")
	}
}

func TestParseCallWindow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pipeline.CallWindow{
		"08:00-21:00":   {From: 8 * time.Hour, To: 21 * time.Hour},
		" 8:05 - 9:30 ": {From: 8*time.Hour + 5*time.Minute, To: 9*time.Hour + 30*time.Minute},
		"22:00-06:00":   {From: 22 * time.Hour, To: 6 * time.Hour},
		"00:00-24:00":   {To: 24 * time.Hour, Always: true},
		"00:00-23:59":   {To: 24*time.Hour - time.Minute},
	} {
		got, err := pipeline.ParseCallWindow(text)
		if err != nil || got != want {
			t.Errorf("ParseCallWindow(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := pipeline.ParseCallWindow(got.String()); err != nil || again != got {
			t.Errorf("%q does not read back: %+v, %v", got.String(), again, err)
		}
	}
	for _, text := range []string{
		"", "always", "08:00", "08:00-", "8-21", "08:00-21:00:00", "24:00-08:00", "08:60-21:00", "08:00-25:00", "08:00-24:01",
		"08:00-08:00", "00:00-00:00", "-1:00-08:00", "08:00–21:00", "08:00-21:00 x", "111:00-21:00",
	} {
		if w, err := pipeline.ParseCallWindow(text); err == nil {
			t.Errorf("ParseCallWindow(%q) = %+v, want an error", text, w)
		}
	}
}

// Next gives an instant at which the window is open, and no whole minute before it is open; without one, none within the
// horizon is.
func TestNextIsTheEarliestOpening(t *testing.T) {
	t.Parallel()
	names := []string{
		"America/New_York", "America/Los_Angeles", "America/St_Johns", "Pacific/Honolulu", "Pacific/Pago_Pago", "Pacific/Guam",
		"America/Phoenix", "America/Santiago", "Australia/Lord_Howe", "Australia/Sydney", "Australia/Perth", "Asia/Kathmandu",
		"Europe/London", "Pacific/Kiritimati", "Africa/Casablanca", "UTC",
	}
	all := zones(t, names...)
	year := instant(t, "2026-01-01T00:00:00Z")
	changes := []string{"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2026-04-04T15:00:00Z", "2026-10-03T16:00:00Z", "2026-09-06T04:00:00Z"}
	rapid.Check(t, func(rt *rapid.T) {
		from := rapid.IntRange(0, 24*60-1).Draw(rt, "from")
		length := rapid.IntRange(1, 24*60-1).Draw(rt, "length")
		w := pipeline.CallWindow{From: time.Duration(from) * time.Minute, To: time.Duration((from+length)%(24*60)) * time.Minute}
		where := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 3, (*time.Location).String).Draw(rt, "zones")
		at := year.Add(time.Duration(rapid.Int64Range(0, int64(365*24*time.Hour)).Draw(rt, "at")))
		if rapid.Bool().Draw(rt, "near a change") {
			at = instant(t, rapid.SampledFrom(changes).Draw(rt, "change")).
				Add(time.Duration(rapid.IntRange(-4*3600, 2*3600).Draw(rt, "distance")) * time.Second)
		}
		next, ok := w.Next(at, where)
		end := next
		if !ok {
			end = at.Add(8 * 24 * time.Hour)
		} else if !w.Open(next, where) || next.Before(at) {
			rt.Fatalf("%v in %v from %v: Next = %v, which is not open or too early", w, where, at, next)
		}
		for minute := at; minute.Before(end); minute = minute.Truncate(time.Minute).Add(time.Minute) {
			if w.Open(minute, where) {
				rt.Fatalf("%v in %v from %v: Next = %v, %v, but %v is open", w, where, at, next, ok, minute)
			}
		}
	})
}
