package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/walk"
)

// tick is how often due schedules are looked for. Every daemon with the scheduler role looks; the row of a schedule is
// locked while its slot is taken, so no leader is needed and a killed daemon's schedules go on within a tick.
const tick = time.Second

// Recurring is work that is due again and again. Due does what the slot asks for, in the transaction that takes the slot.
type Recurring struct {
	Name string
	Spec Spec
	// Later makes a schedule that is new wait for the first time its spec names; without it, it is due at once.
	Later bool
	Due   func(ctx context.Context, tx pgx.Tx, slot time.Time) error
}

// Scheduler makes one job per due slot.
type Scheduler struct {
	DB   *store.DB
	Log  *slog.Logger
	List []Recurring
	// Moved is called after each look, well or not, as a sign of life; optional.
	Moved func()
}

func (s *Scheduler) schedules() []store.Schedule {
	var out []store.Schedule
	for _, r := range s.List {
		out = append(out, store.Schedule{
			Name: r.Name, Spec: r.Spec.String(), Zone: r.Spec.Zone(), Next: r.Spec.Next, Later: r.Later, Off: r.Spec.Off(),
		})
	}
	return out
}

// Run looks for due slots until ctx ends.
func (s *Scheduler) Run(ctx context.Context) {
	schedules := s.schedules()
	due := map[string]func(context.Context, pgx.Tx, time.Time) error{}
	for _, r := range s.List {
		due[r.Name] = r.Due
	}
	ready := false
	every(ctx, tick, func() {
		defer moved(s.Moved)
		if !ready {
			if err := bounded(ctx, func(ctx context.Context) error { return s.DB.EnsureSchedules(ctx, schedules) }); err != nil {
				s.warn(ctx, "writing schedules", err)
				return
			}
			ready = true
		}
		err := bounded(ctx, func(ctx context.Context) error {
			_, err := s.DB.TakeDueSlots(ctx, schedules, func(tx pgx.Tx, name string, slot time.Time) error {
				return due[name](ctx, tx, slot)
			})
			return err
		})
		if err != nil {
			s.warn(ctx, "taking due slots", err)
		}
	})
}

func (s *Scheduler) warn(ctx context.Context, doing string, err error) {
	if ctx.Err() == nil {
		s.Log.WarnContext(ctx, "scheduling failed", "doing", doing, "error", err)
	}
}

// every calls fn at once and then at each interval until ctx ends. A call that takes longer than the interval delays the
// next one; calls never pile up.
func every(ctx context.Context, interval time.Duration, fn func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		fn()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// moved gives a sign of life to whoever wants one.
func moved(tell func()) {
	if tell != nil {
		tell()
	}
}

// LiveWalk is the recurring live walk of one stream.
type LiveWalk struct {
	Store  *walkstore.Store
	Queue  *Queue
	Key    store.StreamKey
	Stream *walk.Stream
	// VendorNow is walk.Runner.VendorNow.
	VendorNow func() time.Time
}

// Name is the schedule's name: source, stream and account.
func (l *LiveWalk) Name() string { return streamName(l.Key) }

func streamName(key store.StreamKey) string {
	name := fmt.Sprintf("%s.%s", key.Source, key.Stream)
	if key.Account != store.DefaultAccount {
		name += "." + key.Account
	}
	return name
}

// Due plans the walk and makes its job. A walk that is still open gets the job unless one waits for it: if it is being
// worked on, the job finds nothing to do. While the stream rests after a failure the slot is put off with a store.SlotLater.
func (l *LiveWalk) Due(ctx context.Context, tx pgx.Tx, slot time.Time) error {
	w, planned, err := l.Store.PlanLive(ctx, tx, l.Key, l.Stream, l.VendorNow())
	if err != nil {
		return err
	}
	switch planned {
	case store.PlannedNew:
	case store.PlannedOpen:
		// While an account is paused its walk waits with a job of its own; a slot that added another each time would pile
		// them up.
		woken, err := l.Store.DB.WalkWoken(ctx, tx, w.ID)
		if err != nil || woken {
			return err
		}
	case store.PlannedLater:
		state, err := l.Store.DB.StreamState(ctx, tx, l.Key)
		if err != nil {
			return err
		}
		return &store.SlotLater{Until: state.RetryAt}
	case store.PlannedNothing:
		return nil
	}
	return l.Queue.Insert(ctx, tx, WalkArgs{WalkID: w.ID, Schedule: l.Name(), Slot: &slot})
}
