package walk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

func TestWalkToItsEnd(t *testing.T) {
	t.Parallel()
	g := newRig(t, 2345, 100)
	var commits, changed atomic.Int64
	g.store.Enqueue = func(_ context.Context, _ pgx.Tx, n int) error {
		commits.Add(1)
		changed.Add(int64(n))
		return nil
	}
	w := g.sync()
	if w.State != "done" || w.Cursor != "" || w.Pages != 24 || w.Rows != 2345 || w.Changed != 2345 {
		t.Errorf("walk is %+v", w)
	}
	if diff := cmp.Diff(g.truth(), g.stored()); diff != "" {
		t.Errorf("tables (-truth +stored):\n%s", diff)
	}
	want := []store.TimeRange{{From: start.Add(-24 * time.Hour), To: start.Add(-time.Minute)}}
	s := g.state()
	if diff := cmp.Diff(want, s.Covered); diff != "" || !s.Origin.Equal(want[0].From) || !s.LastSuccessAt.Equal(start) {
		t.Errorf("stream is %+v; coverage (-want +got):\n%s", s, diff)
	}
	if n := len(g.vendor.askedFrom()); n != 24 {
		t.Errorf("%d requests for 24 pages", n)
	}
	if changed.Load() != 2345 || commits.Load() > 24 {
		t.Errorf("%d rows in %d commits", changed.Load(), commits.Load())
	}
	// The next tick reads the overlap again, changes nothing and wakes nobody.
	before := commits.Load()
	g.pass(time.Minute)
	w = g.sync()
	if w.Changed != 0 || commits.Load() != before {
		t.Errorf("a re-read changed %d rows", w.Changed)
	}
	if from := w.Window.From; !from.Equal(want[0].To.Add(-15 * time.Minute)) {
		t.Errorf("the second window begins at %v", from)
	}
	if got := g.state().Covered; len(got) != 1 || !got[0].To.Equal(start) {
		t.Errorf("coverage is %v", got)
	}
}

// Whatever the commit at which a walk dies, and however: no committed page is asked for again, and nothing is missing.
func TestWalkGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	const rows, pageSize = 1500, 100
	boom := errors.New("killed here")
	for _, how := range []string{"in the transaction", "gently", "on the way", "walk lost"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, rows, pageSize)
			w, _ := g.plan()
			committed := 0
			for attempt := 1; ; attempt++ {
				if attempt > 40 {
					t.Fatal("the walk does not end")
				}
				asked := len(g.vendor.askedFrom())
				ctx, cancel := context.WithCancel(t.Context())
				// Each attempt gets one batch of pages further than the one before.
				var pages, commits atomic.Int64
				g.store.Enqueue = func(context.Context, pgx.Tx, int) error {
					if commits.Add(1) == 2 && how == "in the transaction" {
						return boom
					}
					return nil
				}
				g.vendor.before = func(ctx context.Context, _ int) error {
					switch n := pages.Add(1); {
					case n == 4 && how == "gently":
						cancel()
					case n == 4 && how == "on the way":
						return vendorError(vendorapi.Transient)
					case n == 4 && how == "walk lost":
						g.exec(`update ops.walks set lease_until = clock_timestamp() - interval '1 second', lease_owner = gen_random_uuid() where id = $1`, w.ID)
					}
					return ctx.Err()
				}
				err := g.runner.Run(ctx, w.ID)
				cancel()
				for _, from := range g.vendor.askedFrom()[asked:] {
					if from < committed {
						t.Errorf("attempt %d asked for the page at row %d, though %d rows were committed", attempt, from, committed)
					}
				}
				got := g.walk(w.ID)
				committed = got.Pages * pageSize
				if n := len(g.stored()); n != min(committed, rows) {
					t.Errorf("attempt %d: %d rows are stored, the walk says %d", attempt, n, committed)
				}
				if err == nil {
					if got.State != "done" {
						t.Errorf("walk is %s after a run without error", got.State)
					}
					break
				}
				if got.State == "done" {
					t.Errorf("walk is done, and the run failed: %v", err)
				}
				if how != "walk lost" && got.State != "ready" {
					t.Errorf("walk is %s after %v", got.State, err)
				}
				if len(g.state().Covered) != 0 {
					t.Error("an unfinished walk claims coverage")
				}
				if how == "walk lost" {
					// Rows may go on arriving only up to the loss; the next run takes over.
					if !errors.Is(err, walk.ErrLost) {
						t.Errorf("run ended with %v, want a lost lease", err)
					}
					g.vendor.before = nil
					g.store.Enqueue = nil
					if err := g.runner.Run(t.Context(), w.ID); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			if diff := cmp.Diff(g.truth(), g.stored()); diff != "" {
				t.Errorf("tables (-truth +stored):\n%s", diff)
			}
			if len(g.state().Covered) != 1 {
				t.Error("the finished walk claims no coverage")
			}
		})
	}
}

func TestWalkIsRunOnce(t *testing.T) {
	t.Parallel()
	g := newRig(t, 10, 5)
	w, planned := g.plan()
	if again, p := g.plan(); planned != store.PlannedNew || p != store.PlannedOpen || again.ID != w.ID {
		t.Errorf("planned %v then %v, walks %s and %s", planned, p, w.ID, again.ID)
	}
	g.vendor.before = func(context.Context, int) error {
		if err := g.runner.Run(t.Context(), w.ID); !errors.Is(err, walk.ErrTaken) {
			t.Errorf("a second run got %v, want it taken", err)
		}
		return nil
	}
	if err := g.runner.Run(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	g.vendor.before = nil
	if err := g.runner.Run(t.Context(), w.ID); !errors.Is(err, walk.ErrTaken) {
		t.Errorf("a finished walk could be claimed: %v", err)
	}
}

func TestWalkStoppedByOperatorCommitsNothingMore(t *testing.T) {
	t.Parallel()
	g := newRig(t, 3000, 1000)
	w, _ := g.plan()
	g.vendor.before = func(_ context.Context, from int) error {
		if from == 2000 {
			g.exec(`update ops.walks set state = 'cancelled' where id = $1`, w.ID)
		}
		return nil
	}
	if err := g.runner.Run(t.Context(), w.ID); !errors.Is(err, walk.ErrLost) {
		t.Errorf("run ended with %v", err)
	}
	if got := g.walk(w.ID); got.State != "cancelled" || len(g.stored()) != got.Pages*1000 {
		t.Errorf("walk is %+v with %d rows stored", got, len(g.stored()))
	}
	if len(g.state().Covered) != 0 {
		t.Error("a cancelled walk claims coverage")
	}
}

func TestGuards(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows  int
		next  func(from int, cursor string) string
		setup func(*rig)
		says  string
	}{
		"own cursor": {rows: 1000, says: "its own cursor", next: func(from int, cursor string) string {
			if from == 300 {
				return "300"
			}
			return cursor
		}},
		"circle": {rows: 1000, says: "used before", next: func(from int, cursor string) string {
			if from == 500 {
				return "200"
			}
			return cursor
		}},
		"same rows under new cursors": {rows: 1000, says: "nothing new", next: func(from int, cursor string) string {
			if from == 500 {
				return "x500"
			}
			return cursor
		}, setup: func(g *rig) {
			// Every answer to 500, xx500, … names one more x.
			inner := g.stream.Fetch
			g.stream.Fetch = func(ctx context.Context, r walk.PageRequest, s walk.Sink) (walk.Page, error) {
				p, err := inner(ctx, r, s)
				if strings.HasSuffix(p.Next, "x500") {
					p.Next = r.Cursor[:len(r.Cursor)-3] + "x500"
				}
				return p, err
			}
		}},
		"endless empty pages": {rows: 1000, says: "nothing new", next: func(from int, cursor string) string {
			if cursor == "" {
				return fmt.Sprint(from + 100)
			}
			return cursor
		}},
		"ceiling": {rows: 1000, says: "ceiling", setup: func(g *rig) { g.stream.MaxPages = 7 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, c.rows, 100)
			g.vendor.next = c.next
			if c.setup != nil {
				c.setup(g)
			}
			w, _ := g.plan()
			err := g.runner.Run(t.Context(), w.ID)
			if !errors.Is(err, walk.ErrGuard) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("run ended with %v, want a guard that says %q", err, c.says)
			}
			got := g.walk(w.ID)
			if got.State != "failed" || got.Cursor != "" || !strings.Contains(got.Error, c.says) || got.Pages == 0 {
				t.Errorf("walk is %+v", got)
			}
			if len(g.stored()) == 0 {
				t.Error("the good pages are not stored")
			}
			s := g.state()
			if len(s.Covered) != 0 || s.Failures != 1 || !strings.Contains(s.LastError, c.says) {
				t.Errorf("stream is %+v", s)
			}
			if rest := s.RetryAt.Sub(start); rest <= 0 || rest > 5*time.Second {
				t.Errorf("the stream rests for %v", rest)
			}
			if _, p := g.plan(); p != store.PlannedLater {
				t.Errorf("the next walk is planned at once: %v", p)
			}
			g.pass(5 * time.Second)
			if next, p := g.plan(); p != store.PlannedNew || next.Cursor != "" {
				t.Errorf("after its rest: %v, %+v", p, next)
			}
		})
	}
}

func TestHonestListsPassTheGuards(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1000, 100)
	// Some empty pages that lead on, and one page that comes twice because rows moved.
	g.vendor.next = func(_ int, cursor string) string { return cursor }
	inner := g.stream.Fetch
	g.stream.Fetch = func(ctx context.Context, r walk.PageRequest, s walk.Sink) (walk.Page, error) {
		if strings.HasPrefix(r.Cursor, "x") {
			return walk.Page{Next: r.Cursor[1:], AskedAt: g.now()}, nil
		}
		p, err := inner(ctx, r, s)
		switch p.Next {
		case "300":
			p.Next = "xxxxx300"
		case "600":
			if r.Cursor == "500" {
				p.Next = "0500"
			}
		}
		return p, err
	}
	if w := g.sync(); w.State != "done" || len(g.stored()) != 1000 {
		t.Errorf("walk is %+v", w)
	}
}

func TestRefusedCursor(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 2} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			t.Parallel()
			g := newRig(t, 1000, 100)
			var left atomic.Int64
			left.Store(int64(times))
			g.vendor.before = func(_ context.Context, from int) error {
				if from == 700 && left.Add(-1) >= 0 {
					return refused("listActivities")
				}
				return nil
			}
			w, _ := g.plan()
			err := g.runner.Run(t.Context(), w.ID)
			got := g.walk(w.ID)
			if times == 1 {
				if err != nil || got.State != "done" || got.Restarts != 1 || len(g.stored()) != 1000 {
					t.Errorf("run ended with %v, walk is %+v", err, got)
				}
				return
			}
			if !errors.Is(err, walk.ErrGuard) || got.State != "failed" || got.Cursor != "" || len(g.state().Covered) != 0 {
				t.Errorf("run ended with %v, walk is %+v", err, got)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for kind, c := range map[vendorapi.Kind]struct {
		state string
		noted bool
	}{
		vendorapi.Transient: {"ready", true},
		vendorapi.Limited:   {"ready", false},
		vendorapi.Denied:    {"ready", true},
		vendorapi.Malformed: {"failed", true},
		vendorapi.Refused:   {"failed", true},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			g := newRig(t, 1000, 100)
			g.stream.CursorRefused = nil
			broken := true
			g.vendor.before = func(_ context.Context, from int) error {
				if from == 400 && broken {
					return vendorError(kind)
				}
				return nil
			}
			w, _ := g.plan()
			err := g.runner.Run(t.Context(), w.ID)
			if vendorapi.KindOf(err) != kind {
				t.Errorf("run ended with %v", err)
			}
			got, s := g.walk(w.ID), g.state()
			if got.State != c.state || got.Cursor != "400" || len(g.stored()) != 400 || len(s.Covered) != 0 {
				t.Errorf("walk is %+v, %d rows, covered %v", got, len(g.stored()), s.Covered)
			}
			if (s.LastError != "") != c.noted {
				t.Errorf("stream's last error is %q", s.LastError)
			}
			broken = false
			g.pass(time.Minute)
			open, err := g.db.OpenWalks(t.Context(), g.db.Pool, 10)
			if err != nil || len(open) == 1 != (c.state == "ready") {
				t.Errorf("open walks: %v, %v", open, err)
			}
			if next := g.sync(); (next.ID == w.ID) != (c.state == "ready") || next.State != "done" {
				t.Errorf("the next walk is %+v", next)
			}
			if s := g.state(); len(s.Covered) != 1 || s.LastError != "" || s.Failures != 0 {
				t.Errorf("stream is %+v after it recovered", s)
			}
			if len(g.stored()) != 1000 {
				t.Error("rows are missing")
			}
		})
	}
}
