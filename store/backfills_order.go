package store

import (
	"strconv"
	"strings"
	"time"
)

// BackfillOrder is what an operator or a script asks to be read again.
type BackfillOrder struct {
	Source string
	// Streams are names; none means all of the source.
	Streams []string
	// From is inclusive and To exclusive; a zero To means now, and so does one in the future.
	From, To time.Time
	// Window is the length of a window; zero means a day.
	Window time.Duration
	// Filters are the streams' own, by the vendor's names.
	Filters map[string]string
	// Actor is who orders it.
	Actor string
}

// FieldFault is what is wrong with one field of an order. It quotes no value.
type FieldFault struct {
	// Field is source, streams, from, to, window or filters.
	Field, Problem string
}

// InvalidOrder is an order that cannot be carried out, with everything that is wrong with it.
type InvalidOrder struct {
	Faults []FieldFault
}

// Error implements error.
func (e *InvalidOrder) Error() string {
	texts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		texts[i] = f.Field + " " + f.Problem
	}
	return strings.Join(texts, "; ")
}

// ParseWindow reads the length of a window: a duration of Go such as 36h, or whole days such as 7d.
func ParseWindow(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	length, err := time.ParseDuration(text)
	return length, err == nil && length > 0
}
