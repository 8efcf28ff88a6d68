package gate_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/jobs/gate"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// account is one vendor account, of which each daemon has a gate.
type account struct {
	t   *testing.T
	db  *store.DB
	cfg gate.Config
}

func newAccount(t *testing.T, rate float64) *account {
	t.Helper()
	db := &store.DB{Pool: storetest.DB(t), Log: slog.New(slog.DiscardHandler), Clock: time.Now}
	return &account{t: t, db: db, cfg: gate.Config{
		Key: store.BudgetKey{Org: uuid.New(), Account: "default", Source: pipeline.SourceIPSCAPE}, Rate: rate,
		CredentialHash: []byte("one"), Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}}
}

func (a *account) gate() *gate.Gate {
	a.t.Helper()
	g, err := gate.New(a.t.Context(), a.db, a.cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	return g
}

func (a *account) exec(sql string) {
	a.t.Helper()
	if _, err := a.db.Pool.Exec(a.t.Context(), sql, a.cfg.Key.Org); err != nil {
		a.t.Fatal(err)
	}
}

// count asks as often as it can until ctx ends.
func count(ctx context.Context, g vendorapi.Gate, lane vendorapi.Lane) (n int) {
	for g.Wait(ctx, lane) == nil && ctx.Err() == nil {
		n++
	}
	return n
}

func TestTwoGatesKeepOneRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{4, 40} {
		a := newAccount(t, rate)
		gates := []*gate.Gate{a.gate(), a.gate()}
		const lasting = 3 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var total atomic.Int64
		var wg sync.WaitGroup
		began := time.Now()
		// A slow machine may take longer for as many as it has to be.
		least := rate * lasting.Seconds() * 0.6
		for i := range 6 {
			wg.Go(func() {
				for gates[i%2].Wait(ctx, vendorapi.Live) == nil {
					if total.Add(1) >= int64(least) && time.Since(began) >= lasting {
						cancel()
					}
				}
			})
		}
		wg.Wait()
		took := time.Since(began).Seconds()
		cancel()
		// The bucket is full at the start, with a second's worth.
		most := rate*(took+1) + 1
		if got := float64(total.Load()); got > most || got < least {
			t.Errorf("at %v a second: %v requests in %.1f s, want %.0f to %.0f", rate, got, took, least, most)
		}
	}
}

func TestPauseHoldsEveryDaemonAndLane(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 50} {
		a := newAccount(t, rate)
		one, other := a.gate(), a.gate()
		ctx := t.Context()
		for _, lane := range []vendorapi.Lane{vendorapi.Live, vendorapi.Backfill} {
			if err := other.Wait(ctx, lane); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		one.Limited(ctx, time.Second)
		if err := one.Wait(ctx, vendorapi.Live); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 900*time.Millisecond {
			t.Errorf("rate %v: the gate that was told waited %v", rate, took)
		}
		one.Limited(ctx, time.Hour)
		// What the other daemon knows may be a tenth of a second old.
		time.Sleep(150 * time.Millisecond)
		for _, g := range []*gate.Gate{one, other} {
			var verr *vendorapi.Error
			err := g.Wait(ctx, vendorapi.Backfill)
			if !errors.As(err, &verr) || verr.Kind != vendorapi.Limited || verr.After < 59*time.Minute || verr.After > time.Hour {
				t.Errorf("rate %v: a long pause gives %v", rate, err)
			}
		}
		one.Limited(ctx, time.Second) // does not shorten it
		if vendorapi.KindOf(one.Wait(ctx, vendorapi.Live)) != vendorapi.Limited {
			t.Error("a short pause has shortened a long one")
		}
	}
}

func TestDeniedLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 50} {
		a := newAccount(t, rate)
		one, other := a.gate(), a.gate()
		ctx := t.Context()
		one.Denied(ctx)
		refused := func(g *gate.Gate) bool {
			var verr *vendorapi.Error
			return errors.As(g.Wait(ctx, vendorapi.Live), &verr) && verr.Kind == vendorapi.Denied && verr.After > 9*time.Minute
		}
		if !refused(one) || !refused(other) {
			t.Errorf("rate %v: a denied account lets requests through", rate)
		}
		a.exec(`update ops.budgets set probe_at = clock_timestamp() where org_id = $1`)
		var passed atomic.Int64
		var wg sync.WaitGroup
		for _, g := range []*gate.Gate{one, other, one, other} {
			wg.Go(func() {
				if g.Wait(ctx, vendorapi.Reread) == nil {
					passed.Add(1)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 1 {
			t.Errorf("rate %v: %d probes went through, want one", rate, passed.Load())
		}
		// The same credentials stay denied over a restart; others clear the mark, and so does a request that succeeds.
		if !refused(a.gate()) {
			t.Error("a restart cleared the mark")
		}
		one.Accepted(ctx, time.Now().Add(-time.Minute))
		if !refused(one) || !refused(other) {
			t.Errorf("rate %v: the answer to a request sent before the denial cleared the mark", rate)
		}
		one.Accepted(ctx, time.Now())
		if err := other.Wait(ctx, vendorapi.Live); err != nil {
			t.Errorf("after an accepted request: %v", err)
		}
		one.Denied(ctx)
		a.cfg.CredentialHash = []byte("two")
		if err := a.gate().Wait(ctx, vendorapi.Live); err != nil {
			t.Errorf("with new credentials: %v", err)
		}
	}
}

func TestLanes(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 20)
	gates := []*gate.Gate{a.gate(), a.gate()}
	run := func(lasting time.Duration, lanes ...vendorapi.Lane) map[vendorapi.Lane]float64 {
		ctx, cancel := context.WithTimeout(t.Context(), lasting)
		defer cancel()
		a.exec(`update ops.budgets set tokens = 0, refilled_at = clock_timestamp() where org_id = $1`)
		got := map[vendorapi.Lane]float64{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i, lane := range lanes {
			for range 2 {
				wg.Go(func() {
					n := count(ctx, gates[i%2], lane)
					mu.Lock()
					defer mu.Unlock()
					got[lane] += float64(n)
				})
			}
		}
		wg.Wait()
		return got
	}
	// A lane that gets no time from a busy machine asks for nothing, and others get its requests: each is measured until a
	// measurement was undisturbed. Lanes that are shared out wrongly are so every time.
	measured := func(what string, lasting time.Duration, fits func(got map[vendorapi.Lane]float64) bool, lanes ...vendorapi.Lane) {
		var all []map[vendorapi.Lane]float64
		for range 5 {
			time.Sleep(1500 * time.Millisecond) // until the wait of better lanes is forgotten
			got := run(lasting, lanes...)
			if fits(got) {
				return
			}
			all = append(all, got)
		}
		t.Errorf("%s: %v", what, all)
	}
	measured("live work does not come first", 3*time.Second, func(got map[vendorapi.Lane]float64) bool {
		return got[vendorapi.Live] >= 5*got[vendorapi.Backfill] && got[vendorapi.Live] > 0
	}, vendorapi.Backfill, vendorapi.Live)
	measured("backfill's share beside re-reads is not a fifth and what is left over", 10*time.Second, func(got map[vendorapi.Lane]float64) bool {
		share := got[vendorapi.Backfill] / (got[vendorapi.Backfill] + got[vendorapi.Reread])
		return share >= 0.15 && share <= 0.45
	}, vendorapi.Reread, vendorapi.Backfill)
	measured("alone, backfill does not get 36 of 60", 3*time.Second, func(got map[vendorapi.Lane]float64) bool {
		return got[vendorapi.Backfill] >= 36
	}, vendorapi.Backfill)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 0.1)
	g := a.gate()
	if err := g.Wait(t.Context(), vendorapi.Live); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := g.Wait(ctx, vendorapi.Live); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestRecheckSeesWhatCameSince: a turn that was taken before a pause or a denial is worth nothing after it, on any daemon, but for
// the one request that tests the credentials.
func TestRecheckSeesWhatCameSince(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 50} {
		a := newAccount(t, rate)
		one, other := a.gate(), a.gate()
		ctx := t.Context()
		for _, g := range []*gate.Gate{one, other} {
			if err := errors.Join(g.Wait(ctx, vendorapi.Live), g.Recheck(ctx)); err != nil {
				t.Fatal(err)
			}
		}
		one.Limited(ctx, time.Hour)
		time.Sleep(150 * time.Millisecond) // what the other daemon knows may be a tenth of a second old
		for _, g := range []*gate.Gate{one, other} {
			if err := g.Recheck(ctx); vendorapi.KindOf(err) != vendorapi.Limited {
				t.Errorf("rate %v: after a pause %v", rate, err)
			}
		}
		a.exec(`update ops.budgets set paused_until = null where org_id = $1`)
		one.Denied(ctx)
		for _, g := range []*gate.Gate{one, other} {
			if err := g.Recheck(ctx); vendorapi.KindOf(err) != vendorapi.Denied {
				t.Errorf("rate %v: after a denial %v", rate, err)
			}
		}
		a.exec(`update ops.budgets set probe_at = now() where org_id = $1`)
		if err := errors.Join(other.Wait(ctx, vendorapi.Live), other.Recheck(ctx)); err != nil {
			t.Errorf("rate %v: the request that tests the credentials: %v", rate, err)
		}
		if err := one.Recheck(ctx); vendorapi.KindOf(err) != vendorapi.Denied {
			t.Errorf("rate %v: beside that one %v", rate, err)
		}
	}
}

// TestProbeIsOneRequest: the request that tests refused credentials, made without a turn and without an answer that tells anything,
// leaves nothing over for one whose turn was taken before the refusal; nor does one that was no test any more when it left.
func TestProbeIsOneRequest(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 50} {
		a := newAccount(t, rate)
		one, other := a.gate(), a.gate()
		ctx := t.Context()
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
		}))
		t.Cleanup(server.Close)
		base, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		client := vendorapi.Client{
			Vendor: "ipscape", Base: base, HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler), Timeout: 5 * time.Second, Gate: one,
		}
		push := vendorapi.Request{Op: "push", Method: http.MethodPost, Path: "/", Push: true, Lane: vendorapi.Live}
		turn, err := client.Turn(ctx, vendorapi.Live)
		if err != nil {
			t.Fatal(err)
		}
		one.Denied(ctx)
		a.exec(`update ops.budgets set probe_at = now() where org_id = $1`)
		if _, err := client.Do(ctx, push); vendorapi.KindOf(err) != vendorapi.Unknown {
			t.Errorf("rate %v: the probe: %v", rate, err)
		}
		if _, err := client.Do(turn, push); vendorapi.KindOf(err) != vendorapi.Denied || asked.Load() != 1 {
			t.Errorf("rate %v: after the probe %v, and %d requests were made, want the probe only", rate, err, asked.Load())
		}

		a.exec(`update ops.budgets set probe_at = now() where org_id = $1`)
		if err := one.Wait(ctx, vendorapi.Live); err != nil {
			t.Errorf("rate %v: the next probe: %v", rate, err)
		}
		a.exec(`update ops.budgets set denied_at = null, probe_at = null where org_id = $1`)
		if err := one.Recheck(ctx); err != nil {
			t.Errorf("rate %v: once somebody else was accepted: %v", rate, err)
		}
		other.Denied(ctx)
		time.Sleep(150 * time.Millisecond) // what a daemon knows may be a tenth of a second old
		if err := one.Recheck(ctx); vendorapi.KindOf(err) != vendorapi.Denied {
			t.Errorf("rate %v: denied again: %v", rate, err)
		}
	}
}
