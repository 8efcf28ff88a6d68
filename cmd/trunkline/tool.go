package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/store"
)

// newTool builds those parts of a daemon that a command needs, on a database that is open already. Nothing of it is started
// and there is nothing to close.
func (p *program) newTool(ctx context.Context, c *config, db *database, steps ...func(*daemon) func(context.Context) error) (*daemon, error) {
	org, err := db.EnsureDefault(ctx)
	if err != nil {
		return nil, err
	}
	d := &daemon{
		cfg: c, log: p.toolLog(c), now: time.Now, db: db, org: org, id: uuid.New(), registry: prometheus.NewRegistry(), http: newVendorHTTP(),
	}
	for _, step := range append([]func(*daemon) func(context.Context) error{
		func(d *daemon) func(context.Context) error { return d.buildMetrics },
		func(d *daemon) func(context.Context) error { return d.buildFacts },
		func(d *daemon) func(context.Context) error { return d.buildQueue },
	}, steps...) {
		if err := step(d)(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func withFold(d *daemon) func(context.Context) error { return d.buildReconcile }

func withEngine(d *daemon) func(context.Context) error { return d.buildDeliveries }

// foldPatience is how long a command waits for its own order to show in the pipeline.
const foldPatience = 10 * time.Second

// daemonPatience is how long a command leaves its order to a daemon that runs: the daemon has all settings, and knows by them
// which diallers an opt-out is owed to.
const daemonPatience = 5 * time.Second

// foldOrder waits until the record of an order shows in the pipeline. Where no daemon runs, or none gets to it, it folds. It
// returns false when that takes too long: then the daemon goes on.
func foldOrder(ctx context.Context, db *store.DB, fold *store.Reconciler, org uuid.UUID, record int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, foldPatience)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	alive, err := db.DaemonAlive(ctx)
	if err != nil {
		return false, err
	}
	for began := db.Now(); ; {
		if !alive || db.Now().Sub(began) > daemonPatience {
			if _, err := fold.Drain(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrMore) {
				return false, err
			}
		}
		folded, err := db.OrderFolded(ctx, org, record)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil || folded:
			return folded, err
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-ticker.C:
		}
	}
}
