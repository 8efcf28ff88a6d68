package deliver_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// TestOutcomes is the table of law 5: every outcome of a send, for every class.
func TestOutcomes(t *testing.T) {
	r := newRig(t)
	limited := &vendorapi.Error{Vendor: "v", Op: "o", Kind: vendorapi.Limited, After: 7 * time.Second}
	for _, tc := range []struct {
		name    string
		op      string
		outcome pipeline.Outcome
		err     error
		state   pipeline.DeliveryState
		reason  string
		hold    string
		// wait is the least time until it is due again; attempts is the row's count.
		wait     time.Duration
		attempts int
	}{
		{"confirmed", "insert_lead", pipeline.Outcome{State: "confirmed", ExternalID: "77"}, nil, "confirmed", "", "", 0, 1},
		{"rejected", "insert_lead", pipeline.Outcome{State: "rejected", Reason: "duplicate_phone"}, nil, "rejected", "duplicate_phone", "", 0, 1},
		{"rejected without a reason", "update_lead", pipeline.Outcome{State: "rejected"}, nil, "rejected", "rejected", "", 0, 1},
		{"rings unknown, can be asked", "insert_lead", pipeline.Outcome{State: "unknown", Reason: "cut"}, nil, "unknown", "cut", "search", 30 * time.Second, 1},
		{"rings unknown, cannot be asked", "start_call", pipeline.Outcome{State: "unknown", Reason: "cut"}, nil, "unknown", "cut", "webhook", 24 * time.Hour, 1},
		{"repeatable unknown", "update_lead", pipeline.Outcome{State: "unknown"}, nil, "ready", "", "retry", 5 * time.Second, 1},
		{"keyed unknown", "crm_lead", pipeline.Outcome{State: "unknown"}, nil, "ready", "", "retry", 5 * time.Second, 1},
		{"rings not sent", "insert_lead", pipeline.Outcome{State: "not_sent"}, nil, "ready", "", "retry", 5 * time.Second, 1},
		{"repeatable not sent", "dnc_add", pipeline.Outcome{State: "not_sent"}, nil, "ready", "", "retry", 5 * time.Second, 1},
		{"limited", "insert_lead", pipeline.Outcome{State: "limited"}, limited, "ready", "", "limited", 7 * time.Second, 0},
		{"limited, no wait told", "crm_lead", pipeline.Outcome{State: "limited"}, nil, "ready", "", "limited", time.Minute, 0},
		{"denied", "insert_lead", pipeline.Outcome{State: "denied"}, nil, "ready", "", "denied", 10 * time.Minute, 1},
		{"denied, next probe known", "insert_lead", pipeline.Outcome{State: "denied"}, &vendorapi.Error{Kind: vendorapi.Denied, After: 2 * time.Minute}, "ready", "", "denied", 2 * time.Minute, 1},
		{"error alone: never sent", "start_call", pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Transient}, "ready", "not_sent", "retry", 5 * time.Second, 1},
		{"error alone: sent", "start_call", pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Transient, Sent: true}, "unknown", "unknown", "webhook", 24 * time.Hour, 1},
		{"error alone: refused", "start_call", pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Refused, Sent: true}, "rejected", "refused", "", 0, 1},
		{"error alone: limited", "start_call", pipeline.Outcome{}, limited, "ready", "limited", "limited", 7 * time.Second, 0},
		{"error alone: malformed", "insert_lead", pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Malformed, Sent: true}, "unknown", "unknown", "search", 30 * time.Second, 1},
		{"any other error", "insert_lead", pipeline.Outcome{}, errors.New("what?"), "unknown", "unknown", "search", 30 * time.Second, 1},
		{"nothing at all", "insert_lead", pipeline.Outcome{}, nil, "unknown", "unknown", "search", 30 * time.Second, 1},
		{"a state that is none", "insert_lead", pipeline.Outcome{State: "maybe"}, nil, "unknown", "unknown", "search", 30 * time.Second, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.reset(t)
			e := r.engine(deliver.Settings{})
			r.vendor.answers(tc.outcome, tc.err)
			id := r.push(tc.op)
			r.drain(e)
			d := r.want(id, tc.state, tc.reason, tc.hold, 1)
			if tc.wait > 0 {
				if got := d.NotBefore.Sub(noon); got < tc.wait || got > tc.wait+tc.wait/5+time.Second {
					t.Errorf("due again after %s, want %s and little more", got, tc.wait)
				}
			}
			if d.Attempts != tc.attempts {
				t.Errorf("attempts = %d, want %d", d.Attempts, tc.attempts)
			}
			if final := d.State.Final(); final == d.SettledAt.IsZero() {
				t.Errorf("final %t, but settled at %s", final, d.SettledAt)
			}
			if tc.outcome.ExternalID != d.ExternalID {
				t.Errorf("external id = %q, want %q", d.ExternalID, tc.outcome.ExternalID)
			}
			attempts, err := r.db.DeliveryAttempts(context.Background(), id)
			if err != nil || len(attempts) != 1 || attempts[0].Outcome == nil || attempts[0].FinishedAt == nil {
				t.Fatalf("attempts = %+v, %v", attempts, err)
			}
			if r.drain(e) != 0 {
				t.Error("was worked on again before it was due")
			}
		})
	}
}

func TestAttemptHoldsMaskedRequestAndChecks(t *testing.T) {
	r := newRig(t)
	id := r.push("dial_lead")
	r.drain(r.engine(deliver.Settings{}))
	attempts, err := r.db.DeliveryAttempts(context.Background(), id)
	if err != nil || len(attempts) != 1 {
		t.Fatalf("attempts = %+v, %v", attempts, err)
	}
	if got, want := attempts[0].Request, "to +*********01"; got != want {
		t.Errorf("request = %q, want %q", got, want)
	}
	want := `{"age": "not_needed", "key": "not_needed", "lead": "ok", "phone": "ok", "route": "ok", "dial_cap": "ok", "restored": "ok", "difference": "not_needed", "phone_busy": "ok", "call_window": "ok", "do_not_call": "ok", "recent_call": "ok"}`
	if got := string(attempts[0].Checks); got != want {
		t.Errorf("checks = %s", got)
	}
	if !slices.Contains(r.seen, "dialedin dial_lead confirmed ") {
		t.Errorf("observed %q", r.seen)
	}
}

func TestPanicIsUnknown(t *testing.T) {
	r := newRig(t)
	r.vendor.send = func(context.Context, deliver.View) (pipeline.Outcome, error) { panic("+12125551001") }
	id, other := r.push("insert_lead"), r.push("start_call")
	if n := r.drain(r.engine(deliver.Settings{})); n != 2 {
		t.Errorf("worked %d", n)
	}
	d := r.want(id, "unknown", "panic", "search", 1)
	if d.Error != "panic while sending" {
		t.Errorf("error = %q", d.Error)
	}
	r.want(other, "unknown", "panic", "webhook", 1)
}

func TestPanicInRenderHoldsOnlyThatOne(t *testing.T) {
	r := newRig(t)
	op := r.vendor.ops["update_lead"]
	op.Render = func(deliver.View) string { panic("no") }
	r.vendor.ops["update_lead"] = op
	bad, good := r.push("update_lead"), r.push("insert_lead")
	r.drain(r.engine(deliver.Settings{}))
	r.want(bad, "ready", "", "retry", 0)
	r.want(good, "confirmed", "", "", 1)
}

func TestLimitedPausesTheAccount(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{Workers: 1})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeLimited}, &vendorapi.Error{Kind: vendorapi.Limited, After: 10 * time.Second})
	first := r.push("insert_lead")
	r.clock.Advance(time.Millisecond)
	second := r.push("insert_lead")
	r.drain(e)
	r.want(first, "ready", "", "limited", 1)
	r.want(second, "ready", "", "limited", 0)
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil)
	r.clock.Advance(10 * time.Second)
	r.drain(e)
	d := r.want(first, "confirmed", "", "", 2)
	if d.Attempts != 1 {
		t.Errorf("attempts = %d: the limited one was counted", d.Attempts)
	}
	r.want(second, "confirmed", "", "", 1)
}

func TestDeniedWaitsAndCanBeRechecked(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeDenied}, nil)
	id := r.push("insert_lead")
	r.drain(e)
	r.want(id, "ready", "", "denied", 1)
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil)
	r.clock.Advance(time.Minute)
	r.drain(e)
	r.want(id, "ready", "", "denied", 1)
	if n, err := e.Recheck(context.Background(), "", pipeline.HoldDenied); n != 1 || err != nil {
		t.Fatalf("recheck = %d, %v", n, err)
	}
	r.drain(e)
	r.want(id, "confirmed", "", "", 2)
}

func TestKeyedStopsWhenTheKeyIsForgotten(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	id := r.push("crm_lead")
	for range 200 {
		r.drain(e)
		r.clock.Advance(20 * time.Minute)
	}
	d := r.get(id)
	if d.State != "unknown" || d.Reason != "key_expired" || d.Hold != "person" {
		t.Errorf("delivery is %s, %q, %q", d.State, d.Reason, d.Hold)
	}
	last := r.count(`select extract(epoch from max(started_at) - min(started_at))::int from ops.delivery_attempts where delivery_id = $1`, id)
	if last >= 24*3600 || last < 23*3600 {
		t.Errorf("last sent %d s after the first", last)
	}
}
