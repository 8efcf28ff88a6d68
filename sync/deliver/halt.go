package deliver

import (
	"context"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Quiesce makes every drain, running or yet to come, take up nothing more: requests under way are finished and their outcomes
// committed, and what was claimed is given back. Call it first when the daemon stops. It does not wait and cannot be undone.
func (e *Engine) Quiesce() { e.hush.Do(func() { close(e.quiet) }) }

func (e *Engine) quiesced() bool {
	select {
	case <-e.quiet:
		return true
	default:
		return false
	}
}

// isRefusal tells whether a turn failed because the budget is paused or denied.
func isRefusal(err error) bool {
	kind := vendorapi.KindOf(err)
	return kind == vendorapi.Limited || kind == vendorapi.Denied
}

// refused puts off what is ready for a destination that gives us no turn. Unknown outcomes are looked into all the same: not
// all of that needs a request, and a search that gets none puts itself off.
func (d *drain) refused(ctx context.Context, destination string, free int, err error) {
	e := d.engine
	now := e.now()
	change := pipeline.DeliveryChange{Hold: pipeline.HoldLimited, NotBefore: now.Add(limitedWait(afterOf(err)))}
	if vendorapi.KindOf(err) == vendorapi.Denied {
		change.Hold, change.NotBefore = pipeline.HoldDenied, now.Add(e.set.deniedWait(afterOf(err)))
	}
	d.pause(ctx, &pipeline.Delivery{Destination: destination}, change)
	claimed, err := d.claim(ctx, destination, free)
	if err != nil {
		d.fail(err)
	}
	d.give(free - len(claimed))
	d.work(ctx, claimed)
}

// pause ends the drain and puts off the account's other deliveries, once a drain.
func (d *drain) pause(ctx context.Context, of *pipeline.Delivery, change pipeline.DeliveryChange) {
	d.mu.Lock()
	already := d.paused
	d.paused = true
	d.mu.Unlock()
	if already {
		return
	}
	e := d.engine
	e.log.Warn("destination wants a pause", "destination", of.Destination, "account", of.Account, "hold", change.Hold,
		"until", change.NotBefore)
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := e.store.DeferDeliveries(ctx, *of, e.now(), change.NotBefore, change.Hold); err != nil {
		d.fail(err)
	}
}

// fault counts failures in a row: one is a bad row, several are the database.
func (d *drain) fault(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.faults = 0
		return
	}
	if d.faults++; d.faults >= maxFaults && d.err == nil {
		d.err = err
	}
}

func (d *drain) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
}

// over tells that no new work is to be taken up.
func (d *drain) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.paused || d.err != nil || d.engine.quiesced()
}
