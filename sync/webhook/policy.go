package webhook

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/google/uuid"
)

// retries are the waits after each failed request, before jitter; together they last a little over five days. After the
// last one a delivery is given up.
var retries = [...]time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

const (
	// Suspect is after how many failures in a row an endpoint's breaker opens.
	Suspect = 10
	// openFirst and openMost bound how long it stays open.
	openFirst, openMost = time.Minute, time.Hour
	// disableAfter is how long an endpoint may fail without a success before it is switched off.
	disableAfter = 5 * 24 * time.Hour
)

// retryWait returns the wait after the given number of requests, with up to a tenth on top, and false when there is to be no
// other. The jitter follows from the delivery's id: every daemon reckons the same.
func retryWait(id uuid.UUID, tries int) (time.Duration, bool) {
	if tries < 1 || tries > len(retries) {
		return 0, false
	}
	wait := retries[tries-1]
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(id[:], uint64(tries)))
	return wait + time.Duration(h.Sum64()%uint64(wait/10+1)), true
}

// judge is the breaker: it opens after Suspect failures in a row, for twice as long each time, and an endpoint that has
// failed for days is switched off.
func judge(now time.Time) func(failures int, since time.Time) (open time.Duration, disable bool) {
	return func(failures int, since time.Time) (time.Duration, bool) {
		if failures < Suspect {
			return 0, false
		}
		open := openMost
		if over := failures - Suspect; over < 6 {
			open = min(openFirst<<over, openMost)
		}
		return open, now.Sub(since) >= disableAfter
	}
}
