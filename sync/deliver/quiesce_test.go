package deliver_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestQuiesceFinishesWhatIsUnderWay(t *testing.T) {
	r := newRig(t)
	const workers = 3
	sent, answer := make(chan uuid.UUID, 20), make(chan struct{})
	r.vendor.send = func(_ context.Context, v deliver.View) (pipeline.Outcome, error) {
		sent <- v.Delivery.ID
		<-answer
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
	}
	for range 20 {
		r.push("insert_lead")
	}
	e := r.engine(deliver.Settings{Workers: workers})
	done := r.draining(e)
	for range workers {
		<-sent
	}
	e.Quiesce()
	e.Quiesce() // once is enough, twice does no harm
	close(answer)
	<-done
	if n := len(sent); n != 0 {
		t.Errorf("%d requests were begun after the stop", n)
	}
	if n := r.count(`select count(*) from ops.deliveries where state = 'confirmed'`); n != workers {
		t.Errorf("%d are confirmed, want %d", n, workers)
	}
	if n := r.count(`select count(*) from ops.deliveries where state = 'ready' and lease_owner is null`); n != 20-workers {
		t.Errorf("%d are free, want %d", n, 20-workers)
	}
	if n := r.drain(e); n != 0 {
		t.Errorf("a quiesced engine worked on %d", n)
	}
	if n := r.drain(r.engine(deliver.Settings{})); n != 20-workers {
		t.Errorf("the next daemon worked on %d", n)
	}
}

// TestQuiesceLeavesUnknownOnes: a search is not begun either.
func TestQuiesceLeavesUnknownOnes(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "cut"}, nil)
	id := r.push("insert_lead")
	r.drain(e)
	r.clock.Advance(time.Minute)
	e.Quiesce()
	r.drain(e)
	r.want(id, "unknown", "cut", "search", 1)
	if n := r.vendor.Asked(id); n != 0 {
		t.Errorf("searched %d times", n)
	}
}

// slowBegins is a store that claims one delivery at a time, and begins none until it is let.
type slowBegins struct {
	*store.DB
	let chan struct{}
}

// ClaimDeliveries implements deliver.Store.
func (s *slowBegins) ClaimDeliveries(ctx context.Context, c pipeline.DeliveryClaim) ([]pipeline.ClaimedDelivery, error) {
	c.Limit = 1
	return s.DB.ClaimDeliveries(ctx, c)
}

// BeginDeliveries implements deliver.Store.
func (s *slowBegins) BeginDeliveries(
	ctx context.Context, b pipeline.DeliveryBegin, decide func(c *pipeline.DeliveryCandidate, now time.Time) pipeline.DeliveryDecision,
) ([]pipeline.BegunDelivery, error) {
	<-s.let
	return s.DB.BeginDeliveries(ctx, b, decide)
}

// TestStopEndsTheWaitForTransactions: what was claimed while transactions take long is given back before they end.
func TestStopEndsTheWaitForTransactions(t *testing.T) {
	for name, stop := range map[string]func(e *deliver.Engine, cancel context.CancelFunc){
		"quiesced":      func(e *deliver.Engine, _ context.CancelFunc) { e.Quiesce() },
		"context ended": func(_ *deliver.Engine, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			s := &slowBegins{DB: r.db, let: make(chan struct{})}
			e := r.engineOn(s, deliver.Settings{Workers: 4})
			for range 4 {
				r.push("insert_lead")
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = e.Drain(ctx, r.vendor.name)
			}()
			defer func() {
				cancel()
				close(s.let)
				<-done
			}()
			claimed := func(n int) func() bool {
				return func() bool { return r.count(`select count(*) from ops.deliveries where lease_owner is not null`) == n }
			}
			r.eventually("two that begin and one that waits", claimed(3))
			stop(e, cancel)
			r.eventually("the one that waits given back", claimed(2))
		})
	}
}

func TestQuiesceEndsTheWaitForTheBudget(t *testing.T) {
	r := newRig(t)
	b := &budget{let: until(make(chan struct{}))}
	v := r.turning(b)
	id := r.push("insert_lead")
	e := r.engineFor(v, deliver.Settings{})
	done := r.draining(e)
	r.eventually("a wait for the budget", func() bool { return b.Waited() > 0 })
	e.Quiesce()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the drain goes on waiting")
	}
	r.want(id, "ready", "", "", 0)
}

// safeBuffer is a log that is written by several goroutines.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// TestLogsQuoteNoRows: what Postgres says of a row that it refuses may quote the row (law 11).
func TestLogsQuoteNoRows(t *testing.T) {
	r := newRig(t)
	id := r.push("insert_lead")
	r.exec(`create function refuse() returns trigger language plpgsql as $$
		begin
			raise exception 'bad value %', new.phone using errcode = '22P02';
		end $$`)
	r.exec(`create trigger refuse before update on ops.deliveries for each row when (new.state in ('confirmed', 'sending')) execute function refuse()`)
	var log safeBuffer
	e, err := deliver.New(deliver.Config{
		Store: r.db, Destinations: []deliver.Destination{r.vendor}, Hours: deliver.Window{CallWindow: pipeline.CallWindow{Always: true}},
		Owner: uuid.New(), Now: r.clock.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Settings: deliver.Settings{SettleFor: 300 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.drain(e)
	r.exec(`drop trigger refuse on ops.deliveries`)
	r.exec(`create trigger refuse before update on ops.deliveries for each row when (new.state = 'confirmed') execute function refuse()`)
	r.clock.Advance(time.Hour)
	r.drain(e)
	text := log.text.String()
	for _, want := range []string{"could not be dealt with", "could not be committed", "22P02"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q: %s", want, text)
		}
	}
	if phone := r.get(id).Phone; strings.Contains(text, phone) || strings.Contains(text, strings.TrimPrefix(phone, "+")) {
		t.Errorf("the log quotes a phone: %s", text)
	}
}
