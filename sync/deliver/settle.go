package deliver

import (
	"context"
	"errors"
	"strings"
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
	end pipeline.DeliverySettlement
	// by is when the tries end.
	by   context.Context
	done chan bool // whether the row moved; false too when it could not be committed
}

// settler commits outcomes, as many in one transaction as have come together.
type settler struct {
	engine *Engine
	ctx    context.Context
	queue  chan settling
	gone   chan struct{}
}

// startSettler begins to commit. Its writes outlive a stop: an outcome that is lost is an unknown one.
func (e *Engine) startSettler(ctx context.Context) *settler {
	s := &settler{engine: e, ctx: context.WithoutCancel(ctx), queue: make(chan settling), gone: make(chan struct{})}
	go s.run()
	return s
}

// stop waits until everything handed over is dealt with.
func (s *settler) stop() {
	close(s.queue)
	<-s.gone
}

// commit hands an outcome over and waits for its commit, for SettleFor.
func (s *settler) commit(end pipeline.DeliverySettlement) bool {
	by, cancel := context.WithTimeout(s.ctx, s.engine.set.SettleFor)
	defer cancel()
	one := settling{end: end, by: by, done: make(chan bool, 1)}
	s.queue <- one
	return <-one.done
}

func (s *settler) run() {
	defer close(s.gone)
	for first := range s.queue {
		s.settle(s.gather(first))
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

// settle tries until SettleFor is over since the last of the batch was handed over: what waited meanwhile behind a database that
// is away has waited as long. A batch that fails twice, or that Postgres refuses, is taken apart, so that one bad row does not
// take the others with it. What cannot be committed at all is found by its lease running out, and is unknown then.
func (s *settler) settle(batch []settling) {
	ctx, cancel := s.bound(batch[len(batch)-1].by)
	defer cancel()
	apart := len(batch) == 1
	pause := settlePause
	for try := 1; ; try++ {
		var err error
		if !apart {
			err = s.try(ctx, batch)
			if apart = err != nil && (try == 2 || refused(err)); err == nil {
				return
			}
		}
		if apart {
			batch, err = s.each(ctx, batch)
		}
		if len(batch) == 0 {
			return
		}
		if !wait(ctx, pause) {
			for i := range batch {
				s.giveUp(&batch[i], err)
			}
			return
		}
		pause = min(2*pause, settlePauseMax)
	}
}

// bound returns the context of a batch's tries. What had no time left when its turn came is tried for a moment all the same.
func (s *settler) bound(by context.Context) (context.Context, context.CancelFunc) {
	if by.Err() != nil {
		return context.WithTimeout(s.ctx, settlePauseMax)
	}
	deadline, _ := by.Deadline() // by itself ends as soon as its own outcome is committed
	return context.WithDeadline(s.ctx, deadline)
}

// each tries outcomes one by one. It returns those that may still be committed, with the error of the last of them.
func (s *settler) each(ctx context.Context, batch []settling) (left []settling, last error) {
	for i := range batch {
		switch err := s.try(ctx, batch[i:i+1]); {
		case refused(err):
			s.giveUp(&batch[i], err)
		case err != nil:
			left, last = append(left, batch[i]), err
		}
	}
	return left, last
}

// try commits outcomes together, and answers them when that went well.
func (s *settler) try(ctx context.Context, batch []settling) error {
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	ends := make([]pipeline.DeliverySettlement, len(batch))
	for i := range batch {
		ends[i] = batch[i].end
	}
	moved, err := s.engine.store.SettleDeliveries(ctx, ends)
	if err != nil {
		return err
	}
	for i := range batch {
		batch[i].done <- moved[i]
	}
	return nil
}

// refused tells whether Postgres refuses what it was given (SQLSTATE classes 22 and 23), now and later.
func refused(err error) bool {
	said, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && (strings.HasPrefix(said.SQLState(), "22") || strings.HasPrefix(said.SQLState(), "23"))
}

func (s *settler) giveUp(one *settling, err error) {
	d := &one.end.Delivery
	s.engine.log.Error("outcome of a delivery could not be committed", "delivery_id", d.ID, "destination", d.Destination,
		"operation", d.Operation, "outcome", one.end.Outcome, "error", err)
	one.done <- false
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
