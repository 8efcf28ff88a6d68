package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// RefetchArgs wakes the reading of single objects.
type RefetchArgs struct{}

// Kind implements river.JobArgs.
func (RefetchArgs) Kind() string { return "refetch" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (RefetchArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueRefetch, MaxAttempts: drainAttempts}
}

// Bounds of a turn, and the lease of one object: a killed daemon's is taken over after it.
const (
	refetchTurn  = 60 * time.Second
	refetchMost  = 200
	refetchLease = 20 * time.Second
	refetchRenew = 6 * time.Second
)

// How far "not found" is believed. Of a stream that has found nothing yet it may as well be a wrong path, and many in a row may be
// a gateway that has lost its vendor: after so many without a find none is believed, and after so many more the stream is left
// alone for a while.
const (
	goneBelieved = 3
	goneTried    = 8
	goneRest     = 5 * time.Minute
)

// Refetcher reads single objects of one account again: what is open, and what something newer names.
type Refetcher struct {
	DB    *store.DB
	Queue *Queue
	Log   *slog.Logger
	Now   func() time.Time
	// Key is the account; its stream is empty.
	Key store.StreamKey

	streams map[string]StreamEntry
	mu      sync.Mutex
	// gone is how many objects of a stream in a row were not found; resting are streams that are left alone until then.
	gone    map[string]int
	resting map[string]time.Time
}

// NewRefetcher completes a Refetcher with the account's streams.
func NewRefetcher(f *Refetcher, entries []StreamEntry) *Refetcher {
	f.streams, f.gone, f.resting = map[string]StreamEntry{}, map[string]int{}, map[string]time.Time{}
	for _, e := range entries {
		if e.Get != nil {
			f.streams[e.Stream.Name], f.gone[e.Stream.Name] = e, goneBelieved
		}
	}
	return f
}

// Again wakes the reading at the time when the first of what the caller's transaction queued is due, unless a job comes by then.
func (f *Refetcher) Again(ctx context.Context, tx pgx.Tx, at time.Time) error {
	woken, err := f.DB.RefetchWoken(ctx, tx, at)
	if err != nil || woken {
		return err
	}
	return f.Queue.insertAt(ctx, tx, RefetchArgs{}, at)
}

// Drain reads what is due, one object after the other, until its turn is over, which store.ErrMore tells. One that fails rests, longer each time, and stops no other; a
// vendor that wants us to wait, or refuses our credentials, ends the turn.
func (f *Refetcher) Drain(ctx context.Context) (int, error) {
	until, cancel := context.WithTimeout(ctx, refetchTurn)
	defer cancel()
	if err := f.DB.DropSeenRefetch(ctx, f.Key); err != nil {
		return 0, err
	}
	for n := range refetchMost {
		if until.Err() != nil {
			return n, store.ErrMore
		}
		names, rest := f.awake()
		r, ok, err := f.DB.ClaimRefetch(ctx, f.Key, names, refetchLease)
		if err == nil && !ok && !rest.IsZero() {
			// The sweeper would make a job for what is due each time it looks.
			err = f.DB.InTx(ctx, func(tx pgx.Tx) error { return f.Again(ctx, tx, rest) })
		}
		if err != nil || !ok {
			return n, err
		}
		if err := f.look(ctx, &r); err != nil {
			return n, err
		}
	}
	return refetchMost, store.ErrMore
}

// look asks for one object and settles what comes of it. Its error ends the turn.
func (f *Refetcher) look(ctx context.Context, r *store.Refetch) error {
	raw, asked, err := f.ask(ctx, r)
	if err == nil {
		f.note(r.Key.Stream, true)
		if err = f.settle(ctx, r, raw, asked); err == nil {
			return nil
		}
		// One that cannot be stored stops no other either.
		err = errors.New(store.Loggable(err))
		f.Log.WarnContext(ctx, "an object that was read again could not be stored", "source", r.Key.Source, "stream", r.Key.Stream, "object_id", r.ObjectID, "error", err)
	}
	// Whatever became of the turn, the object is given back.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	kind := vendorapi.KindOf(err)
	if ctx.Err() != nil || kind == vendorapi.Limited || kind == vendorapi.Denied {
		return errors.Join(fmt.Errorf("reading %s %s again: %w", r.Key, r.ObjectID, err), f.DB.ReleaseRefetch(last, r))
	}
	if errors.Is(err, ErrGone) && f.note(r.Key.Stream, false) {
		return f.DB.SettleRefetch(last, store.Refetched{Refetch: *r, Table: f.streams[r.Key.Stream].Table, AskedAt: asked})
	}
	givenUp, failed := f.DB.FailRefetch(last, r, store.Loggable(err))
	if givenUp {
		f.Log.WarnContext(ctx, "an object could not be read again", "source", r.Key.Source, "stream", r.Key.Stream, "object_id", r.ObjectID, "error", err)
	}
	return failed
}

// ask asks, and keeps the lease meanwhile: in its lane a request may have to wait.
func (f *Refetcher) ask(ctx context.Context, r *store.Refetch) (raw []byte, asked time.Time, err error) {
	ctx, stop := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(refetchRenew)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := f.DB.RenewRefetch(ctx, r, refetchLease); err != nil && ctx.Err() == nil {
					f.Log.WarnContext(ctx, "lease of an object could not be renewed", "error", err)
				}
			}
		}
	})
	defer renewing.Wait()
	defer stop()
	before := f.Now().UTC()
	if raw, asked, err = f.streams[r.Key.Stream].Get(ctx, r.ObjectID); asked.IsZero() {
		asked = before
	}
	return raw, asked, err
}

func (f *Refetcher) settle(ctx context.Context, r *store.Refetch, raw []byte, asked time.Time) error {
	entry := f.streams[r.Key.Stream]
	done := store.Refetched{
		Refetch: *r, Table: entry.Table, AskedAt: asked, Wake: f.Again,
		Enqueue: func(ctx context.Context, tx pgx.Tx, _ int) error { return f.Queue.WakeReconcile(ctx, tx) },
	}
	item, err := entry.Stream.Map(raw)
	if err != nil {
		done.Bad = &store.QuarantineItem{ObjectID: r.ObjectID, Reason: entry.Stream.Reason(err), Error: err.Error(), Body: raw}
		return f.DB.SettleRefetch(ctx, done)
	}
	rec := walk.Record{Item: item, ObservedAt: asked}
	if item.Cleaned {
		rec.Raw = raw
	}
	landed := walkstore.Record(&rec)
	done.Record = &landed
	return f.DB.SettleRefetch(ctx, done)
}

// note notes whether an object of a stream was found, and tells whether that it was not is believed.
func (f *Refetcher) note(stream string, found bool) (believed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found {
		f.gone[stream] = 0
		return false
	}
	f.gone[stream]++
	believed = f.gone[stream] <= goneBelieved
	if f.gone[stream] >= goneTried {
		f.gone[stream], f.resting[stream] = goneBelieved, f.DB.Now().Add(goneRest)
	}
	return believed
}

// awake lists the streams that are not left alone, and when the first that is may be tried again; zero for none.
func (f *Refetcher) awake() (names []string, rest time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.DB.Now()
	for _, name := range slices.Sorted(maps.Keys(f.streams)) {
		switch until := f.resting[name]; {
		case !until.After(now):
			names = append(names, name)
		case rest.IsZero() || until.Before(rest):
			rest = until
		}
	}
	return names, rest
}

type refetchWorker struct {
	river.WorkerDefaults[RefetchArgs]
	drain drain
}

// Work reads for a turn.
func (w *refetchWorker) Work(ctx context.Context, _ *river.Job[RefetchArgs]) error {
	return turn(ctx, w.drain)
}

// refetch wakes the reading of objects that are due.
func (s *Sweeper) refetch(ctx context.Context, tx pgx.Tx) error {
	for _, account := range s.Accounts {
		due, err := s.DB.RefetchDue(ctx, tx, account)
		if err != nil {
			return err
		}
		if due {
			if err := s.Queue.Insert(ctx, tx, RefetchArgs{}); err != nil {
				return err
			}
		}
	}
	return nil
}
