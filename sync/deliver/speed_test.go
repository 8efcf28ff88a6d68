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
