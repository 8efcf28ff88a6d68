package vendorapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of a wait that a vendor asks for (architecture.md law 10).
const (
	MinWait = time.Second
	MaxWait = time.Hour
)

// RetryAfter reads a Retry-After header, in seconds or as a date, held within MinWait and MaxWait.
// Absent, negative or unreadable values give fallback.
func RetryAfter(h http.Header, now time.Time, fallback time.Duration) time.Duration {
	wait, ok := askedWait(h, now)
	if !ok {
		return fallback
	}
	return min(max(wait, MinWait), MaxWait)
}

// LongRetryAfter is RetryAfter without the upper bound, for a monthly quota, which lasts as long as the vendor says
// (at most 32 days).
func LongRetryAfter(h http.Header, now time.Time, fallback time.Duration) time.Duration {
	wait, ok := askedWait(h, now)
	if !ok {
		return fallback
	}
	return min(max(wait, MinWait), 32*24*time.Hour)
}

func askedWait(h http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if secs, err := strconv.ParseFloat(text, 64); err == nil {
		if secs != secs || secs < 0 {
			return 0, false
		}
		return time.Duration(min(secs, 1e8) * float64(time.Second)), true
	}
	if at, err := http.ParseTime(text); err == nil {
		// A date is meant by the clock of whoever wrote it, and the answer tells what that shows.
		if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
			now = theirs
		}
		return at.Sub(now), true
	}
	return 0, false
}
