package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
)

// ErrNoDestination means that the engine does not serve a destination.
var ErrNoDestination = errors.New("no such destination is set up")

// maxFaults is how many deliveries in a row may fail to begin before a drain takes it for the database's fault.
const maxFaults = 3

// maxBegins is how many transactions of a drain decide at once. They hold each other up only where they share a phone or a lead.
const maxBegins = 2

// dueAhead is how many due deliveries are counted at once.
const dueAhead = 500

// drain is one run of Drain.
type drain struct {
	engine  *Engine
	settler *settler
	turns   *turns
	// free has a token for each request that may still be started.
	free chan struct{}
	// begins has room for the transactions that decide: while one waits for its commit the next is made ready.
	begins  chan struct{}
	running sync.WaitGroup
	// due is how many deliveries are known to be due, so that no turn is taken for nothing; 0 = to be counted.
	due int

	mu     sync.Mutex
	paused bool // the destination asked us to slow down, or refused our credentials
	worked int
	faults int
	err    error
}

// Drain works off what is due for one destination, until nothing is left, the destination wants a pause, DrainFor is over
// ctx ends or the engine is quiesced; then it waits for the requests under way. worked counts the deliveries that it dealt with. A delivery that
// fails is dealt with too; err is the database's.
func (e *Engine) Drain(ctx context.Context, destination string) (worked int, err error) {
	to, ok := e.destinations[destination]
	if !ok {
		return 0, fmt.Errorf("draining deliveries for %s: %w", destination, ErrNoDestination)
	}
	d := &drain{
		engine: e, settler: e.startSettler(ctx), turns: e.startTurns(ctx, to),
		free: make(chan struct{}, e.set.Workers), begins: make(chan struct{}, maxBegins),
	}
	for range e.set.Workers {
		d.free <- struct{}{}
	}
	stopRenewing := e.startRenewing(ctx)
	d.run(ctx, destination)
	d.turns.stop()
	d.running.Wait()
	stopRenewing()
	d.settler.stop()
	return d.worked, d.err
}

func (d *drain) run(ctx context.Context, destination string) {
	until := d.engine.now().Add(d.engine.set.DrainFor)
	for ctx.Err() == nil && !d.over() && d.engine.now().Before(until) {
		free := d.slots(ctx)
		if free == 0 {
			return
		}
		claimed, err := d.next(ctx, destination, free, until)
		switch {
		case err != nil && !isRefusal(err):
			d.fail(err)
			d.give(free)
			return
		case len(claimed) > 0:
			d.give(free - len(claimed))
			d.work(ctx, claimed)
			continue
		case free < cap(d.free):
			// The end of a request may let the same lead's next delivery go, or show that the account is served again.
			free += d.slot(ctx)
			d.give(free)
			continue
		case err != nil:
			d.refused(ctx, destination, free, err)
			return
		}
		return
	}
}

// next claims as many deliveries as there are turns for. The turns come first, and nothing is decided before: what is
// claimed is sent at once or not at all.
func (d *drain) next(ctx context.Context, destination string, free int, until time.Time) ([]pipeline.ClaimedDelivery, error) {
	if d.turns == nil {
		return d.claim(ctx, destination, free)
	}
	if d.due == 0 {
		count, cancel := lasting(ctx)
		due, err := d.engine.store.CountDueDeliveries(count, destination, d.engine.now(), max(free, dueAhead))
		cancel()
		if err != nil || due == 0 {
			return nil, err
		}
		d.due = due
	}
	n, err := d.turns.await(ctx, min(d.due, free), until)
	if err != nil || n == 0 || d.over() {
		return nil, err
	}
	claimed, err := d.claim(ctx, destination, n)
	if d.due -= len(claimed); len(claimed) < n {
		d.due = 0 // others took some
	}
	return claimed, err
}

// slot waits for one slot to become free.
func (d *drain) slot(ctx context.Context) int {
	select {
	case <-d.free:
		return 1
	case <-ctx.Done():
	case <-d.engine.quiet:
	}
	return 0
}

// gather is how long a drain with many workers waits for half of them to become free together: what is begun in one
// transaction costs less than one by one.
const gather = 6 * time.Millisecond

// slots waits for a free slot, and takes all that are free by then or a moment later.
func (d *drain) slots(ctx context.Context) int {
	if d.slot(ctx) == 0 {
		return 0
	}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	n := 1
	for n < (cap(d.free)+1)/2 {
		select {
		case <-d.free:
			n++
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
	for {
		select {
		case <-d.free:
			n++
		default:
			return n
		}
	}
}

func (d *drain) give(n int) {
	for range n {
		d.free <- struct{}{}
	}
}

func (d *drain) claim(ctx context.Context, destination string, limit int) ([]pipeline.ClaimedDelivery, error) {
	// A claim whose answer was cut would keep its rows from everybody until the lease ends.
	ctx, cancel := lasting(ctx)
	defer cancel()
	now := d.engine.now()
	claimed, err := d.engine.store.ClaimDeliveries(ctx, pipeline.DeliveryClaim{
		Destination: destination, Owner: d.engine.owner, Now: now, Until: now.Add(d.engine.set.Lease), Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	return d.engine.take(claimed), nil
}

// work begins what is ready and searches for what is unknown.
func (d *drain) work(ctx context.Context, claimed []pipeline.ClaimedDelivery) {
	d.mu.Lock()
	d.worked += len(claimed)
	d.mu.Unlock()
	held := d.turns.hold(len(claimed))
	var ready []uuid.UUID
	for _, c := range claimed {
		if c.State == pipeline.DeliveryUnknown {
			turn := held.pop()
			d.running.Go(func() {
				defer d.finish(c.ID)
				defer d.turns.back(turn)
				d.lookInto(ctx, turn, c.ID)
			})
			continue
		}
		ready = append(ready, c.ID)
	}
	if len(ready) == 0 {
		held.back()
		return
	}
	select {
	case d.begins <- struct{}{}:
	case <-ctx.Done():
		held.back()
		d.release(ctx, ready)
		return
	case <-d.engine.quiet:
		held.back()
		d.release(ctx, ready)
		return
	}
	d.running.Go(func() {
		defer func() { <-d.begins }()
		defer held.back()
		d.begin(ctx, ready, held)
	})
}

// finish ends our hold on a delivery; its lease is over or runs out.
func (d *drain) finish(id uuid.UUID) {
	d.engine.drop(id)
	d.give(1)
}

// begin decides about deliveries in one transaction and starts the requests that it committed. When that fails they are
// tried one by one, so that one bad row does not hold up the others.
func (d *drain) begin(ctx context.Context, ids []uuid.UUID, held *held) {
	if ctx.Err() != nil || d.over() {
		d.release(ctx, ids)
		return
	}
	from := d.engine.clock()
	begun, err := d.decide(ctx, ids)
	switch {
	case err != nil && len(ids) > 1:
		for i := range ids {
			d.begin(ctx, ids[i:i+1], held)
		}
		return
	case err != nil:
		d.setAside(ctx, ids[0], err)
		d.finish(ids[0])
		return
	}
	d.fault(nil)
	to := d.engine.clock()
	left := map[uuid.UUID]bool{}
	for _, id := range ids {
		left[id] = true
	}
	for i := range begun {
		one := &begun[i]
		delete(left, one.Delivery.ID)
		span := d.engine.decided(ctx, one, from, to)
		if !one.Decision.Send {
			tellEnd(span, one.Decision.Change)
			d.engine.observe(one.Delivery.Destination, one.Delivery.Operation, one.Decision.Change)
			d.finish(one.Delivery.ID)
			continue
		}
		turn := held.pop()
		d.running.Go(func() {
			defer d.finish(one.Delivery.ID)
			d.request(span.On(turn.on(ctx)), span, one)
		})
	}
	// What somebody else moved meanwhile, or whose lead just changed.
	rest := make([]uuid.UUID, 0, len(left))
	for id := range left {
		rest = append(rest, id)
	}
	d.release(ctx, rest)
}

func (d *drain) decide(ctx context.Context, ids []uuid.UUID) ([]pipeline.BegunDelivery, error) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	r := &round{engine: d.engine, taken: map[phoneOf]bool{}}
	return d.engine.store.BeginDeliveries(ctx, pipeline.DeliveryBegin{
		Owner: d.engine.owner, IDs: ids, Now: d.engine.now, Lease: d.engine.set.Lease,
	}, r.decide)
}

// request sends what has been committed as being sent, and commits how that ended; span is the delivery's.
func (d *drain) request(ctx context.Context, span tracing.Span, one *pipeline.BegunDelivery) {
	e := d.engine
	op, _ := e.destinations[one.Delivery.Destination].Operation(one.Delivery.Operation)
	sending, sent := e.trace.Start(ctx, tracing.DeliverySend)
	out := e.send(sending, op, View{
		Delivery: one.Delivery, Lead: one.Lead, Phone: one.Decision.Phone, Was: one.Was, KnownAs: one.KnownAs,
	})
	sent.Word(tracing.Outcome, string(out.State))
	sent.End()
	now := e.now()
	change := e.set.afterSend(&one.Delivery, op, out, now)
	moved := d.settle(ctx, span, pipeline.DeliverySettlement{
		Kind: pipeline.AttemptSend, Delivery: one.Delivery, Attempt: one.Attempt, Owner: e.owner, Outcome: string(out.State),
		Detail: out.Detail, StartedAt: one.Delivery.SendingAt, Now: now, Change: change,
	})
	if out.heard() {
		e.tellSpeed(&one.Delivery, "sent", one.Delivery.SendingAt)
	}
	if moved && change.State == pipeline.DeliveryConfirmed {
		e.tellSpeed(&one.Delivery, "accepted", now)
	}
	if moved {
		e.observe(one.Delivery.Destination, one.Delivery.Operation, change)
	}
	if change.Hold == pipeline.HoldLimited || change.Hold == pipeline.HoldDenied {
		d.pause(ctx, &one.Delivery, change)
	}
}

func (d *drain) release(ctx context.Context, ids []uuid.UUID) {
	if len(ids) == 0 {
		return
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := d.engine.store.ReleaseDeliveries(ctx, d.engine.owner, ids); err != nil {
		d.fail(err)
	}
	for _, id := range ids {
		d.finish(id)
	}
}
