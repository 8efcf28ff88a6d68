package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// Reread is the recurring second look at what a stream has read before: its list filters by creation time alone, so what
// changed since shows only when it is read again (contracts/ipscape.md section 8).
type Reread struct {
	DB     *store.DB
	Queue  *Queue
	Key    store.StreamKey
	Stream *walk.Stream
	// Kind is walk.Lookback or walk.Rescan, and Span how far it reaches back; or walk.Sweep, which reads the whole list.
	Kind walk.Kind
	Span time.Duration
	// VendorNow is walk.Runner.VendorNow.
	VendorNow func() time.Time
}

// Name is the schedule's name: that of the live walk and the kind.
func (r *Reread) Name() string { return streamName(r.Key) + "." + string(r.Kind) }

// Due orders the walk and makes its job. One that is still going on is not doubled, nor is a job that waits for it.
func (r *Reread) Due(ctx context.Context, tx pgx.Tx, slot time.Time) error {
	window, ok := r.window()
	if !ok {
		return nil
	}
	if err := r.DB.EnsureStream(ctx, tx, r.Key, string(r.Stream.Capability)); err != nil {
		return err
	}
	w, err := r.DB.CreateWalk(ctx, tx, store.NewWalk{
		Key: r.Key, Kind: string(r.Kind), Lane: string(vendorapi.Reread), Alone: true, Window: window,
	})
	if errors.Is(err, store.ErrWalkOpen) {
		woken, err := r.DB.WalkWoken(ctx, tx, w.ID)
		if err != nil || woken {
			return err
		}
	} else if err != nil {
		return err
	}
	return r.Queue.Insert(ctx, tx, WalkArgs{WalkID: w.ID, Schedule: r.Name(), Slot: &slot})
}

// window is nil for the whole list, and false when there is nothing to read.
func (r *Reread) window() (*store.TimeRange, bool) {
	if r.Kind == walk.Sweep {
		return nil, true
	}
	w, ok := walk.Back(r.DB.Now(), r.VendorNow(), r.Span, r.Stream)
	return &store.TimeRange{From: w.From, To: w.To}, ok
}

// holeRest is how long a hole that could not be read is left alone.
const holeRest = time.Minute

// walkHoles orders a walk for each gap in a stream's coverage that nobody is at work on.
func (s *Sweeper) walkHoles(ctx context.Context, tx pgx.Tx, key store.StreamKey) error {
	state, err := s.DB.StreamState(ctx, tx, key)
	if errors.Is(err, store.ErrNotFound) || err == nil && state.RetryAt.After(s.DB.Now()) {
		return nil
	}
	if err != nil {
		return err
	}
	failed, err := s.DB.WalkFailedSince(ctx, tx, key, string(walk.Hole), s.DB.Now().Add(-holeRest))
	if err != nil || failed {
		return err
	}
	holes, err := s.DB.Holes(ctx, tx, key)
	if err != nil {
		return err
	}
	for _, hole := range holes {
		w, err := s.DB.CreateWalk(ctx, tx, store.NewWalk{
			Key: key, Kind: string(walk.Hole), Lane: string(vendorapi.Reread), Alone: true, Window: &hole,
		})
		if errors.Is(err, store.ErrWalkOpen) {
			return nil // one hole after the other
		}
		if err != nil {
			return fmt.Errorf("ordering a walk for a hole: %w", err)
		}
		s.Log.InfoContext(ctx, "a hole in the coverage is read", "source", key.Source, "stream", key.Stream, "from", hole.From, "to", hole.To)
		if err := s.Queue.Insert(ctx, tx, WalkArgs{WalkID: w.ID}); err != nil {
			return err
		}
	}
	return nil
}
