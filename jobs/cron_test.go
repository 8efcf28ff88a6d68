package jobs

import (
	"testing"
	"time"
)

func TestParseSpecRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0 0 31 2 *", "TZ=0", "TZ=", "CRON_TZ=UTC", "TZ=UTC 0 0 * * *", "every minute", "@every", "@every 10ms", "@every -1m", "* * * * * *", "61 * * * *"} {
		if spec, err := ParseSpec(text, time.UTC); err == nil {
			t.Errorf("ParseSpec(%q) = %#v, want an error", text, spec)
		}
	}
}

func TestSpecNext(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	for _, c := range []struct {
		text string
		zone *time.Location
		want time.Time
	}{
		{"@every 1m", time.UTC, from.Add(time.Minute)},
		{"@daily", time.UTC, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)},
		{"*/5 * * * *", time.UTC, time.Date(2026, 3, 1, 12, 5, 0, 0, time.UTC)},
		{"0 9 * * *", newYork, time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)},
		{"off", time.UTC, time.Time{}},
		{"", time.UTC, time.Time{}},
	} {
		spec, err := ParseSpec(c.text, c.zone)
		if err != nil {
			t.Errorf("ParseSpec(%q): %v", c.text, err)
			continue
		}
		if got := spec.Next(from); !got.Equal(c.want) {
			t.Errorf("%q after %s = %s, want %s", c.text, from, got, c.want)
		}
	}
}
