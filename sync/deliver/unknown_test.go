package deliver_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestAcceptedThenHangIsFoundBySearch(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{SendTimeout: 50 * time.Millisecond})
	r.vendor.send = func(ctx context.Context, _ deliver.View) (pipeline.Outcome, error) {
		<-ctx.Done()
		return pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "timeout"}, nil
	}
	id := r.push("insert_lead")
	r.drain(e)
	r.want(id, "unknown", "timeout", "search", 1)
	r.clock.Advance(29 * time.Second)
	r.drain(e)
	if r.vendor.Asked(id) != 0 {
		t.Fatal("searched too early")
	}
	r.vendor.finds(true, "4711", nil)
	r.clock.Advance(time.Second)
	r.drain(e)
	d := r.want(id, "confirmed", "", "", 1)
	if d.ExternalID != "4711" || d.SettledAt.IsZero() {
		t.Errorf("external id %q, settled %s", d.ExternalID, d.SettledAt)
	}
	if n := r.count(`select count(*) from dialedin.leads where state = 'confirmed' and lead_id = '4711' and delivery_id = $1`, id); n != 1 {
		t.Error("dialedin.leads does not show it")
	}
}

func TestMissedTwiceIsSentOnceMoreThenAPersonDecides(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "cut"}, nil)
	id := r.push("insert_lead")
	r.drain(e)
	r.clock.Advance(30 * time.Second)
	r.drain(e)
	d := r.want(id, "unknown", "cut", "search", 1)
	if d.Searches != 1 || !d.NotBefore.Equal(r.clock.Now().Add(30*time.Second)) {
		t.Errorf("searches %d, next at %s", d.Searches, d.NotBefore)
	}
	r.clock.Advance(30 * time.Second)
	r.drain(e)
	d = r.want(id, "unknown", "cut", "search", 2)
	if d.Resends != 1 || d.Searches != 0 || r.vendor.Asked(id) != 2 {
		t.Errorf("resends %d, searches %d, asked %d", d.Resends, d.Searches, r.vendor.Asked(id))
	}
	for range 20 {
		r.clock.Advance(30 * time.Second)
		r.drain(e)
	}
	r.want(id, "unknown", "not_found_after_resend", "person", 2)
	if r.vendor.Asked(id) != 4 {
		t.Errorf("asked %d times, want 4", r.vendor.Asked(id))
	}
}

func TestWithoutDuplicateSuppressionNothingIsSentAgain(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	op := r.vendor.ops["insert_lead"]
	op.NoResend = true
	r.vendor.ops["insert_lead"] = op
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "cut"}, nil)
	id := r.push("insert_lead")
	for range 10 {
		r.drain(e)
		r.clock.Advance(30 * time.Second)
	}
	r.want(id, "unknown", "not_found", "person", 1)
}

func TestFailedSearchIsNoMiss(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	r.vendor.finds(false, "", errors.New("no answer for +12125551001"))
	id := r.push("insert_lead")
	for range 10 {
		r.drain(e)
		r.clock.Advance(20 * time.Minute)
	}
	d := r.want(id, "unknown", "unknown", "search", 1)
	if d.Searches != 0 || d.Error != "no answer for [masked]" {
		t.Errorf("searches %d, error %q", d.Searches, d.Error)
	}
	if asked := r.vendor.Asked(id); asked < 5 {
		t.Errorf("asked %d times only", asked)
	}
}

func TestWithoutSearchAPersonDecidesAfterTheWebhookWait(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	id := r.push("start_call")
	for range 48 {
		r.drain(e)
		r.want(id, "unknown", "unknown", "webhook", 1)
		r.clock.Advance(30 * time.Minute)
	}
	r.drain(e)
	r.want(id, "unknown", "needs_person", "person", 1)
	if err := e.Resolve(context.Background(), id, pipeline.DeliveryConfirmed); err != nil {
		t.Fatal(err)
	}
	r.want(id, "confirmed", "operator", "", 1)
}

func TestWebhookConfirms(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	id, never := r.push("start_call"), r.push("start_call")
	r.exec(`update ops.deliveries set not_before = $2 where id = $1`, never, noon.Add(time.Hour))
	r.drain(e)
	for _, tc := range []struct {
		id          uuid.UUID
		destination string
		want        bool
	}{{id, "another", false}, {id, r.vendor.name, true}, {id, r.vendor.name, false}, {never, r.vendor.name, false}} {
		err := r.db.InTx(context.Background(), func(tx pgx.Tx) error {
			changed, err := r.db.ConfirmReportedDelivery(context.Background(), tx, store.ReportedDelivery{
				Org: r.org, ID: tc.id, Destination: tc.destination, ExternalID: "call-1",
			})
			if changed != tc.want {
				t.Errorf("changed = %t, want %t", changed, tc.want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.want(id, "confirmed", "", "", 1)
}

// mortal is a store on which a daemon dies: at a given step, before or after its commit, and from then on every call fails.
type mortal struct {
	*store.DB
	mu     sync.Mutex
	dieAt  string
	dead   bool
	cancel context.CancelFunc
}

var errDead = errors.New("daemon is dead")

func (m *mortal) alive(step string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if step == m.dieAt {
		m.dead = true
		m.cancel()
	}
	return !m.dead
}

func (m *mortal) ClaimDeliveries(ctx context.Context, c pipeline.DeliveryClaim) ([]pipeline.ClaimedDelivery, error) {
	if !m.alive("before claim") {
		return nil, errDead
	}
	claimed, err := m.DB.ClaimDeliveries(ctx, c)
	if !m.alive("after claim") {
		return nil, errDead
	}
	return claimed, err
}

func (m *mortal) BeginDeliveries(
	ctx context.Context, b pipeline.DeliveryBegin, decide func(*pipeline.DeliveryCandidate, time.Time) pipeline.DeliveryDecision,
) ([]pipeline.BegunDelivery, error) {
	if !m.alive("before sending") {
		return nil, errDead
	}
	begun, err := m.DB.BeginDeliveries(ctx, b, decide)
	if !m.alive("after sending") {
		return nil, errDead
	}
	return begun, err
}

func (m *mortal) SettleDeliveries(ctx context.Context, ends []pipeline.DeliverySettlement) ([]bool, error) {
	if !m.alive("before outcome") {
		return nil, errDead
	}
	moved, err := m.DB.SettleDeliveries(ctx, ends)
	if !m.alive("after outcome") {
		return nil, errDead
	}
	return moved, err
}

func (m *mortal) PutBackDelivery(ctx context.Context, owner, id uuid.UUID, at time.Time, problem string) error {
	if !m.alive("") {
		return errDead
	}
	return m.DB.PutBackDelivery(ctx, owner, id, at, problem)
}

func (m *mortal) ReleaseDeliveries(ctx context.Context, owner uuid.UUID, ids []uuid.UUID) error {
	if !m.alive("") {
		return errDead
	}
	return m.DB.ReleaseDeliveries(ctx, owner, ids)
}

func (m *mortal) RenewDeliveries(ctx context.Context, owner uuid.UUID, ids []uuid.UUID, until time.Time) error {
	if !m.alive("") {
		return errDead
	}
	return m.DB.RenewDeliveries(ctx, owner, ids, until)
}

// TestCrash kills a daemon at each commit point and lets another go on. The vendor keeps what it accepted, and finds it.
func TestCrash(t *testing.T) {
	r := newRig(t)
	for _, step := range []string{"before claim", "after claim", "before sending", "after sending", "before outcome", "after outcome"} {
		for _, op := range []string{"insert_lead", "start_call", "update_lead"} {
			t.Run(step+" "+op, func(t *testing.T) {
				r.reset(t)
				id := r.push(op)
				r.vendor.search = func(_ context.Context, v deliver.View) (bool, string, error) {
					return r.vendor.Sent(v.Delivery.ID) > 0, "found", nil
				}
				ctx, cancel := context.WithCancel(context.Background())
				first := r.engineOn(&mortal{DB: r.db, dieAt: step, cancel: cancel}, deliver.Settings{SettleFor: 50 * time.Millisecond})
				_, _ = first.Drain(ctx, "dialedin")

				second := r.engine(deliver.Settings{})
				step1 := r.get(id).State
				for range 30 {
					r.clock.Advance(21 * time.Second)
					if _, err := second.Sweep(context.Background()); err != nil {
						t.Fatal(err)
					}
					r.drain(second)
				}
				d := r.get(id)
				lost := step == "after sending" || step == "before outcome" // the request may have left
				switch {
				case op == "start_call" && lost:
					if d.State != "unknown" || d.Reason != "interrupted" || d.Hold != "webhook" {
						t.Errorf("is %s, %q, %q (was %s)", d.State, d.Reason, d.Hold, step1)
					}
				case d.State != "confirmed":
					t.Errorf("is %s, %q, %q (was %s)", d.State, d.Reason, d.Hold, step1)
				}
				if op != "update_lead" && r.vendor.Sent(id) > 1 {
					t.Errorf("sent %d times", r.vendor.Sent(id))
				}
				if n := r.count(`select count(*) from ops.delivery_attempts where finished_at is null`); n != 0 {
					t.Errorf("%d attempts are left open", n)
				}
			})
		}
	}
}

func TestLateOutcomeOfAnInterruptedDeliveryStillCounts(t *testing.T) {
	r := newRig(t)
	sent, answer := make(chan struct{}), make(chan struct{})
	r.vendor.send = func(context.Context, deliver.View) (pipeline.Outcome, error) {
		close(sent)
		<-answer
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed, ExternalID: "late"}, nil
	}
	id := r.push("insert_lead")
	slow, other := r.engine(deliver.Settings{}), r.engine(deliver.Settings{})
	done := make(chan int)
	go func() {
		n, _ := slow.Drain(context.Background(), "dialedin")
		done <- n
	}()
	<-sent
	r.clock.Advance(21 * time.Second)
	if s, err := slow.Sweep(context.Background()); err != nil || s.Recovered != 0 {
		t.Errorf("a daemon recovered what it is sending itself: %+v, %v", s, err)
	}
	if s, err := other.Sweep(context.Background()); err != nil || s.Recovered != 1 {
		t.Errorf("swept %+v, %v", s, err)
	}
	r.want(id, "unknown", "interrupted", "search", 1)
	close(answer)
	<-done
	if d := r.want(id, "confirmed", "", "", 1); d.ExternalID != "late" {
		t.Errorf("external id = %q", d.ExternalID)
	}
}

func TestSoftStop(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		out   pipeline.OutcomeState
		state pipeline.DeliveryState
		hold  string
	}{
		{"sent", pipeline.OutcomeUnknown, "unknown", "search"},
		{"not sent", pipeline.OutcomeNotSent, "ready", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			sent := make(chan struct{})
			r.vendor.send = func(ctx context.Context, _ deliver.View) (pipeline.Outcome, error) {
				close(sent)
				<-ctx.Done()
				return pipeline.Outcome{State: tc.out, Reason: "stop"}, ctx.Err()
			}
			id := r.push("insert_lead")
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				<-sent
				cancel()
			}()
			if _, err := r.engine(deliver.Settings{}).Drain(ctx, "dialedin"); err != nil {
				t.Fatal(err)
			}
			d := r.want(id, tc.state, "stop", tc.hold, 1)
			if tc.state == "ready" && (d.Attempts != 0 || d.NotBefore.After(r.clock.Now())) {
				t.Errorf("attempts %d, due %s", d.Attempts, d.NotBefore)
			}
			if n := r.count(`select count(*) from ops.deliveries where lease_until is not null`); n != 0 {
				t.Error("a lease is left")
			}
		})
	}
}
