package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// scheduleWorld is a database with a clock that tests move.
type scheduleWorld struct {
	*store.DB
	at atomic.Pointer[time.Time]
}

func newScheduleWorld(t *testing.T) *scheduleWorld {
	t.Helper()
	w := &scheduleWorld{}
	w.set(foldStart)
	w.DB = &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: func() time.Time { return *w.at.Load() }}
	return w
}

func (w *scheduleWorld) set(at time.Time) { w.at.Store(&at) }

// each is due at whole multiples of every.
func each(name string, every time.Duration) store.Schedule {
	return store.Schedule{Name: name, Spec: "@" + every.String(), Zone: "UTC", Next: func(t time.Time) time.Time {
		return t.Truncate(every).Add(every)
	}}
}

// offSchedule is a schedule that the configuration switches off.
func offSchedule(name string) store.Schedule { return store.Schedule{Name: name, Off: true} }

func later(name string, every time.Duration) store.Schedule {
	s := each(name, every)
	s.Later = true
	return s
}

func (w *scheduleWorld) ensure(t *testing.T, list ...store.Schedule) {
	t.Helper()
	if err := w.EnsureSchedules(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// take takes what is due and returns the slots by name.
func (w *scheduleWorld) take(t *testing.T, list ...store.Schedule) map[string]time.Time {
	t.Helper()
	got := map[string]time.Time{}
	n, err := w.TakeDueSlots(t.Context(), list, func(_ pgx.Tx, name string, slot time.Time) error {
		if _, twice := got[name]; twice {
			t.Errorf("%s was handed out twice", name)
		}
		got[name] = slot
		return nil
	})
	if err != nil || n != len(got) {
		t.Fatalf("%d taken of %v, %v", n, got, err)
	}
	return got
}

// TestScheduleAfterWeeks: however long a daemon was down, it keeps its own schedules; only what nobody knows is forgotten.
func TestScheduleAfterWeeks(t *testing.T) {
	t.Parallel()
	w := newScheduleWorld(t)
	hour, gone := each("a", time.Hour), each("b", time.Hour)
	w.ensure(t, hour, gone)
	w.take(t, hour, gone)
	w.set(foldStart.Add(400 * time.Hour))
	w.ensure(t, hour)
	if diff := cmp.Diff(map[string]time.Time{"a": foldStart.Add(time.Hour)}, w.take(t, hour, gone)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScheduleSlots(t *testing.T) {
	t.Parallel()
	w := newScheduleWorld(t)
	minute := each("a", time.Minute)
	at := func(d time.Duration) time.Time { return foldStart.Add(d) }
	for _, step := range []struct {
		what   string
		after  time.Duration
		ensure []store.Schedule // nil: no restart
		take   []store.Schedule
		want   map[string]time.Time
	}{
		{"a new schedule is due at once", 0, []store.Schedule{minute}, []store.Schedule{minute}, map[string]time.Time{"a": at(0)}},
		{"its slot is taken", 0, nil, []store.Schedule{minute}, map[string]time.Time{}},
		{"not before its time", 59 * time.Second, nil, []store.Schedule{minute}, map[string]time.Time{}},
		{"on time", time.Minute, nil, []store.Schedule{minute}, map[string]time.Time{"a": at(time.Minute)}},
		{"a restart keeps the due time", 90 * time.Second, []store.Schedule{minute}, []store.Schedule{minute}, map[string]time.Time{}},
		{"late by a moment", 2*time.Minute + 30*time.Second, nil, []store.Schedule{minute}, map[string]time.Time{"a": at(2 * time.Minute)}},
		{"and then on time again", 3 * time.Minute, nil, []store.Schedule{minute}, map[string]time.Time{"a": at(3 * time.Minute)}},
		{"after hours of absence one slot", 5 * time.Hour, []store.Schedule{minute}, []store.Schedule{minute}, map[string]time.Time{"a": at(4 * time.Minute)}},
		{"not one for each that was missed", 5*time.Hour + time.Second, nil, []store.Schedule{minute}, map[string]time.Time{}},
		{"and goes on from now", 5*time.Hour + time.Minute, nil, []store.Schedule{minute}, map[string]time.Time{"a": at(5*time.Hour + time.Minute)}},
		{"another spec keeps no old due time", 5*time.Hour + 3*time.Minute, []store.Schedule{each("a", time.Hour)}, []store.Schedule{each("a", time.Hour)}, map[string]time.Time{}},
		{"but is due by itself", 6 * time.Hour, nil, []store.Schedule{each("a", time.Hour)}, map[string]time.Time{"a": at(6 * time.Hour)}},
		{"what another daemon knows stays", 8 * time.Hour, []store.Schedule{each("b", time.Hour)}, []store.Schedule{each("b", time.Hour)}, map[string]time.Time{"b": at(8 * time.Hour)}},
		{"for the one that knows it", 8 * time.Hour, nil, []store.Schedule{minute}, map[string]time.Time{"a": at(7 * time.Hour)}},
		{"what is off is forgotten", 9 * time.Hour, []store.Schedule{offSchedule("a"), each("b", time.Hour)}, []store.Schedule{offSchedule("a"), each("b", time.Hour)}, map[string]time.Time{"b": at(9 * time.Hour)}},
		{"what comes back is new", 9*time.Hour + time.Second, []store.Schedule{minute}, []store.Schedule{minute}, map[string]time.Time{"a": at(9*time.Hour + time.Second)}},
		{"what is off here and on elsewhere is not taken here", 10 * time.Hour, nil, []store.Schedule{offSchedule("a")}, map[string]time.Time{}},
		{"but there", 10 * time.Hour, nil, []store.Schedule{minute}, map[string]time.Time{"a": at(9*time.Hour + time.Minute)}},
		{"a new one that is for later waits for its time", 10*time.Hour + time.Minute, []store.Schedule{later("c", time.Hour)}, []store.Schedule{later("c", time.Hour)}, map[string]time.Time{}},
		{"and then is due", 11 * time.Hour, nil, []store.Schedule{later("c", time.Hour)}, map[string]time.Time{"c": at(11 * time.Hour)}},
	} {
		w.set(at(step.after))
		if step.ensure != nil {
			w.ensure(t, step.ensure...)
		}
		if diff := cmp.Diff(step.want, w.take(t, step.take...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
	names := func() (n string) {
		t.Helper()
		if err := w.Pool.QueryRow(t.Context(), `select coalesce(string_agg(name, ',' order by name), '') from ops.schedules`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.ensure(t)
	if got := names(); got != "a,b,c" {
		t.Errorf("%q are left after a daemon that knows none of them, want all", got)
	}
	w.set(at(10*time.Hour + 30*time.Minute + 7*24*time.Hour))
	w.ensure(t)
	if got := names(); got != "c" {
		t.Errorf("%q are left after a week, want the one that was due within it", got)
	}
	w.ensure(t, offSchedule("c"))
	if got := names(); got != "" {
		t.Errorf("%q are left with all of them off", got)
	}
}

// What cannot be done yet is done later, and not an interval later.
func TestScheduleSlotIsPutOff(t *testing.T) {
	t.Parallel()
	w := newScheduleWorld(t)
	hourly := each("a", time.Hour)
	w.ensure(t, hourly)
	n, err := w.TakeDueSlots(t.Context(), []store.Schedule{hourly}, func(tx pgx.Tx, _ string, _ time.Time) error {
		if _, err := tx.Exec(t.Context(), `delete from ops.schedules`); err != nil {
			t.Error(err)
		}
		return fmt.Errorf("resting: %w", &store.SlotLater{Until: foldStart.Add(5 * time.Second)})
	})
	if n != 0 || err != nil {
		t.Errorf("%d taken, %v", n, err)
	}
	if got := w.take(t, hourly); len(got) != 0 {
		t.Errorf("taken before its time: %v", got)
	}
	w.set(foldStart.Add(5 * time.Second))
	if got := w.take(t, hourly); len(got) != 1 {
		t.Error("a slot that was put off is lost")
	}
	w.set(foldStart.Add(59 * time.Minute))
	if got := w.take(t, hourly); len(got) != 0 {
		t.Errorf("due again at %v, want the spec's own time", got)
	}
}

// The same text in another zone is another schedule.
func TestScheduleZoneCounts(t *testing.T) {
	t.Parallel()
	w := newScheduleWorld(t)
	s := each("a", time.Hour)
	w.ensure(t, s)
	s.Zone = "America/New_York"
	w.ensure(t, s)
	if got := w.take(t, s); len(got) != 0 {
		t.Errorf("due at %v, want the new zone's own time", got)
	}
}

func TestManySchedulersTakeASlotOnce(t *testing.T) {
	t.Parallel()
	w := newScheduleWorld(t)
	list := []store.Schedule{each("a", time.Minute), each("b", time.Minute), each("c", time.Hour)}
	w.ensure(t, list...)
	for i := range 10 {
		w.set(foldStart.Add(time.Duration(i) * time.Minute))
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		start := make(chan struct{})
		for range 6 {
			wg.Go(func() {
				<-start
				_, err := w.TakeDueSlots(t.Context(), list, func(_ pgx.Tx, name string, _ time.Time) error {
					mu.Lock()
					defer mu.Unlock()
					got[name]++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		want := map[string]int{"a": 1, "b": 1}
		if i == 0 {
			want["c"] = 1
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("minute %d (-want +got):\n%s", i, diff)
		}
	}
}

// What fails leaves the slot due: nothing of it is committed.
func TestScheduleSlotOfAFailureStaysDue(t *testing.T) {
	t.Parallel()
	w := newScheduleWorld(t)
	list := []store.Schedule{each("a", time.Minute)}
	w.ensure(t, list...)
	broken := errors.New("no")
	_, err := w.TakeDueSlots(t.Context(), list, func(tx pgx.Tx, _ string, _ time.Time) error {
		if _, err := tx.Exec(t.Context(), `delete from ops.schedules`); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v, want the slot's own", err)
	}
	if got := w.take(t, list...); len(got) != 1 {
		t.Errorf("due after a failure: %v, want the slot again", got)
	}
}

// Law 13: one schedule that cannot be planned must not keep the others from their slots.
func TestScheduleFailureSparesTheRest(t *testing.T) {
	t.Parallel()
	w := newScheduleWorld(t)
	list := []store.Schedule{each("a", time.Minute), each("b", time.Minute), each("c", time.Minute)}
	w.ensure(t, list...)
	broken := errors.New("no")
	got := map[string]bool{}
	_, err := w.TakeDueSlots(t.Context(), list, func(tx pgx.Tx, name string, _ time.Time) error {
		if name == "b" {
			_, err := tx.Exec(t.Context(), `select 1 / 0`)
			return errors.Join(broken, err)
		}
		got[name] = true
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want that of b", err)
	}
	n := countRows(t, w.DB, `select count(*) from ops.schedules where last_slot is not null and name in ('a', 'c')`)
	if n != 2 || !got["a"] || !got["c"] {
		t.Errorf("%d of the two other slots were taken, handed out: %v", n, got)
	}
	if n := countRows(t, w.DB, `select count(*) from ops.schedules where last_slot is null and name = 'b'`); n != 1 {
		t.Error("the slot of b was taken though it failed")
	}
}
