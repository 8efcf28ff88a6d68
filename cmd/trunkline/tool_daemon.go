package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// toolDaemon builds the parts of a daemon that a command needs to fold as a daemon would: the same rules, from the same
// configuration. Nothing of it is started; what it finds to do is left to daemons, by way of their queue.
func (p *program) toolDaemon(ctx context.Context, c *config, d *database) (*daemon, error) {
	org, err := d.EnsureDefault(ctx)
	if err != nil {
		return nil, err
	}
	dm := &daemon{
		cfg: c, log: p.toolLog(c), now: time.Now, db: d, org: org, id: uuid.New(), registry: prometheus.NewRegistry(), http: newVendorHTTP(),
	}
	for _, step := range []func(context.Context) error{dm.buildMetrics, dm.buildQueue, dm.buildReconcile} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return dm, nil
}
