package deliver

import (
	"context"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// settleBatch bounds the outcomes that one transaction commits.
const settleBatch = 64

// settleGather is how long the first outcome of a transaction waits for others: requests that began together end together,
// and a vendor's answer takes far longer.
const settleGather = time.Millisecond

// Waits between tries to commit an outcome.
const (
	settlePause    = 100 * time.Millisecond
	settlePauseMax = 2 * time.Second
)

// settling is an outcome on its way into the database.
type settling struct {
	end  pipeline.DeliverySettlement
	done chan bool // whether the row moved; false too when it could not be committed
}

// settler commits outcomes, as many in one transaction as have come together.
type settler struct {
	engine *Engine
	queue  chan settling
	gone   chan struct{}
}

// startSettler begins to commit. Its writes outlive a stop: an outcome that is lost is an unknown one.
func (e *Engine) startSettler(ctx context.Context) *settler {
	s := &settler{engine: e, queue: make(chan settling), gone: make(chan struct{})}
	go s.run(context.WithoutCancel(ctx))
	return s
}

// stop waits until everything handed over is dealt with.
func (s *settler) stop() {
	close(s.queue)
	<-s.gone
}

// commit hands an outcome over and waits for its commit.
func (s *settler) commit(end pipeline.DeliverySettlement) bool {
	one := settling{end: end, done: make(chan bool, 1)}
	s.queue <- one
	return <-one.done
}

func (s *settler) run(ctx context.Context) {
	defer close(s.gone)
	for first := range s.queue {
		s.settle(ctx, s.gather(first))
	}
}

// gather takes what comes within a moment of the first, up to a full batch.
func (s *settler) gather(first settling) []settling {
	batch := []settling{first}
	timer := time.NewTimer(settleGather)
	defer timer.Stop()
	for len(batch) < settleBatch {
		select {
		case next, ok := <-s.queue:
			if !ok {
				return batch
			}
			batch = append(batch, next)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// settle tries until SettleFor is over. A batch that fails twice is taken apart, so that one bad row does not take the
// others with it. What cannot be committed at all is found by its lease running out, and is unknown then.
func (s *settler) settle(ctx context.Context, batch []settling) {
	ctx, cancel := context.WithTimeout(ctx, s.engine.set.SettleFor)
	defer cancel()
	ends := make([]pipeline.DeliverySettlement, len(batch))
	for i := range batch {
		ends[i] = batch[i].end
	}
	pause := settlePause
	for try := 1; ; try++ {
		moved, err := s.try(ctx, ends)
		if err == nil {
			for i := range batch {
				batch[i].done <- moved[i]
			}
			return
		}
		if len(batch) > 1 && try == 2 {
			for i := range batch {
				s.settle(context.WithoutCancel(ctx), batch[i:i+1])
			}
			return
		}
		if !wait(ctx, pause) {
			s.giveUp(batch, err)
			return
		}
		pause = min(2*pause, settlePauseMax)
	}
}

func (s *settler) try(ctx context.Context, ends []pipeline.DeliverySettlement) ([]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	return s.engine.store.SettleDeliveries(ctx, ends)
}

func (s *settler) giveUp(batch []settling, err error) {
	for i := range batch {
		d := &batch[i].end.Delivery
		s.engine.log.Error("outcome of a delivery could not be committed", "delivery_id", d.ID, "destination", d.Destination,
			"operation", d.Operation, "outcome", batch[i].end.Outcome, "error", err)
		batch[i].done <- false
	}
}

// wait pauses, and returns false when the context ended first.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
