package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// stopBudget splits TRUNKLINE_STOP_TIMEOUT: draining HTTP, letting jobs end, and the rest to cancel and close.
type stopBudget struct{ drain, soft, all time.Duration }

func (d *daemon) budget() stopBudget {
	all := d.cfg.General.StopTimeout.Duration
	// 10 s and 30 s of the default 45 s.
	return stopBudget{drain: all * 10 / 45, soft: all * 30 / 45, all: all}
}

// start begins everything that the roles ask for. What has started when it fails is stopped again by stop.
func (d *daemon) start(ctx context.Context) error {
	loops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.stopLoops = cancel
	roles := d.cfg.General.Roles
	if longest := max(d.cfg.IPSCAPE.Timeout.Duration, d.cfg.DialedIn.Timeout.Duration, d.cfg.Convolo.Timeout.Duration,
		d.cfg.LendWorks.Timeout.Duration); longest > d.budget().soft {
		d.log.Warn("a vendor's timeout is longer than the soft stop: a request under way at a stop may be cut", "timeout", longest, "soft_stop", d.budget().soft)
	}
	if err := d.firstBeat(ctx); err != nil {
		return err
	}
	d.background.Go(func() { d.beatOn(loops) })
	if roles.worker {
		// The window may be another one now, and credentials may have been put right.
		for _, hold := range []string{pipeline.HoldCallWindow, pipeline.HoldDialCap, pipeline.HoldRecentCall, pipeline.HoldDenied} {
			n, err := d.engine.Recheck(ctx, "", hold)
			if err != nil {
				return fmt.Errorf("looking at held deliveries again: %w", err)
			}
			if n > 0 {
				d.log.Info("held deliveries are checked again", "hold", hold, "deliveries", n)
			}
		}
		if err := d.workers.Start(ctx); err != nil {
			return err
		}
		d.pulses.of("sweeper")()
		d.background.Go(func() { d.sweeper.Run(loops) })
		if d.unknowns != nil {
			d.background.Go(func() { d.unknowns.Run(loops) })
		}
	}
	if roles.scheduler {
		d.pulses.of("scheduler")()
		d.background.Go(func() { d.scheduler.Run(loops) })
	}
	d.background.Go(func() { d.watchDatabase(loops) })
	if roles.api {
		d.intake.Start()
		if d.db.replica != nil {
			d.background.Go(func() { d.db.replica.Run(loops) })
		}
		d.addr = d.server.Serve(d.listener)
	}
	d.log.Info("trunkline is up", "version", versionText(), "addr", d.addr, "streams", len(d.streams), "destinations", d.engine.Destinations())
	d.manager.say(sayReady)
	d.background.Go(func() { d.manager.watch(loops, d.pulses) })
	return nil
}

// How often the daemon looks whether its private Postgres answers, and whether its database can be written to.
const (
	privateLook  = time.Second
	databaseLook = 5 * time.Second
)

// watchDatabase restarts a private Postgres that died under the daemon.
func (d *daemon) watchDatabase(ctx context.Context) {
	if d.db.private == nil {
		return
	}
	ticker := time.NewTicker(privateLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := d.db.private.Ensure(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("the private Postgres is down and does not start", "error", err)
		}
	}
}

// readOnlyLooks is how many looks in a row must find the database read-only before the daemon ends for a restart.
const readOnlyLooks = 2

// failed yields the reason for which the daemon cannot go on by itself: a server that ended, or a database that answers
// that it is read-only (a failover; its mere absence is waited out).
func (d *daemon) failed(ctx context.Context) <-chan error {
	out := make(chan error, 1)
	d.background.Go(func() {
		ticker := time.NewTicker(databaseLook)
		defer ticker.Stop()
		readOnly := 0
		for {
			select {
			case <-ctx.Done():
				return
			case err := <-d.server.Failed():
				out <- err
				return
			case <-ticker.C:
			}
			look, cancel := context.WithTimeout(ctx, 2*time.Second)
			err := d.db.Writable(look)
			cancel()
			if readOnly++; !errors.Is(err, store.ErrReadOnly) {
				readOnly = 0
			}
			if readOnly >= readOnlyLooks {
				out <- withCode(exitDatabase, fmt.Errorf("ending for a restart: %w", err))
				return
			}
		}
	})
	return out
}

// stop ends everything in reverse: no new requests, the running ones drained, jobs ended or cancelled, the database last.
func (d *daemon) stop(ctx context.Context) error {
	budget := d.budget()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget.all)
	defer cancel()
	d.log.Info("stopping", "budget", budget.all)
	d.manager.say(sayStopping)
	// First of all: what is claimed now would have to be sent in the time that is left.
	d.engine.Quiesce()
	d.webhooks.Quiesce()
	var errs []error
	if d.cfg.General.Roles.api {
		drain, end := context.WithTimeout(ctx, budget.drain)
		errs = append(errs, d.server.Stop(drain), d.intake.Stop(drain))
		end()
	}
	if d.stopLoops != nil {
		d.stopLoops()
	}
	if d.cfg.General.Roles.worker {
		errs = append(errs, d.workers.Stop(ctx))
	}
	d.background.Wait()
	d.stopTraces(ctx)
	d.farewell(ctx)
	errs = append(errs, d.db.Close(context.WithoutCancel(ctx)))
	err := errors.Join(errs...)
	if err == nil {
		d.log.Info("stopped")
	}
	return err
}

// farewell says that this daemon is gone on purpose; a database that cannot be told finds out by itself.
func (d *daemon) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := d.db.Farewell(ctx, d.id); err != nil {
		d.log.Warn("the database does not know that this daemon has stopped", "error", err)
	}
}
