package ipscape

import "time"

// maxOffset is the widest offset that Postgres reads too; real ones end at +14:00.
const maxOffset = 16 * 60 * 60

// Years in UTC that a time may be in. Postgres and JSON refuse years far outside, and none of a call or a lead is.
const minYear, maxYear = 1900, 2200

// parseTime reads the vendor's times (contracts/ipscape.md 4.1): "Z", "+1000", "+10:00" and "+10", an optional fraction, T or
// a blank between date and time; besides, a time without seconds, a bare date (its first instant) and the hour 24. Without an
// offset the text is taken to be in zone, and assumed is true. The result is UTC, cut to microseconds, and of a year from
// minYear to maxYear.
func parseTime(b []byte, zone *time.Location) (t time.Time, assumed, ok bool) {
	year, ok1 := digitsAt(b, 0, 4)
	month, ok2 := digitsAt(b, 5, 2)
	day, ok3 := digitsAt(b, 8, 2)
	if !ok1 || !ok2 || !ok3 || b[4] != '-' || b[7] != '-' || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return time.Time{}, false, false
	}
	clock, rest, ok := parseClock(b[10:])
	if !ok {
		return time.Time{}, false, false
	}
	if len(rest) == 0 {
		if zone == nil {
			zone = time.UTC
		}
		t = time.Date(year, time.Month(month), day, clock.hour, clock.minute, clock.second, clock.nano, zone)
		return storableTime(t, true)
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return time.Time{}, false, false
	}
	t = time.Date(year, time.Month(month), day, clock.hour, clock.minute, clock.second-offset, clock.nano, time.UTC)
	return storableTime(t, false)
}

// storableTime returns t as parseTime does, and not ok when its year is out of bounds.
func storableTime(t time.Time, zoneAssumed bool) (at time.Time, assumed, ok bool) {
	at = t.UTC().Truncate(time.Microsecond)
	if at.Year() < minYear || at.Year() > maxYear {
		return time.Time{}, false, false
	}
	return at, zoneAssumed, true
}

// wallClock is a time of day.
type wallClock struct{ hour, minute, second, nano int }

// parseClock reads "T09:30:00.123" and returns what follows it. Nothing at all is midnight.
func parseClock(b []byte) (c wallClock, rest []byte, ok bool) {
	if len(b) == 0 {
		return c, nil, true
	}
	if b[0] != 'T' && b[0] != 't' && b[0] != ' ' {
		return c, nil, false
	}
	var ok1, ok2 bool
	c.hour, ok1 = digitsAt(b, 1, 2)
	c.minute, ok2 = digitsAt(b, 4, 2)
	if !ok1 || !ok2 || b[3] != ':' || c.minute > 59 {
		return c, nil, false
	}
	b = b[6:]
	if len(b) > 0 && b[0] == ':' {
		if c.second, ok = digitsAt(b, 1, 2); !ok || c.second > 59 {
			return c, nil, false
		}
		if c.nano, b, ok = parseFraction(b[3:]); !ok {
			return c, nil, false
		}
	}
	if c.hour > 24 || (c.hour == 24 && (c.minute|c.second|c.nano) != 0) {
		return c, nil, false
	}
	return c, b, true
}

// parseFraction reads ".123" or ",123" of any length, and returns what follows it.
func parseFraction(b []byte) (nano int, rest []byte, ok bool) {
	if len(b) == 0 || (b[0] != '.' && b[0] != ',') {
		return 0, b, true
	}
	unit := int(100 * time.Millisecond)
	i := 1
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		nano += int(b[i]-'0') * unit
		unit /= 10
	}
	return nano, b[i:], i > 1
}

// parseOffset reads "Z", "+10", "+1000" and "+10:00" as seconds east of UTC.
func parseOffset(b []byte) (seconds int, ok bool) {
	if b[0] == ' ' {
		b = b[1:]
	}
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true
	}
	hours, ok := digitsAt(b, 1, 2)
	if !ok {
		return 0, false
	}
	minutes := 0
	switch {
	case len(b) == 3:
	case len(b) == 5:
		minutes, ok = digitsAt(b, 3, 2)
	case len(b) == 6 && b[3] == ':':
		minutes, ok = digitsAt(b, 4, 2)
	default:
		return 0, false
	}
	seconds = hours*3600 + minutes*60
	if !ok || minutes > 59 || seconds >= maxOffset {
		return 0, false
	}
	switch b[0] {
	case '+':
		return seconds, true
	case '-':
		return -seconds, true
	}
	return 0, false
}

// digitsAt reads n digits from the i-th byte on.
func digitsAt(b []byte, i, n int) (v int, ok bool) {
	if i+n > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+n] {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
