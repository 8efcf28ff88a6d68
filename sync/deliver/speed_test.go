package deliver_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// TestSpeedIsOfWhatRoutesOrdered tells how long a lead took to be sent and accepted, once, and nothing of what a person ordered: that
// may be of a lead of last year.
func TestSpeedIsOfWhatRoutesOrdered(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var told []string
	e, err := deliver.New(deliver.Config{
		Store: r.db, Destinations: []deliver.Destination{r.vendor}, Hours: always, Owner: uuid.New(), Now: r.clock.Now, Log: quiet(),
		Sped: func(destination, step string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, destination+" "+step+" "+took.String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	order := func(operation, dedupe string, age time.Duration, expires time.Time) uuid.UUID {
		lead, phone := r.lead()
		return r.order(store.NewDelivery{
			Operation: operation, LeadID: lead, Phone: phone, Dedupe: dedupe, SourceTime: noon.Add(-age), ExpiresAt: expires,
		})
	}
	first := order("insert_lead", "", 40*time.Second, noon.Add(time.Hour))
	byHand := order("insert_lead", "operator 1", 400*24*time.Hour, time.Time{})
	r.drain(e)
	r.want(first, "confirmed", "", "", 1)
	r.want(byHand, "confirmed", "", "", 1)
	// One that is sent again by hand has told its speed.
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeRejected}, nil)
	again := order("start_call", "", time.Minute, noon.Add(time.Hour))
	r.drain(e)
	if err := e.Retry(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil)
	r.drain(e)
	r.want(again, "confirmed", "", "", 2)
	slices.Sort(told)
	if want := []string{"dialedin accepted 40s", "dialedin sent 1m0s", "dialedin sent 40s"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// TestSpeedIsOfWhatLeft has requests that did not leave, or were turned away: the lead was not sent by them, but by the one that was heard.
func TestSpeedIsOfWhatLeft(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var told []string
	e, err := deliver.New(deliver.Config{
		Store: r.db, Destinations: []deliver.Destination{r.vendor}, Hours: always, Owner: uuid.New(), Now: r.clock.Now, Log: quiet(),
		Sped: func(_, step string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, step+" "+took.String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		outcome pipeline.Outcome
		err     error
		state   pipeline.DeliveryState
	}{
		{"paused after its turn", pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Limited, After: time.Second}, pipeline.DeliveryReady},
		{"denied after its turn", pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Denied, After: time.Second}, pipeline.DeliveryReady},
		{"no connection", pipeline.Outcome{}, &vendorapi.Error{Kind: vendorapi.Transient}, pipeline.DeliveryReady},
		{"no connection, told by the outcome", pipeline.Outcome{State: pipeline.OutcomeNotSent}, nil, pipeline.DeliveryReady},
		{"nothing that could be sent", pipeline.Outcome{State: pipeline.OutcomeRejected}, &vendorapi.Error{Kind: vendorapi.Refused}, pipeline.DeliveryRejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told = nil
			lead, phone := r.lead()
			at := r.clock.Now()
			id := r.order(store.NewDelivery{
				Operation: "insert_lead", LeadID: lead, Phone: phone, SourceTime: at.Add(-40 * time.Second), ExpiresAt: at.Add(2 * time.Hour),
			})
			r.vendor.answers(tt.outcome, tt.err)
			r.drain(e)
			if d := r.get(id); d.State != tt.state || len(told) != 0 {
				t.Fatalf("delivery is %s, told %q", d.State, told)
			}
			if tt.state == pipeline.DeliveryRejected {
				return
			}
			r.clock.Advance(time.Hour)
			r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil)
			r.drain(e)
			slices.Sort(told)
			if want := []string{"accepted 1h0m40s", "sent 1h0m40s"}; !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
		})
	}
}
