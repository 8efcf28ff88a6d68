package store

import (
	"cmp"
	"time"
)

// aheadTime is a source's time that lay ahead of our clock when it was told, and the first observation that told it; zero for none.
// Of an object the furthest one is kept (ops.records.ahead_time, ahead_seen_at). A version with that time counts as of that
// observation, one with another time ahead of our clock as of its own: what a version is worth follows from all observations of
// the object, in whatever order and batches they arrive and however often (law 3).
type aheadTime struct{ told, seen time.Time }

// toldAhead returns what an observation makes of the source's time.
func toldAhead(told, observed time.Time) aheadTime {
	if told = micros(told); told.After(observed) {
		return aheadTime{told, observed}
	}
	return aheadTime{}
}

// beats tells whether it is kept in place of another one: it lies further ahead, or was seen earlier.
func (a aheadTime) beats(b aheadTime) bool {
	return cmp.Or(a.told.Compare(b.told), b.seen.Compare(a.seen)) > 0
}
