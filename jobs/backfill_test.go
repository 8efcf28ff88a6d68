package jobs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// windows is a backfillStore that hands out windows until there are none left.
type windows struct {
	left    int
	settled int
	err     error
}

// NextWindow implements backfillStore.
func (w *windows) NextWindow(context.Context, uuid.UUID) (uuid.UUID, bool, error) {
	if w.left == 0 || w.err != nil {
		return uuid.Nil, false, w.err
	}
	w.left--
	return uuid.New(), true, nil
}

// SettleBackfill implements backfillStore.
func (w *windows) SettleBackfill(context.Context, uuid.UUID) error { w.settled++; return nil }

func workBackfill(ctx context.Context, store *windows, run runFunc) error {
	w := &backfillWorker{store: store, runner: run, log: quiet()}
	return w.Work(ctx, &river.Job[BackfillArgs]{Args: BackfillArgs{BackfillID: uuid.New()}})
}

// A worker goes from window to window; what one of them meets keeps it from the next only when the next would meet it too.
func TestBackfillWorkerGoesOn(t *testing.T) {
	t.Parallel()
	of := func(kind vendorapi.Kind) error {
		return fmt.Errorf("walk: %w", &vendorapi.Error{Vendor: "ipscape", Kind: kind, After: 7 * time.Second})
	}
	for _, c := range []struct {
		name string
		err  error
		// ran is how many of five windows are run when the second one meets the error.
		ran  int
		want string
	}{
		{"none", nil, 5, "done"},
		{"taken", walk.ErrTaken, 5, "done"},
		{"lost", walk.ErrLost, 5, "done"},
		{"guard", fmt.Errorf("page 3: %w", walk.ErrGuard), 5, "done"},
		{"refused", of(vendorapi.Refused), 5, "done"},
		{"malformed", of(vendorapi.Malformed), 5, "done"},
		{"transient", of(vendorapi.Transient), 2, "snooze 5s"},
		{"limited", of(vendorapi.Limited), 2, "retry"}, // the middleware puts it off
		{"denied", of(vendorapi.Denied), 2, "retry"},
		{"database", errors.New("no connection"), 2, "snooze 5s"},
	} {
		store, ran := &windows{left: 5}, 0
		got := workBackfill(t.Context(), store, func(context.Context, uuid.UUID) error {
			if ran++; ran == 2 {
				return c.err
			}
			return nil
		})
		if said(got) != c.want || ran != c.ran || (store.settled == 1) != (c.want == "done") {
			t.Errorf("%s: %s after %d windows, settled %d times; want %s after %d", c.name, said(got), ran, store.settled, c.want, c.ran)
		}
	}
	away := errors.New("the database is away")
	if got := workBackfill(t.Context(), &windows{err: away}, nil); !errors.Is(got, away) {
		t.Errorf("no window can be looked for: %v", got)
	}
	misses := 0
	got := workBackfill(t.Context(), &windows{left: 1000}, func(context.Context, uuid.UUID) error { misses++; return walk.ErrTaken })
	if said(got) != "done" || misses != windowMissesMax {
		t.Errorf("%d windows were missed, then %s", misses, said(got))
	}
}

func TestBackfillWorkerTurnAndStop(t *testing.T) {
	t.Parallel()
	slow := func(ctx context.Context, _ uuid.UUID) error {
		select {
		case <-time.After(40 * time.Second):
			return nil
		case <-ctx.Done():
			return fmt.Errorf("asking for a page: %w", ctx.Err())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if got := said(workBackfill(t.Context(), &windows{left: 100}, slow)); got != "snooze 0s" || time.Since(began) != walkTurn {
			t.Errorf("after a turn of %s: %s", time.Since(began), got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), walkTurn/2)
		defer cancel()
		if got := workBackfill(ctx, &windows{left: 100}, slow); said(got) == "done" || ctx.Err() == nil {
			t.Errorf("after a stop: %v", got)
		}
	})
}

func TestPlanBackfill(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 30, 15, 500, time.UTC)
	day := func(d int) time.Time { return time.Date(2026, 2, d, 0, 0, 0, 0, time.UTC) }
	good := store.BackfillOrder{Source: "ipscape", Streams: []string{"leads", "users", "leads"}, From: day(1), To: day(11)}
	plan, err := PlanBackfill(good, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Streams) != 2 || len(plan.Windows()) != 10 || plan.Count() != 11 || plan.Window != 24*time.Hour {
		t.Errorf("planned %+v", plan)
	}
	all, err := PlanBackfill(store.BackfillOrder{Source: "ipscape", From: day(1), To: now.Add(time.Hour), Window: time.Hour}, now)
	if err != nil || len(all.Streams) != 6 || !all.Range.To.Equal(now.Truncate(time.Second)) {
		t.Errorf("planned %+v, %v; want every stream that is read, up to now", all, err)
	}
	for name, c := range map[string]struct {
		change func(*store.BackfillOrder)
		want   []string
	}{
		"source":          {func(o *store.BackfillOrder) { o.Source = "lendworks" }, []string{"source"}},
		"stream":          {func(o *store.BackfillOrder) { o.Streams = []string{"leads", "calls"} }, []string{"streams"}},
		"no from":         {func(o *store.BackfillOrder) { o.From = time.Time{} }, []string{"from"}},
		"from to come":    {func(o *store.BackfillOrder) { o.From, o.To = now.Add(time.Hour), time.Time{} }, []string{"from"}},
		"from is to":      {func(o *store.BackfillOrder) { o.To = o.From }, []string{"to"}},
		"from after to":   {func(o *store.BackfillOrder) { o.To = o.From.Add(-time.Hour) }, []string{"to"}},
		"from long ago":   {func(o *store.BackfillOrder) { o.From = time.Date(202, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"from"}},
		"window negative": {func(o *store.BackfillOrder) { o.Window = -time.Hour }, []string{"window"}},
		"window too fine": {func(o *store.BackfillOrder) { o.Window = 1500 * time.Millisecond }, []string{"window"}},
		"too many":        {func(o *store.BackfillOrder) { o.Window = time.Second }, []string{"window"}},
		"filter unknown":  {func(o *store.BackfillOrder) { o.Filters = map[string]string{"campaignId": "12"} }, []string{"filters"}},
		"filter empty": {func(o *store.BackfillOrder) {
			o.Streams, o.Filters = []string{"leads"}, map[string]string{"customerKey": ""}
		}, []string{"filters"}},
		"phone": {func(o *store.BackfillOrder) {
			o.Streams, o.Filters = []string{"leads"}, map[string]string{"phone1": "0400 111 222", "listId": "x"}
		}, []string{"filters", "filters"}},
		"everything": {func(o *store.BackfillOrder) {
			*o = store.BackfillOrder{Source: "x", Window: -1}
		}, []string{"source", "from", "window"}},
	} {
		order := good
		c.change(&order)
		_, err := PlanBackfill(order, now)
		var invalid *store.InvalidOrder
		if !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var fields []string
		for _, f := range invalid.Faults {
			fields = append(fields, f.Field)
		}
		if diff := cmp.Diff(c.want, fields); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s%v", name, diff, err)
		}
	}
	filtered := store.BackfillOrder{Source: "ipscape", Streams: []string{"leads"}, From: day(1), Filters: map[string]string{
		"campaignId": "12", "listId": "120", "statusCode": "3", "customerKey": "k", "phone1": "+61400111222",
	}}
	if _, err := PlanBackfill(filtered, now); err != nil {
		t.Errorf("the filters of leads: %v", err)
	}
	if plan, err := PlanBackfill(store.BackfillOrder{Source: "ipscape", Streams: []string{"users"}, From: day(1), Filters: map[string]string{"accountActive": "true"}}, now); err != nil || plan.Count() != 1 {
		t.Errorf("a snapshot stream: %+v, %v", plan, err)
	}
}

// What operators may name is what daemons read.
func TestCatalogIsTheStreams(t *testing.T) {
	t.Parallel()
	catalog, _ := Catalog("ipscape")
	var read []string
	for _, e := range IPSCAPE(IPSCAPEConfig{}) {
		read = append(read, e.Stream.Name)
	}
	chosen, unknown := Chosen(catalog, []string{"users", "calls", "leads", "users"})
	if len(chosen) != 2 || chosen[0].Name != "leads" || chosen[1].Name != "users" || !cmp.Equal(unknown, []string{"calls"}) {
		t.Errorf("chosen %+v, unknown %q", chosen, unknown)
	}
	all, _ := Chosen(catalog, nil)
	if diff := cmp.Diff([]string{"activities", "leads", "lead_lists", "campaigns", "users", "dial_attempts"}, read); diff != "" || len(all) != len(read) {
		t.Errorf("streams (-want +got):\n%s%d in the catalogue", diff, len(all))
	}
	if _, ok := Catalog("dialedin"); ok {
		t.Error("a source without streams has a catalogue")
	}
}
