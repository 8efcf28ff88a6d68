package deliver

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/google/uuid"
)

// jitter spreads waits by the delivery's id and a number that differs from step to step: the same for every daemon, and
// nothing that a test would have to inject. It lies within [0, span).
func jitter(id uuid.UUID, step int, span time.Duration) time.Duration {
	if span <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write(id[:])
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(step))
	_, _ = h.Write(n[:])
	return time.Duration(h.Sum64() % uint64(span))
}

// retryWait doubles from RetryBase to RetryMax with the number of requests made, and adds up to a fifth.
func (s *Settings) retryWait(id uuid.UUID, attempts int) time.Duration {
	wait := s.RetryBase
	for i := 1; i < attempts && wait < s.RetryMax; i++ {
		wait *= 2
	}
	wait = min(wait, s.RetryMax)
	return wait + jitter(id, attempts, wait/5)
}
