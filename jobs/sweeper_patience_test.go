package jobs

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestHungPartsAreLeft: where no statement ends any more, each part of a sweep is left after a minute and the daemon still gives signs of
// life; the watchdog of the unit waits for two and a half.
func TestHungPartsAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var signs []time.Duration
		s := &Sweeper{Moved: func() { signs = append(signs, time.Since(began)) }}
		hang := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		worked := false
		err := s.inTurn(t.Context(), hang, hang, func(context.Context) error {
			worked = true
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || !worked {
			t.Errorf("the parts that hang: %v; the one after them was done: %t", err, worked)
		}
		if want := []time.Duration{time.Minute, 2 * time.Minute, 2 * time.Minute}; !slices.Equal(signs, want) {
			t.Errorf("signs of life after %v, want %v", signs, want)
		}
	})
}
