package webhook

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestRetries(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	var total, last time.Duration
	tries := 1
	for ; ; tries++ {
		wait, ok := retryWait(id, tries)
		if !ok {
			break
		}
		// The first three are pinned; the jitter adds a tenth at the most.
		if pinned := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}; tries <= len(pinned) {
			if want := pinned[tries-1]; wait < want || wait > want*11/10 {
				t.Errorf("wait %d is %v, want about %v", tries, wait, want)
			}
		}
		if wait < last*9/10 {
			t.Errorf("wait %d is %v after %v", tries, wait, last)
		}
		total, last = total+wait, wait
	}
	if total < 5*24*time.Hour || total > 7*24*time.Hour {
		t.Errorf("%d tries over %v", tries, total)
	}
	differ := false
	first, _ := retryWait(id, 5)
	for range 10 {
		other, _ := retryWait(uuid.New(), 5)
		differ = differ || other != first
	}
	if again, _ := retryWait(id, 5); again != first || !differ {
		t.Error("the jitter is not the delivery's own")
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		failures int
		failing  time.Duration
		open     time.Duration
		disable  bool
	}{
		{1, 0, 0, false},
		{9, 30 * 24 * time.Hour, 0, false},
		{10, time.Minute, time.Minute, false},
		{11, time.Hour, 2 * time.Minute, false},
		{15, time.Hour, 32 * time.Minute, false},
		{16, time.Hour, time.Hour, false},
		{5000, 5*24*time.Hour - 1, time.Hour, false},
		{10, 5 * 24 * time.Hour, time.Minute, true},
	} {
		open, disable := judge(now)(c.failures, now.Add(-c.failing))
		if open != c.open || disable != c.disable {
			t.Errorf("%d failures over %v: open %v, disable %v", c.failures, c.failing, open, disable)
		}
	}
}
