package jobs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/sync/walk"
)

// runFunc is a walkRunner.
type runFunc func(ctx context.Context, id uuid.UUID) error

// Run implements walkRunner.
func (f runFunc) Run(ctx context.Context, id uuid.UUID) error { return f(ctx, id) }

func workWalk(ctx context.Context, run runFunc) error {
	w := &walkWorker{runner: run}
	return w.Work(ctx, &river.Job[WalkArgs]{Args: WalkArgs{WalkID: uuid.New()}})
}

func TestWalkWorkerEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "done"},
		{fmt.Errorf("claiming: %w", walk.ErrTaken), "done"},
		{fmt.Errorf("committing: %w", walk.ErrLost), "done"},
		{fmt.Errorf("page 3: %w", walk.ErrGuard), "cancel"},
		{errors.New("no"), "retry"},
	} {
		if got := said(workWalk(t.Context(), func(context.Context, uuid.UUID) error { return c.err })); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

// A turn that is over puts the walk back at once; a daemon that stops is told apart from that.
func TestWalkWorkerTurnAndStop(t *testing.T) {
	t.Parallel()
	untilDone := func(ctx context.Context, _ uuid.UUID) error {
		<-ctx.Done()
		return fmt.Errorf("asking for a page: %w", ctx.Err())
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if got := said(workWalk(t.Context(), untilDone)); got != "snooze 0s" {
			t.Errorf("after a turn: %s, want snooze 0s", got)
		}
		if took := time.Since(began); took != walkTurn {
			t.Errorf("a turn took %s, want %s", took, walkTurn)
		}
		ctx, cancel := context.WithTimeout(t.Context(), walkTurn/2)
		defer cancel()
		if got := workWalk(ctx, untilDone); said(got) != "retry" || !errors.Is(got, context.DeadlineExceeded) {
			t.Errorf("after a stop: %v, want the context's own error", got)
		}
	})
}
