// Package walkstore lets the engine of sync/walk run on package store: it translates between the two, which know nothing of
// each other.
package walkstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// Store is a walk.Store on a database.
type Store struct {
	DB *store.DB
	// Table finds a stream's typed table; nil for none.
	Table func(pipeline.Source, string) *store.TypedTable
	// Enqueue is called in the transaction of a commit that changed rows, to make the job that follows up; it may be nil.
	Enqueue func(ctx context.Context, tx pgx.Tx, changed int) error
	// Again is called in the transaction of a commit that queued objects to be read again by id, with the time when the first
	// of them is due; it may be nil, and then none are queued.
	Again func(ctx context.Context, tx pgx.Tx, at time.Time) error
	// Finish is called in the transaction that ends a walk well; whole tells that it has read its list from end to end. It may
	// be nil.
	Finish func(ctx context.Context, tx pgx.Tx, w store.Walk, whole bool) error
}

var _ walk.Store = (*Store)(nil)

// Claim takes a walk's lease.
func (s *Store) Claim(ctx context.Context, id, run uuid.UUID, lease time.Duration) (walk.Walk, error) {
	w, err := s.DB.ClaimWalk(ctx, id, run, lease)
	return FromStore(w), translate(err)
}

// Renew prolongs a lease.
func (s *Store) Renew(ctx context.Context, id, run uuid.UUID, lease time.Duration) error {
	return translate(s.DB.RenewWalk(ctx, id, run, lease))
}

// Restart drops a walk's cursor.
func (s *Store) Restart(ctx context.Context, id, run uuid.UUID, lease time.Duration) error {
	return translate(s.DB.RestartWalk(ctx, id, run, lease))
}

// Release gives a walk back.
func (s *Store) Release(ctx context.Context, id, run uuid.UUID, problem error) error {
	return translate(s.DB.ReleaseWalk(ctx, id, run, store.Loggable(problem)))
}

// Fail ends a walk without coverage.
func (s *Store) Fail(ctx context.Context, id, run uuid.UUID, problem error, keepCursor bool) error {
	return translate(s.DB.FailWalk(ctx, id, run, store.Loggable(problem), keepCursor))
}

// Commit stores a batch and the walk's progress in one transaction.
func (s *Store) Commit(ctx context.Context, b walk.Batch) (walk.Committed, error) {
	p := store.WalkPage{
		ID: b.Walk.ID, Owner: b.Run, Lease: b.Lease,
		Target:  store.Target{Org: b.Walk.Org, Account: b.Walk.Account, Source: b.Walk.Source, Stream: b.Walk.Stream},
		Records: make([]store.LandRecord, len(b.Records)),
		Cursor:  b.Cursor, Pages: b.Pages, Window: rangeOf(b.Window), Bump: b.Bump,
		Done: b.Done, Covers: rangeOf(b.Covers), Live: b.Walk.Kind == walk.Live, Cut: b.Cut,
		Enqueue: s.Enqueue, Finish: s.Finish, Wake: s.Again, Follow: s.Again != nil && follows(b.Walk.Kind),
	}
	if s.Table != nil {
		p.Target.Table = s.Table(b.Walk.Source, b.Walk.Stream)
	}
	for i := range b.Records {
		p.Records[i] = Record(&b.Records[i])
	}
	for _, bad := range b.Bad {
		p.Bad = append(p.Bad, store.QuarantineItem{ObjectID: bad.ObjectID, Reason: bad.Reason, Error: bad.Err.Error(), Body: bad.Raw})
	}
	l, err := s.DB.CommitPage(ctx, p)
	return walk.Committed{New: l.New, Changed: l.Changed, Unchanged: l.Unchanged, Older: l.Older}, translate(err)
}

// follows tells whether what a walk finds is followed up object by object. Backfills and sweeps bring too much of it, and what is
// old; the next sweep reads it.
func follows(kind walk.Kind) bool { return kind != walk.Backfill && kind != walk.Sweep }

// Record is an engine's record in the store's words.
func Record(r *walk.Record) store.LandRecord {
	out := store.LandRecord{
		ObjectID: r.ObjectID, Payload: r.Payload, Raw: r.Raw, SourceTime: r.SourceTime, ZoneAssumed: r.ZoneAssumed,
		ObservedAt: r.ObservedAt, Values: r.Values, CreatedAt: r.FilterTime, Open: r.Open,
	}
	for _, ref := range r.Touches {
		out.Touches = append(out.Touches, store.ObjectRef(ref))
	}
	return out
}

// PlanLive makes a stream's next live walk in the caller's transaction. vendorNow is Runner.VendorNow.
func (s *Store) PlanLive(ctx context.Context, tx pgx.Tx, key store.StreamKey, stream *walk.Stream, vendorNow time.Time) (store.Walk, store.Planned, error) {
	return s.DB.PlanLive(ctx, tx, key, string(stream.Capability), func(state store.StreamState) (*store.TimeRange, bool) {
		if stream.Capability == walk.Snapshot {
			return nil, true
		}
		c := walk.Coverage{Origin: state.Origin}
		for _, r := range state.Covered {
			c.Ranges = append(c.Ranges, walk.Window{From: r.From, To: r.To})
		}
		w, ok := walk.Plan(s.DB.Now(), vendorNow, c, stream)
		return rangeOf(&w), ok
	})
}

// FromStore is a stored walk in the engine's words.
func FromStore(w store.Walk) walk.Walk {
	out := walk.Walk{
		ID: w.ID, Org: w.Key.Org, Account: w.Key.Account, Source: w.Key.Source, Stream: w.Key.Stream,
		Kind: walk.Kind(w.Kind), Lane: vendorapi.Lane(w.Lane), Filters: w.Filters,
		Cursor: w.Cursor, Pages: w.Pages, Restarts: w.Restarts,
	}
	if w.Window != nil {
		out.Window = &walk.Window{From: w.Window.From, To: w.Window.To}
	}
	return out
}

func rangeOf(w *walk.Window) *store.TimeRange {
	if w == nil {
		return nil
	}
	return &store.TimeRange{From: w.From, To: w.To}
}

// translate gives the store's verdicts on a lease the engine's names.
func translate(err error) error {
	switch {
	case errors.Is(err, store.ErrWalkLost):
		return fmt.Errorf("%w: %w", walk.ErrLost, err)
	case errors.Is(err, store.ErrWalkTaken):
		return fmt.Errorf("%w: %w", walk.ErrTaken, err)
	}
	return err
}
