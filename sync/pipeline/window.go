package pipeline

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// CallWindow is the time of day at which people may be called, by the clock on their own wall (law 7). Its zero value never
// opens.
type CallWindow struct {
	// From and To are wall clock times since midnight. From belongs to the window and To does not; To before From crosses
	// midnight.
	From, To time.Duration
	// Always makes the window open at all times; From and To then say nothing.
	Always bool
}

const day = 24 * time.Hour

// nextHorizon is how far Next looks. Zones that have no common hour within a day have none the day after either, unless a clock
// changes between; a delivery is long expired by then.
const nextHorizon = 8 * day

var windowForm = regexp.MustCompile(`^\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$`)

// ParseCallWindow reads a window such as 08:00-21:00. A window like 20:00-02:00 crosses midnight, and 00:00-24:00 is always
// open. The error does not quote the text.
func ParseCallWindow(text string) (CallWindow, error) {
	part := windowForm.FindStringSubmatch(text)
	if part == nil {
		return CallWindow{}, errors.New("call window: want the form HH:MM-HH:MM, such as 08:00-21:00")
	}
	from, err := wallTime(part[1], part[2])
	if err != nil || from == day {
		return CallWindow{}, errors.New("call window: the start is no time of day from 00:00 to 23:59")
	}
	to, err := wallTime(part[3], part[4])
	if err != nil {
		return CallWindow{}, errors.New("call window: the end is no time of day from 00:00 to 24:00")
	}
	if from == to {
		return CallWindow{}, errors.New("call window: start and end are the same; write 00:00-24:00 for always")
	}
	return CallWindow{From: from, To: to, Always: from == 0 && to == day}, nil
}

func wallTime(hours, minutes string) (time.Duration, error) {
	h, errH := strconv.Atoi(hours)
	m, errM := strconv.Atoi(minutes)
	at := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if errH != nil || errM != nil || m > 59 || at > day {
		return 0, errors.New("no time of day")
	}
	return at, nil
}

// String returns the window in the form that ParseCallWindow reads.
func (w CallWindow) String() string {
	if w.Always {
		return "00:00-24:00"
	}
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute) }
	return clock(w.From) + "-" + clock(w.To)
}

// Open tells whether the window is open at an instant in every one of the zones. Without zones nothing is known of the place,
// and only a window that is always open is open.
func (w CallWindow) Open(at time.Time, zones []*time.Location) bool {
	if w.Always {
		return true
	}
	for _, zone := range zones {
		if !w.covers(wall(at.In(zone))) {
			return false
		}
	}
	return len(zones) > 0
}

// Next returns the earliest instant from at on, in UTC, at which the window is open in every one of the zones. It returns
// false when there is none within eight days: the zones lie too far apart for the window.
func (w CallWindow) Next(at time.Time, zones []*time.Location) (time.Time, bool) {
	if w.Always {
		return at.UTC(), true
	}
	if len(zones) == 0 || w.From == w.To {
		return time.Time{}, false
	}
	// Each zone moves the instant on to its own next opening, never past it: once none moves it any more, it is the earliest
	// that suits them all.
	next, limit := at, at.Add(nextHorizon)
	for moved := true; moved; {
		moved = false
		for _, zone := range zones {
			opens := w.nextIn(next, zone)
			if opens.After(next) {
				next, moved = opens, true
			}
			if next.After(limit) {
				return time.Time{}, false
			}
		}
	}
	return next.UTC(), true
}

// nextIn returns the earliest instant from at on at which the window is open in one zone. Between two changes of the zone's
// clock wall time runs evenly, so each such stretch is looked at for itself: an opening that falls into a skipped hour gives
// the instant after the skip, and one in a repeated hour its first occurrence.
func (w CallWindow) nextIn(at time.Time, zone *time.Location) time.Time {
	for {
		local := at.In(zone)
		now := wall(local)
		if w.covers(now) {
			return at
		}
		opens := at.Add((w.From - now + day) % day)
		_, change := local.ZoneBounds()
		if change.IsZero() || opens.Before(change) {
			return opens
		}
		at = change
	}
}

func (w CallWindow) covers(now time.Duration) bool {
	if w.From <= w.To {
		return w.From <= now && now < w.To
	}
	return w.From <= now || now < w.To
}

// wall is the time of day that a clock in the instant's zone shows. It is no duration since midnight on days when the clock
// changes.
func wall(local time.Time) time.Duration {
	hour, minute, second := local.Clock()
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second +
		time.Duration(local.Nanosecond())
}
