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

// flakyStore fails to settle a few times.
type flakyStore struct {
	*store.DB
	mu       sync.Mutex
	failures int
}

func (f *flakyStore) SettleDeliveries(ctx context.Context, ends []pipeline.DeliverySettlement) ([]bool, error) {
	f.mu.Lock()
	fail := f.failures > 0
	f.failures--
	f.mu.Unlock()
	if fail {
		return nil, errors.New("database is away")
	}
	return f.DB.SettleDeliveries(ctx, ends)
}

func TestOperator(t *testing.T) {
	r := newRig(t)
	e, ctx := r.engine(deliver.Settings{}), context.Background()
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeRejected, Reason: "bad"}, nil)
	lead, phone := r.lead()
	id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone, ExpiresAt: noon.Add(time.Minute)})
	r.drain(e)
	r.want(id, "rejected", "bad", "", 1)
	if err := e.Cancel(ctx, id); !errors.Is(err, store.ErrWrongState) {
		t.Errorf("cancelling a rejected one: %v", err)
	}
	if err := e.Resolve(ctx, id, pipeline.DeliveryConfirmed); !errors.Is(err, store.ErrWrongState) {
		t.Errorf("resolving a rejected one: %v", err)
	}
	if err := e.Retry(ctx, uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("retrying nothing: %v", err)
	}

	// A person's retry is free of the age rule, and is one send: unknown after it, searched twice, it is theirs again.
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "cut"}, nil)
	r.clock.Advance(time.Hour)
	if err := e.Retry(ctx, id); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r.drain(e)
		r.clock.Advance(30 * time.Second)
	}
	r.want(id, "unknown", "not_found_after_resend", "person", 2)
	if err := e.Resolve(ctx, id, pipeline.DeliveryExpired); err == nil {
		t.Error("resolved as expired")
	}
	if err := e.Resolve(ctx, id, pipeline.DeliveryRejected); err != nil {
		t.Fatal(err)
	}
	r.want(id, "rejected", "operator", "", 2)

	other := r.push("insert_lead")
	if err := e.Cancel(ctx, other); err != nil {
		t.Fatal(err)
	}
	r.drain(e)
	r.want(other, "cancelled", "operator", "", 0)

	// The check for opt-outs applies to a retry too.
	_, phone2 := r.lead()
	optedOut := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone2})
	r.exec(`insert into pipeline.do_not_call values ($1, $2, 'DNC', 'convoso', now(), null, 'e', now())`, r.org, phone)
	r.drain(e)
	r.want(optedOut, "cancelled", "do_not_call", "", 0)
	if err := e.Retry(ctx, optedOut); err != nil {
		t.Fatal(err)
	}
	r.drain(e)
	r.want(optedOut, "cancelled", "do_not_call", "", 0)
}

func TestOperatorCannotTouchWhatIsBeingSent(t *testing.T) {
	r := newRig(t)
	e, ctx := r.engine(deliver.Settings{}), context.Background()
	id := r.push("insert_lead")
	r.vendor.send = func(context.Context, deliver.View) (pipeline.Outcome, error) {
		for _, err := range []error{e.Retry(ctx, id), e.Cancel(ctx, id), e.Resolve(ctx, id, pipeline.DeliveryConfirmed)} {
			if !errors.Is(err, store.ErrInFlight) {
				t.Errorf("while it is sent: %v", err)
			}
		}
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
	}
	r.drain(e)
	r.want(id, "confirmed", "", "", 1)
	if err := e.Retry(ctx, id); !errors.Is(err, store.ErrWrongState) {
		t.Errorf("retrying a confirmed one: %v", err)
	}
}

func TestInsertIsOncePerDedupe(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	lead, phone := r.lead()
	n := store.NewDelivery{
		Org: r.org, Account: "default", Destination: "dialedin", Operation: "insert_lead", Class: deliver.Rings, LeadID: lead,
		Phone: phone, SourceTime: noon, Dedupe: "one",
	}
	other := n
	other.Dedupe = "two"
	for i, want := range []int{2, 0} {
		err := r.db.InTx(ctx, func(tx pgx.Tx) error {
			inserted, err := r.db.InsertDeliveries(ctx, tx, []store.NewDelivery{n, n, other})
			if len(inserted) != want {
				t.Errorf("round %d: %d inserted, want %d", i, len(inserted), want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSweepReportsWhatIsDue(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.push("insert_lead")
	s, err := e.Sweep(context.Background())
	if err != nil || len(s.Due) != 1 || s.Due[0] != "dialedin" {
		t.Errorf("swept %+v, %v", s, err)
	}
	r.drain(e)
	if s, err = e.Sweep(context.Background()); err != nil || len(s.Due) != 0 {
		t.Errorf("swept %+v, %v", s, err)
	}
	if _, err := e.Drain(context.Background(), "nobody"); !errors.Is(err, deliver.ErrNoDestination) {
		t.Errorf("draining nobody: %v", err)
	}
}
