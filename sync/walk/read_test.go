package walk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/walk"
)

func TestBadItemsGoToQuarantineAndThePageGoesOn(t *testing.T) {
	t.Parallel()
	g := newRig(t, 50, 20)
	g.vendor.rows[3].V = "panic"
	g.vendor.item = func(r row, raw []byte) ([]byte, error) {
		switch r.ID {
		case 10:
			return []byte(`{"id":`), nil
		case 20:
			return raw[:5], errors.New("item is too large")
		case 30:
			return []byte(`{"v":"no id"}`), nil
		case 40: // Map lets it pass, and Postgres does not
			return []byte(`{"id":40,"created":"2026-03-02T08:30:00Z","v":"\u0000"}`), nil
		}
		return raw, nil
	}
	w := g.sync()
	if w.State != "done" || w.Quarantined != 5 || w.Rows != 46 || len(g.stored()) != 45 {
		t.Errorf("walk is %+v with %d rows", w, len(g.stored()))
	}
	if len(g.state().Covered) != 1 {
		t.Error("quarantined items block the coverage")
	}
	g.pass(time.Minute)
	g.sync() // does not reach back to them
	list, err := g.db.ListQuarantine(t.Context(), g.db.Pool, store.QuarantineFilter{Org: g.key.Org})
	if err != nil || len(list) != 5 {
		t.Fatalf("%d in quarantine, %v", len(list), err)
	}
	for _, q := range list {
		if q.Seen != 1 || q.State != "open" || q.Error == "" || len(q.Body) == 0 {
			t.Errorf("quarantined: %+v", q)
		}
		if strings.Contains(q.Error, `\u0000`) || strings.Contains(q.Error, "poison") {
			t.Errorf("error quotes the payload: %s", q.Error)
		}
	}
	if log := g.log.String(); strings.Contains(log, "poison") || !strings.Contains(log, "mapItem") {
		t.Errorf("the log quotes what was thrown, or lacks the way to it: %s", log)
	}
	// Read once more they are counted, not multiplied; read well they are settled.
	g.order(store.NewWalk{Kind: "rescan", Lane: "reread", Window: &store.TimeRange{From: start.Add(-2 * time.Hour), To: start}})
	run := func() {
		t.Helper()
		open, err := g.db.OpenWalks(t.Context(), g.db.Pool, 1)
		if err != nil || len(open) != 1 {
			t.Fatalf("open walks: %v, %v", open, err)
		}
		if err := g.runner.Run(t.Context(), open[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n, err := g.db.CountQuarantine(t.Context(), g.db.Pool, store.QuarantineFilter{State: "open"}); err != nil || n != 5 {
		t.Errorf("%d open after a re-read, %v", n, err)
	}
	g.vendor.item = nil
	g.order(store.NewWalk{Kind: "rescan", Lane: "reread", Window: &store.TimeRange{From: start.Add(-2 * time.Hour), To: start}})
	run()
	if n, err := g.db.CountQuarantine(t.Context(), g.db.Pool, store.QuarantineFilter{State: "fixed"}); err != nil || n != 1 {
		// Only the one that Postgres refused told its id.
		t.Errorf("%d fixed, %v", n, err)
	}
}

func TestVendorThatIgnoresTheFilter(t *testing.T) {
	t.Parallel()
	g := newRig(t, 500, 100)
	g.vendor.ignoresFilter = true
	for i := range g.vendor.rows {
		g.vendor.rows[i].Created = start.AddDate(-1, 0, 0)
	}
	g.sync()
	if diff := cmp.Diff(g.truth(), g.stored()); diff != "" {
		t.Errorf("rows outside the window are not stored (-truth +stored):\n%s", diff)
	}
	if n := strings.Count(g.log.String(), "ignore the time filter"); n != 1 {
		t.Errorf("warned %d times", n)
	}
}

// A vendor whose clock is behind ours has not yet dated the end of the window.
func TestVendorClockBehind(t *testing.T) {
	t.Parallel()
	for _, behind := range []time.Duration{10 * time.Minute, 48 * time.Hour} {
		t.Run(behind.String(), func(t *testing.T) {
			t.Parallel()
			g := newRig(t, 0, 100)
			inner := g.vendor.fetch
			g.stream.Fetch = func(ctx context.Context, r walk.PageRequest, s walk.Sink) (walk.Page, error) {
				p, err := inner(ctx, r, s)
				p.VendorTime = g.now().Add(-behind)
				return p, err
			}
			vendorNow := func() time.Time { return g.now().Add(-behind) }
			g.sync()
			for i := range 30 {
				// A row is dated by the vendor's clock the moment it shows.
				g.vendor.mu.Lock()
				g.vendor.rows = append(g.vendor.rows, row{ID: i + 1, Created: vendorNow(), V: fmt.Sprint("v", i)})
				g.vendor.mu.Unlock()
				g.pass(time.Minute)
				if behind < time.Hour {
					g.sync()
				}
				for _, r := range g.state().Covered {
					if r.To.After(vendorNow().Add(-time.Minute)) {
						t.Fatalf("%v claimed, the vendor is at %v", r.To, vendorNow())
					}
				}
			}
			if behind > time.Hour {
				return // nothing of the first window could be claimed, which the loop has checked
			}
			g.pass(2 * time.Minute)
			g.sync()
			if diff := cmp.Diff(g.truth(), g.stored()); diff != "" {
				t.Errorf("tables (-truth +stored):\n%s", diff)
			}
		})
	}
}

// Rows that show late, and rows that come and change while pages are read, are all caught by settle, overlap and look-back.
func TestLateRows(t *testing.T) {
	t.Parallel()
	g := newRig(t, 0, 3)
	rng := rand.New(rand.NewPCG(3, 14))
	id := 0
	add := func() {
		g.vendor.mu.Lock()
		defer g.vendor.mu.Unlock()
		id++
		at := g.clock
		g.vendor.rows = append(g.vendor.rows, row{})
		i := rng.IntN(len(g.vendor.rows)) // the order of the list means nothing
		copy(g.vendor.rows[i+1:], g.vendor.rows[i:])
		g.vendor.rows[i] = row{ID: id, Created: at, V: fmt.Sprint("v", id), visible: at.Add(time.Duration(rng.IntN(10)) * time.Minute)}
	}
	g.vendor.before = func(context.Context, int) error {
		if rng.IntN(3) == 0 {
			g.mu.Lock()
			defer g.mu.Unlock()
			add()
		}
		return nil
	}
	for range 40 {
		for range rng.IntN(4) {
			g.mu.Lock()
			add()
			g.mu.Unlock()
		}
		g.pass(time.Minute)
		g.sync()
	}
	g.vendor.before = nil
	g.pass(12 * time.Minute)
	g.sync()
	if diff := cmp.Diff(g.truth(), g.stored()); diff != "" {
		t.Errorf("%d rows; tables (-truth +stored):\n%s", id, diff)
	}
	if got := g.state().Covered; len(got) != 1 {
		t.Errorf("coverage is %v", got)
	}
}

// An unchanged row is written only while somebody else reads the stream.
func TestBumpOnlyBesideAnotherReader(t *testing.T) {
	t.Parallel()
	g := newRig(t, 5, 10)
	// Young enough that the next tick reads them again.
	for i := range g.vendor.rows {
		g.vendor.rows[i].Created = start.Add(-5 * time.Minute)
	}
	g.sync()
	newest := func() (at time.Time) {
		if err := g.db.Pool.QueryRow(t.Context(), `select max(observed_at) from ops.records where org_id = $1`, g.key.Org).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	g.pass(time.Minute)
	g.sync()
	if got := newest(); !got.Equal(start) {
		t.Errorf("alone, the walk raised observed_at to %v", got)
	}
	other := g.order(store.NewWalk{Kind: "backfill", Lane: "backfill", Window: &store.TimeRange{From: start.AddDate(-1, 0, 0), To: start}})
	g.exec(`update ops.walks set state = 'running' where id = $1`, other.ID)
	g.sync()
	if got := newest(); !got.Equal(start.Add(time.Minute)) {
		t.Errorf("beside another reader observed_at is %v, want %v", got, start.Add(time.Minute))
	}
}

// The next page is asked for as soon as its cursor is known, while the page before is still coming in.
func TestNextPageIsAskedForEarly(t *testing.T) {
	t.Parallel()
	g := newRig(t, 30, 10)
	g.vendor.early = true
	second := make(chan struct{})
	g.vendor.before = func(_ context.Context, from int) error {
		if from == 10 {
			close(second)
		}
		return nil
	}
	g.vendor.item = func(r row, raw []byte) ([]byte, error) {
		if r.ID == 1 {
			select {
			case <-second:
			case <-time.After(time.Minute):
				t.Error("the second page was not asked for while the first came in")
			}
		}
		return raw, nil
	}
	if w := g.sync(); w.Rows != 30 {
		t.Errorf("walk is %+v", w)
	}
}

// What has come is committed after a quarter of a second, though the list goes on slowly.
func TestSlowListIsCommittedOnTheWay(t *testing.T) {
	t.Parallel()
	g := newRig(t, 20, 10)
	g.vendor.before = func(ctx context.Context, from int) error {
		for from == 10 && len(g.stored()) < 10 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, _ := g.plan()
	if err := g.runner.Run(ctx, w.ID); err != nil {
		t.Fatalf("the first page was not committed while the second was slow: %v", err)
	}
}

func TestHugePageIsCommittedInParts(t *testing.T) {
	t.Parallel()
	g := newRig(t, 12_000, 20_000)
	for i := range g.vendor.rows {
		g.vendor.rows[i].Created = start.Add(-time.Hour)
	}
	var commits, most atomic.Int64
	g.store.Enqueue = func(_ context.Context, _ pgx.Tx, n int) error {
		commits.Add(1)
		most.Store(max(most.Load(), int64(n)))
		return nil
	}
	w := g.sync()
	if w.Pages != 1 || w.Rows != 12_000 || len(g.stored()) != 12_000 {
		t.Errorf("walk is %+v", w)
	}
	if commits.Load() != 3 || most.Load() != 5000 {
		t.Errorf("%d commits of at most %d rows", commits.Load(), most.Load())
	}
}

func TestOnlyWholeReadsOfAWindowClaimCoverage(t *testing.T) {
	t.Parallel()
	g := newRig(t, 30, 10)
	window := &store.TimeRange{From: start.Add(-3 * time.Hour), To: start.Add(-time.Hour)}
	for _, n := range []store.NewWalk{
		{Kind: "backfill", Lane: "backfill", Window: window, Filters: map[string]string{"campaignId": "5"}},
		{Kind: "sweep", Lane: "reread"},
	} {
		w := g.order(n)
		if err := g.runner.Run(t.Context(), w.ID); err != nil {
			t.Fatal(err)
		}
		// A backfill says nothing of how its stream fares now.
		if s := g.state(); len(s.Covered) != 0 || s.LastSuccessAt.IsZero() != (n.Kind == "backfill") {
			t.Errorf("a %s walk left %+v", n.Kind, s)
		}
	}
	w := g.order(store.NewWalk{Kind: "backfill", Lane: "backfill", Window: window})
	if err := g.runner.Run(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	if s := g.state(); len(s.Covered) != 1 || !s.Origin.IsZero() {
		t.Errorf("a backfill left %+v; only a live walk sets the origin", s)
	}
	g.sync()
	if s := g.state(); !s.Origin.Equal(start.Add(-24 * time.Hour)) {
		t.Errorf("the first live walk began at %v", s.Origin)
	}
}
