package deliver_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// lostAnswer is a store whose first settlement is committed but answered with an error, as when a connection breaks.
type lostAnswer struct {
	*store.DB
	once sync.Once
	then func()
}

func (l *lostAnswer) SettleDeliveries(ctx context.Context, ends []pipeline.DeliverySettlement) ([]bool, error) {
	moved, err := l.DB.SettleDeliveries(ctx, ends)
	l.once.Do(func() {
		l.then()
		moved, err = nil, errors.New("connection broke")
	})
	return moved, err
}

// TestSettlementTriedAgainDoesNotTouchTheNextRequest: the first commit counted, the row was sent again by another daemon, and
// only then the first daemon tries to commit once more.
func TestSettlementTriedAgainDoesNotTouchTheNextRequest(t *testing.T) {
	r := newRig(t)
	id := r.push("insert_lead")
	sending, answer := make(chan struct{}), make(chan struct{})
	calls := 0
	r.vendor.send = func(context.Context, deliver.View) (pipeline.Outcome, error) {
		if calls++; calls == 1 {
			return pipeline.Outcome{State: pipeline.OutcomeLimited}, nil
		}
		close(sending)
		<-answer
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
	}
	done := make(chan struct{})
	other := r.engine(deliver.Settings{})
	first := r.engineOn(&lostAnswer{DB: r.db, then: func() {
		r.clock.Advance(time.Hour)
		go func() {
			defer close(done)
			_, _ = other.Drain(context.Background(), "dialedin")
		}()
		<-sending
	}}, deliver.Settings{})
	r.drain(first)
	if d := r.get(id); d.State != pipeline.DeliverySending {
		t.Errorf("is %s while it is being sent", d.State)
	}
	close(answer)
	<-done
	if d := r.want(id, "confirmed", "", "", 2); d.Attempts != 1 {
		t.Errorf("attempts = %d", d.Attempts)
	}
}

func TestLeaseIsRenewedWhileARequestRuns(t *testing.T) {
	r := newRig(t)
	id := r.push("insert_lead")
	const lease = 400 * time.Millisecond
	e, other := r.engine(deliver.Settings{Lease: lease}), r.engine(deliver.Settings{})
	sent, answer := make(chan struct{}), make(chan struct{})
	r.vendor.send = func(context.Context, deliver.View) (pipeline.Outcome, error) {
		close(sent)
		<-answer
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
	}
	done := make(chan error)
	go func() {
		_, err := e.Drain(context.Background(), "dialedin")
		done <- err
	}()
	<-sent
	r.clock.Advance(lease - time.Millisecond)
	for start := time.Now(); r.count(`select count(*) from ops.deliveries where lease_until > $1`, noon.Add(lease)) == 0; {
		if time.Since(start) > time.Minute {
			t.Fatal("the lease was not renewed")
		}
		time.Sleep(10 * time.Millisecond) // polling
	}
	r.clock.Advance(2 * time.Millisecond)
	if s, err := other.Sweep(context.Background()); err != nil || s.Recovered != 0 {
		t.Errorf("swept %+v, %v", s, err)
	}
	close(answer)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.want(id, "confirmed", "", "", 1)
}

// TestStolenClaimCannotBegin: whoever lost the lease must not send.
func TestStolenClaimCannotBegin(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	id := r.push("insert_lead")
	owner := uuid.New()
	claim := func(at uuid.UUID) int {
		claimed, err := r.db.ClaimDeliveries(ctx, pipeline.DeliveryClaim{
			Destination: "dialedin", Owner: at, Now: r.clock.Now(), Until: r.clock.Now().Add(20 * time.Second), Limit: 5,
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(claimed)
	}
	if claim(owner) != 1 || claim(uuid.New()) != 0 {
		t.Fatal("a live lease was not respected")
	}
	r.clock.Advance(20 * time.Second)
	if claim(uuid.New()) != 1 {
		t.Fatal("a lease that ran out was respected")
	}
	begun, err := r.db.BeginDeliveries(ctx, pipeline.DeliveryBegin{Owner: owner, IDs: []uuid.UUID{id}, Now: r.clock.Now, Lease: time.Second},
		func(*pipeline.DeliveryCandidate, time.Time) pipeline.DeliveryDecision {
			t.Error("decided about a stolen delivery")
			return pipeline.DeliveryDecision{}
		})
	if err != nil || len(begun) != 0 {
		t.Errorf("begun %d, %v", len(begun), err)
	}
	r.want(id, "ready", "", "", 0)
}

// TestLateOutcomeDoesNotOverruleAPerson: a person resolved what another daemon had given up as interrupted.
func TestLateOutcomeDoesNotOverruleAPerson(t *testing.T) {
	r := newRig(t)
	id := r.push("insert_lead")
	sent, answer := make(chan struct{}), make(chan struct{})
	r.vendor.send = func(context.Context, deliver.View) (pipeline.Outcome, error) {
		close(sent)
		<-answer
		return pipeline.Outcome{State: pipeline.OutcomeNotSent}, nil
	}
	e, other := r.engine(deliver.Settings{}), r.engine(deliver.Settings{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = e.Drain(context.Background(), "dialedin")
	}()
	<-sent
	r.clock.Advance(time.Minute)
	if _, err := other.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := other.Resolve(context.Background(), id, pipeline.DeliveryRejected); err != nil {
		t.Fatal(err)
	}
	close(answer)
	<-done
	r.want(id, "rejected", "operator", "", 1)
}

// stalling is a store after whose next begin this process stands still.
type stalling struct {
	*store.DB
	then func()
}

func (s *stalling) BeginDeliveries(
	ctx context.Context, b pipeline.DeliveryBegin, decide func(c *pipeline.DeliveryCandidate, now time.Time) pipeline.DeliveryDecision,
) ([]pipeline.BegunDelivery, error) {
	begun, err := s.DB.BeginDeliveries(ctx, b, decide)
	then := s.then
	s.then = func() {}
	then()
	return begun, err
}

// TestStalledRequestDoesNotLeave: a process that stood still between commit and request checks again before anything leaves; here
// somebody opted out meanwhile, and somebody else's delivery was given up as interrupted by another daemon.
func TestStalledRequestDoesNotLeave(t *testing.T) {
	for name, tc := range map[string]struct {
		stall  time.Duration
		optOut bool
		swept  bool
		state  pipeline.DeliveryState
		reason string
		sent   int
	}{
		"a moment":              {time.Second, false, false, "confirmed", "", 1},
		"longer":                {6 * time.Second, false, false, "confirmed", "", 1},
		"past an opt-out":       {6 * time.Second, true, false, "cancelled", "do_not_call", 0},
		"past the lease's end":  {time.Minute, false, true, "confirmed", "", 1},
		"past both of the ends": {time.Minute, true, true, "cancelled", "do_not_call", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			lead, phone := r.lead()
			id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
			other := r.engine(deliver.Settings{})
			r.drain(r.engineOn(&stalling{DB: r.db, then: func() {
				r.clock.Advance(tc.stall)
				if tc.optOut {
					r.exec(`insert into pipeline.do_not_call values ($1, $2, 'DNC', 'convoso', now(), null, 'e', now())`, r.org, phone)
				}
				if !tc.swept {
					return
				}
				if s, err := other.Sweep(context.Background()); err != nil || s.Recovered != 1 {
					t.Errorf("swept %+v, %v", s, err)
				}
			}}, deliver.Settings{}))
			if tc.stall > 5*time.Second && !tc.swept {
				// It is not checked over and over while the machine has no time to send.
				r.drain(other)
				r.want(id, "ready", "stalled", "retry", 0)
			}
			r.clock.Advance(time.Second)
			r.drain(other)
			r.want(id, tc.state, tc.reason, "", tc.sent)
			if d := r.get(id); d.Attempts != tc.sent {
				t.Errorf("%d attempts count, want %d", d.Attempts, tc.sent)
			}
		})
	}
}
