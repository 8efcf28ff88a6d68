package deliver_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// faulty is a vendor that stores what it is asked for and often does not say so.
type faulty struct {
	mu     sync.Mutex
	rng    *rand.Rand
	stored map[uuid.UUID]int
}

// answer takes the effect, and confirms it half of the time. The other half is no answer that tells anything: 30 of 100 hang, 10
// are cut, 10 fail after storing, which are all one to the engine.
func (f *faulty) answer(_ context.Context, v deliver.View) (pipeline.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored[v.Delivery.LeadID]++
	if f.rng.IntN(100) < 50 {
		return pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Unknown, Sent: true, Err: errors.New("hung, cut or failed after the body")}
	}
	return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
}

func (f *faulty) find(_ context.Context, v deliver.View) (bool, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stored[v.Delivery.LeadID] > 0, "x", nil
}

// TestFaultyVendorsHoldEachLeadOnce pushes many leads to a vendor that can be asked and to one that cannot, both of which answer
// half of their requests with nothing, while ten daemons die at their commits and one is stopped gently: each lead is there
// exactly once, none is rung twice, and what cannot be known is unknown and listed. 2,000 leads take minutes on a small
// machine; the ordinary run has fewer.
func TestFaultyVendorsHoldEachLeadOnce(t *testing.T) {
	r := newRig(t)
	leads := 200
	if testing.Short() {
		leads = 60
	}
	convolo := newVendor("convolo")
	asked := &faulty{rng: rand.New(rand.NewPCG(1, 2)), stored: map[uuid.UUID]int{}}
	mute := &faulty{rng: rand.New(rand.NewPCG(3, 4)), stored: map[uuid.UUID]int{}}
	r.vendor.send, r.vendor.search, convolo.send = asked.answer, asked.find, mute.answer
	ids := make([]uuid.UUID, leads)
	for i := range ids {
		lead, phone := r.lead()
		ids[i] = lead
		r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
		r.order(store.NewDelivery{Operation: "start_call", LeadID: lead, Phone: phone, Destination: convolo.name})
	}
	engine := func(s deliver.Store) *deliver.Engine {
		e, err := deliver.New(deliver.Config{
			Store: s, Destinations: []deliver.Destination{r.vendor, convolo}, Hours: always, Owner: uuid.New(), Now: r.clock.Now, Log: quiet(),
			Settings: deliver.Settings{Workers: 4, SettleFor: 100 * time.Millisecond, PhoneQuiet: -1, DialQuiet: -1, UnknownQuiet: -1},
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	steps := []string{"after claim", "before sending", "after sending", "before outcome", "after outcome"}
	for i := range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		dying := engine(&mortal{DB: r.db, dieAt: steps[i%len(steps)], cancel: cancel})
		_, _ = dying.Drain(ctx, []string{r.vendor.name, convolo.name}[i%2])
		cancel()
		r.clock.Advance(30 * time.Second) // its leases run out
	}
	stopped := engine(r.db)
	var once sync.Once
	answer := convolo.send
	convolo.send = func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
		once.Do(stopped.Quiesce)
		return answer(ctx, v)
	}
	if _, err := stopped.Drain(context.Background(), convolo.name); err != nil {
		t.Fatal(err)
	}
	live := engine(r.db)
	for round := 0; round < 40; round++ {
		if _, err := live.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, name := range live.Destinations() {
			if _, err := live.Drain(context.Background(), name); err != nil {
				t.Fatal(err)
			}
		}
		if r.count(`select count(*) from ops.deliveries where state in ('ready', 'sending') or state = 'unknown' and hold = 'search'`) == 0 {
			break
		}
		r.clock.Advance(time.Minute)
	}
	for _, lead := range ids {
		if n := asked.stored[lead]; n != 1 {
			t.Errorf("lead %s is there %d times", lead, n)
		}
		if n := mute.stored[lead]; n > 1 {
			t.Errorf("lead %s was rung %d times", lead, n)
		}
	}
	if n := r.count(`select count(*) from ops.deliveries where destination = 'dialedin' and state <> 'confirmed'`); n != 0 {
		t.Errorf("%d inserts are not confirmed", n)
	}
	if n := r.count(`select count(*) from ops.deliveries where destination = 'convolo' and state not in ('confirmed', 'unknown')`); n != 0 {
		t.Errorf("%d calls are neither confirmed nor listed as unknown", n)
	}
	unknown := r.count(`select count(*) from ops.deliveries where destination = 'convolo' and state = 'unknown'`)
	if unknown < leads/4 {
		t.Errorf("only %d calls are unknown: the vendor was not faulty enough to prove anything", unknown)
	}
	t.Logf("%d leads, %d calls unknown", leads, unknown)
}
