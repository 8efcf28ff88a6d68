package deliver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Turner is a Destination whose requests share a budget. The engine waits for the budget first and runs the checks then, so
// that nothing which comes in during the wait, such as an opt-out or the end of the call window, is missed.
type Turner interface {
	// Turn waits until one request may start. The values of the context that it returns let the next Send or Search start at
	// once. A vendorapi.Error of kind Limited or Denied puts off all that is ready for the destination.
	Turn(ctx context.Context) (context.Context, error)
}

// turnKept is how long a turn may be kept for the next delivery: a pause that was asked for since must not be overlooked.
const turnKept = time.Second

// turn lets one request start.
type turn struct {
	values context.Context
	taken  time.Time
	used   bool
}

// on returns a context that ends with ctx and carries the turn. Without a turn it is ctx.
func (t *turn) on(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	t.used = true
	return turnContext{ctx, t.values}
}

// turnContext has its end from the one context and its values from the other, which is over as soon as the drain stops waiting.
type turnContext struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (c turnContext) Value(key any) any { return c.values.Value(key) }

// turns are the turns that a drain has taken and not yet used. A nil one is for a destination without a budget.
type turns struct {
	engine *Engine
	take   func(context.Context) (context.Context, error)
	ctx    context.Context // ends the wait that goes on beside the drain
	end    context.CancelFunc
	taker  sync.WaitGroup
	// came is told of every turn taken and of every failure.
	came chan struct{}

	mu     sync.Mutex
	free   []*turn
	want   int // turns to take besides the free ones
	taking bool
	err    error
}

func (e *Engine) startTurns(ctx context.Context, d Destination) *turns {
	t, ok := d.(Turner)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	return &turns{engine: e, take: t.Turn, ctx: ctx, end: cancel, came: make(chan struct{}, 1)}
}

// stop ends the wait for turns that nobody needs any more.
func (t *turns) stop() {
	if t != nil {
		t.end()
		t.taker.Wait()
	}
}

// await waits for one turn, and takes up to n that come with it. It returns how many there are: 0 with the error of the
// budget, or without one when the drain's time is over.
func (t *turns) await(ctx context.Context, n int, until time.Time) (int, error) {
	over := time.NewTimer(until.Sub(t.engine.now()))
	defer over.Stop()
	t.ask(n)
	for {
		have, err := t.state()
		switch {
		case have >= n:
			return n, nil
		case have > 0:
			return t.gather(ctx, n), nil
		case ctx.Err() != nil || t.engine.quiesced():
			return 0, nil
		case err != nil:
			return 0, err
		}
		select {
		case <-t.came:
		case <-over.C:
			return 0, nil
		case <-ctx.Done():
		case <-t.engine.quiet:
		}
	}
}

// gather waits a moment for further turns.
func (t *turns) gather(ctx context.Context, n int) int {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for {
		if have, err := t.state(); have >= n || err != nil {
			return min(have, n)
		}
		select {
		case <-t.came:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		have, _ := t.state()
		return min(have, n)
	}
}

func (t *turns) state() (have int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.free), t.err
}

// ask sees to it that n turns come, those that are there included.
func (t *turns) ask(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := t.free[:0]
	for _, one := range t.free {
		if t.engine.now().Before(one.taken.Add(turnKept)) {
			fresh = append(fresh, one)
		}
	}
	t.free, t.err, t.want = fresh, nil, n-len(fresh)
	if t.want > 0 && !t.taking {
		t.taking = true
		t.taker.Go(t.run)
	}
}

// run takes turns, one after the other, until there are as many as were asked for.
func (t *turns) run() {
	for more := true; more; {
		ctx, err := t.takeOne()
		t.mu.Lock()
		if err != nil {
			t.err, t.want = err, 0
		} else {
			t.free = append(t.free, &turn{values: context.WithoutCancel(ctx), taken: t.engine.now()})
			t.want--
		}
		t.taking = t.want > 0
		more = t.taking
		t.mu.Unlock()
		select {
		case t.came <- struct{}{}:
		default:
		}
	}
}

func (t *turns) takeOne() (ctx context.Context, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.engine.log.Error("a destination's package panicked", "doing", "waiting for a turn", "panic_type", fmt.Sprintf("%T", p),
				"stack", string(debug.Stack()))
			err = errors.New("panic while waiting for a turn")
		}
	}()
	return t.take(t.ctx)
}

// held are the turns of what was claimed together, until each is used or given back. They are one goroutine's.
type held struct {
	of   *turns
	rest []*turn
}

// hold hands out up to n turns.
func (t *turns) hold(n int) *held {
	if t == nil {
		return &held{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n = min(n, len(t.free))
	h := &held{of: t, rest: t.free[:n:n]}
	t.free = slices.Clone(t.free[n:])
	return h
}

// pop returns a turn, or nil when there is none.
func (h *held) pop() *turn {
	if len(h.rest) == 0 {
		return nil
	}
	one := h.rest[0]
	h.rest = h.rest[1:]
	return one
}

// back gives back what is left.
func (h *held) back() {
	for one := h.pop(); one != nil; one = h.pop() {
		h.of.back(one)
	}
}

// back takes a turn back that was not used, for the next delivery.
func (t *turns) back(one *turn) {
	if one == nil || one.used {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = append(t.free, one)
}
