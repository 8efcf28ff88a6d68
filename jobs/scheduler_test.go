package jobs

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

// Now tells the time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock.
func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newTestDB(t *testing.T) (*store.DB, *clock) {
	t.Helper()
	c := &clock{at: jobMade}
	return &store.DB{Pool: storetest.DB(t), Log: quiet(), Clock: c.Now}, c
}

func spec(t *testing.T, text string) Spec {
	t.Helper()
	s, err := ParseSpec(text, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Two schedulers look at one database every second: each slot gets its job once, and a long absence one slot in all.
func TestTwoSchedulersMakeOneJobASlot(t *testing.T) {
	t.Parallel()
	db, clock := newTestDB(t)
	queue := newTestQueue(t, db.Pool)
	var mu sync.Mutex
	turns := map[int]int{} // scheduler → ticks; keeps the test from passing with one asleep
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 2 {
		due := func(ctx context.Context, tx pgx.Tx, slot time.Time) error {
			return queue.Insert(ctx, tx, UpkeepArgs{Slot: slot})
		}
		s := &Scheduler{DB: &store.DB{Pool: db.Pool, Log: quiet(), Clock: func() time.Time {
			mu.Lock()
			turns[i]++
			mu.Unlock()
			return clock.Now()
		}}, Log: quiet(), List: []Recurring{
			{Name: "upkeep", Spec: spec(t, "@every 1m"), Due: due},
			{Name: "silent", Spec: spec(t, Off), Due: func(context.Context, pgx.Tx, time.Time) error { return errors.New("off, and yet due") }},
		}}
		wg.Go(func() { s.Run(ctx) })
	}
	jobs := func() int { return countOf(t, db.Pool, `select count(*) from river.river_job where kind = 'upkeep'`) }
	bothLooked := func() {
		mu.Lock()
		before := map[int]int{0: turns[0], 1: turns[1]}
		mu.Unlock()
		// A look reads the clock once: of two more, the first began after this moment and has ended.
		eventually(t, "both schedulers look", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return turns[0] >= before[0]+2 && turns[1] >= before[1]+2
		})
	}
	for i, step := range []time.Duration{0, time.Minute, 10 * time.Hour} {
		clock.Advance(step)
		eventually(t, "the slot gets its job", func() bool { return jobs() > i })
		bothLooked()
		if got := jobs(); got != i+1 {
			t.Errorf("after step %d: %d jobs, want %d", i, got, i+1)
		}
	}
	if n := countOf(t, db.Pool, `select count(distinct args ->> 'slot') from river.river_job`); n != 3 {
		t.Errorf("%d different slots, want 3", n)
	}
	if n := countOf(t, db.Pool, `select count(*) from ops.schedules`); n != 1 {
		t.Errorf("%d schedules are kept, want the one that is on", n)
	}
	stop()
	wg.Wait()
}

// liveWorld is a stream of one account and its schedule.
type liveWorld struct {
	*LiveWalk
	db    *store.DB
	clock *clock
}

func newLiveWorld(t *testing.T) *liveWorld {
	t.Helper()
	db, clock := newTestDB(t)
	return &liveWorld{db: db, clock: clock, LiveWalk: &LiveWalk{
		Store: &walkstore.Store{DB: db}, Queue: newTestQueue(t, db.Pool),
		Key:       store.StreamKey{Org: uuid.New(), Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE, Stream: "leads"},
		Stream:    &walk.Stream{Source: pipeline.SourceIPSCAPE, Name: "leads", Capability: walk.Created, Start: time.Hour, Settle: time.Minute},
		VendorNow: func() time.Time { return time.Time{} },
	}}
}

// due takes a slot; ends with the error given.
func (w *liveWorld) due(t *testing.T, then error) {
	t.Helper()
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		if err := w.Due(t.Context(), tx, w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		return then
	})
	if !errors.Is(err, then) {
		t.Fatal(err)
	}
}

func (w *liveWorld) want(t *testing.T, what string, walks, jobs int) {
	t.Helper()
	gotWalks := countOf(t, w.db.Pool, `select count(*) from ops.walks`)
	gotJobs := countOf(t, w.db.Pool, `select count(*) from river.river_job where kind = 'walk' and queue = 'walks'`)
	if gotWalks != walks || gotJobs != jobs {
		t.Errorf("%s: %d walks and %d jobs, want %d and %d", what, gotWalks, gotJobs, walks, jobs)
	}
}

func TestLiveWalkDue(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t)
	if w.Name() != "ipscape.leads" {
		t.Errorf("schedule is called %s", w.Name())
	}
	w.due(t, errors.New("killed"))
	w.want(t, "after a rollback", 0, 0)
	w.due(t, nil)
	w.want(t, "first slot", 1, 1)
	n := countOf(t, w.db.Pool, `
		select count(*) from river.river_job j join ops.walks w on j.args ->> 'walk_id' = w.id::text
		where w.kind = 'live' and j.args ->> 'schedule' = 'ipscape.leads' and (j.args ->> 'slot')::timestamptz = $1
		  and lower(w.time_window) = $2 and upper(w.time_window) = $3`,
		jobMade, jobMade.Add(-time.Hour), jobMade.Add(-time.Minute))
	if n != 1 {
		t.Error("the job does not name its walk, schedule and slot, or the walk has another window")
	}
	// The walk is still open and its job waits: neither is doubled.
	w.clock.Advance(time.Minute)
	w.due(t, nil)
	w.want(t, "second slot", 1, 1)
	// A job that runs may be a dead daemon's: the open walk gets another wake-up, and no second row.
	if _, err := w.db.Pool.Exec(t.Context(), `update river.river_job set state = 'running'`); err != nil {
		t.Fatal(err)
	}
	w.due(t, nil)
	w.want(t, "third slot", 1, 2)
	if n := countOf(t, w.db.Pool, `select count(distinct args ->> 'walk_id') from river.river_job`); n != 1 {
		t.Errorf("jobs name %d walks, want the open one", n)
	}
}

func TestLiveWalkDueHasNothingToDo(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t)
	w.due(t, nil)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := w.db.Pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`update ops.walks set state = 'done'`)
	// At rest after a failure.
	exec(`update ops.streams set retry_at = $1`, jobMade.Add(time.Second))
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error { return w.Due(t.Context(), tx, w.clock.Now()) })
	if later, ok := errors.AsType[*store.SlotLater](err); !ok || !later.Until.Equal(jobMade.Add(time.Second)) {
		t.Errorf("a stream at rest: %v, want the slot put off to the end of the rest", err)
	}
	w.want(t, "a stream at rest", 1, 1)
	// Read up to now.
	exec(`update ops.streams set retry_at = null, origin = $1, covered = tstzmultirange(tstzrange($1, $2))`,
		jobMade.Add(-time.Hour), jobMade.Add(-time.Minute))
	w.due(t, nil)
	w.want(t, "nothing new", 1, 1)
	w.clock.Advance(time.Second)
	w.due(t, nil)
	w.want(t, "a second later", 2, 2)
}

// Of the daemons that plan a stream's walk at once, one makes it and its job.
func TestLiveWalkDueTwiceAtOnce(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			err := w.db.InTx(t.Context(), func(tx pgx.Tx) error { return w.Due(t.Context(), tx, jobMade) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.want(t, "four at once", 1, 1)
}
