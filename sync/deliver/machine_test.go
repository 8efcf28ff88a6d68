package deliver_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// world is a vendor that really takes things on, or not, whatever it answers; its search tells the truth, or nothing.
type world struct {
	mu     sync.Mutex
	rings  map[uuid.UUID]int
	answer func(ctx context.Context, w *world, v deliver.View) (pipeline.Outcome, error)
	broken bool // search is
}

func (w *world) accept(v deliver.View) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rings[v.Delivery.ID]++
}

// answers are the ways in which a request can end, with what the vendor really did.
func answers() map[string]func(context.Context, *world, deliver.View) (pipeline.Outcome, error) {
	plain := func(took bool, o pipeline.Outcome) func(context.Context, *world, deliver.View) (pipeline.Outcome, error) {
		return func(_ context.Context, w *world, v deliver.View) (pipeline.Outcome, error) {
			if took {
				w.accept(v)
			}
			return o, nil
		}
	}
	return map[string]func(context.Context, *world, deliver.View) (pipeline.Outcome, error){
		"confirmed":      plain(true, pipeline.Outcome{State: pipeline.OutcomeConfirmed}),
		"took, then cut": plain(true, pipeline.Outcome{State: pipeline.OutcomeUnknown}),
		"lost, then cut": plain(false, pipeline.Outcome{State: pipeline.OutcomeUnknown}),
		"never sent":     plain(false, pipeline.Outcome{State: pipeline.OutcomeNotSent}),
		"limited":        plain(false, pipeline.Outcome{State: pipeline.OutcomeLimited}),
		"denied":         plain(false, pipeline.Outcome{State: pipeline.OutcomeDenied}),
		"rejected":       plain(false, pipeline.Outcome{State: pipeline.OutcomeRejected, Reason: "no"}),
		"took, panic": func(_ context.Context, w *world, v deliver.View) (pipeline.Outcome, error) {
			w.accept(v)
			panic("boom")
		},
	}
}

// TestNobodyIsRungTwice drives daemons that die, a vendor that lies low, opt-outs and the clock at random. Whatever happens,
// no delivery that rings takes effect twice, and none once its phone has opted out.
func TestNobodyIsRungTwice(t *testing.T) {
	r := newRig(t)
	steps := []string{"after claim", "before sending", "after sending", "before outcome", "after outcome"}
	kinds := []string{"confirmed", "took, then cut", "lost, then cut", "never sent", "limited", "denied", "rejected", "took, panic"}
	rapid.Check(t, func(rt *rapid.T) {
		r.exec(`truncate ops.deliveries, ops.delivery_attempts, ops.suppressions, pipeline.leads, dialedin.leads`)
		r.clock.Set(noon)
		w := &world{rings: map[uuid.UUID]int{}, answer: answers()["confirmed"]}
		r.vendor.send = func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) { return w.answer(ctx, w, v) }
		r.vendor.search = func(_ context.Context, v deliver.View) (bool, string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.broken {
				return false, "", errDead
			}
			return w.rings[v.Delivery.ID] > 0, "", nil
		}
		var targets []target
		for range rapid.IntRange(1, 3).Draw(rt, "leads") {
			lead, phone := r.lead()
			for _, op := range []string{"insert_lead", "start_call"} {
				targets = append(targets, target{lead, phone, r.order(store.NewDelivery{
					Operation: op, LeadID: lead, Phone: phone, ExpiresAt: noon.Add(6 * time.Hour),
				})})
			}
		}
		optedOut := map[string]map[uuid.UUID]int{}
		check := func() {
			for _, at := range targets {
				if w.rings[at.id] > 1 {
					rt.Fatalf("delivery %s took effect %d times", at.id, w.rings[at.id])
				}
				if before, out := optedOut[at.phone]; out && w.rings[at.id] > before[at.id] {
					rt.Fatalf("delivery %s rang after the opt-out", at.id)
				}
			}
		}
		live := r.engine(deliver.Settings{})
		for range rapid.IntRange(5, 25).Draw(rt, "moves") {
			switch move := rapid.IntRange(0, 9).Draw(rt, "move"); {
			case move <= 2:
				w.answer = answers()[rapid.SampledFrom(kinds).Draw(rt, "answer")]
			case move == 3:
				w.broken = !w.broken
			case move <= 5:
				r.clock.Advance(time.Duration(rapid.IntRange(1, 1200).Draw(rt, "seconds")) * time.Second)
			case move == 6:
				ctx, cancel := context.WithCancel(context.Background())
				dying := r.engineOn(&mortal{DB: r.db, dieAt: rapid.SampledFrom(steps).Draw(rt, "dies"), cancel: cancel},
					deliver.Settings{SettleFor: time.Millisecond})
				_, _ = dying.Drain(ctx, "dialedin")
				cancel()
			case move == 7 && len(optedOut) == 0:
				at := rapid.SampledFrom(targets).Draw(rt, "opts out")
				r.exec(`insert into ops.suppressions values ($1, 'phone', '', $2, 'convoso', 'dnc', 'o', 'DNC', now())`, r.org, at.phone)
				before := map[uuid.UUID]int{}
				for id, n := range w.rings {
					before[id] = n
				}
				optedOut[at.phone] = before
			default:
				if _, err := live.Sweep(context.Background()); err != nil {
					rt.Fatal(err)
				}
				r.drain(live)
			}
			check()
		}
		// In the end nothing is left that moves by itself.
		w.answer, w.broken = answers()["confirmed"], false
		open := func() int {
			return r.count(`select count(*) from ops.deliveries where state in ('ready', 'sending') or state = 'unknown' and hold = 'webhook'
				and not_before < $1`, r.clock.Now())
		}
		// The server may hold the rows of a daemon that died for a moment longer, and nobody waits for them: rounds go on then.
		giveUp := time.Now().Add(time.Minute)
		for round := 0; round < 16 || open() > 0 && time.Now().Before(giveUp); round++ {
			r.clock.Advance(31 * time.Minute)
			if _, err := live.Sweep(context.Background()); err != nil {
				rt.Fatal(err)
			}
			r.drain(live)
			check()
		}
		if n := open(); n != 0 {
			rt.Fatalf("%d deliveries are still open", n)
		}
	})
}
