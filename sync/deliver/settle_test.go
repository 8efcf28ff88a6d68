package deliver_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// trouble is a store that does not commit outcomes as it should. Its first commit waits until there is something to commit together.
type trouble struct {
	*store.DB
	plug chan struct{}
	fail func(ids []uuid.UUID) error

	mu      sync.Mutex
	batches int
	tried   map[uuid.UUID]bool // what was tried alone
	with    map[uuid.UUID][]uuid.UUID
}

// SettleDeliveries implements deliver.Store.
func (s *trouble) SettleDeliveries(ctx context.Context, ends []pipeline.DeliverySettlement) ([]bool, error) {
	<-s.plug
	s.mu.Lock()
	ids := make([]uuid.UUID, len(ends))
	for i := range ends {
		ids[i] = ends[i].Delivery.ID
	}
	if len(ids) > 1 {
		s.batches++
		for _, id := range ids {
			s.with[id] = ids
		}
	} else {
		s.tried[ids[0]] = true
	}
	err := s.fail(ids)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.DB.SettleDeliveries(ctx, ends)
}

// TestOutcomesOfABatchWaitOnce: SettleFor is an hour here, so whatever waits for its own outcome to be committed, before the next
// one of its batch is tried, waits for ever.
func TestOutcomesOfABatchWaitOnce(t *testing.T) {
	for name, bad := range map[string]bool{"database away": false, "one is refused for good": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			const n = 8
			s := &trouble{DB: r.db, plug: make(chan struct{}), tried: map[uuid.UUID]bool{}, with: map[uuid.UUID][]uuid.UUID{}}
			var refused uuid.UUID
			s.fail = func(ids []uuid.UUID) error {
				if bad {
					if refused == uuid.Nil && len(ids) > 1 {
						refused = ids[0]
					}
					for _, id := range ids {
						if id == refused {
							return &pgconn.PgError{Code: "23514"}
						}
					}
					return nil
				}
				if len(ids) > 1 {
					return errors.New("away")
				}
				for _, id := range s.with[ids[0]] {
					if !s.tried[id] {
						return errors.New("away")
					}
				}
				return nil
			}
			var answered sync.WaitGroup
			answered.Add(n)
			r.vendor.send = func(context.Context, deliver.View) (pipeline.Outcome, error) {
				answered.Done()
				answered.Wait()
				return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
			}
			for range n {
				r.push("insert_lead")
			}
			done := r.draining(r.engineOn(s, deliver.Settings{Workers: n, SettleFor: time.Hour}))
			answered.Wait()
			close(s.plug)
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatal("an outcome waits behind another one")
			}
			if s.batches == 0 {
				t.Fatal("nothing was committed together")
			}
			want := n
			if bad {
				want--
			}
			if got := r.count(`select count(*) from ops.deliveries where state = 'confirmed'`); got != want {
				t.Errorf("%d are confirmed, want %d", got, want)
			}
		})
	}
}
