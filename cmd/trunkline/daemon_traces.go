package main

import (
	"context"
	"time"

	"github.com/trunkline/trunkline/sync/tracing/otlp"
)

// buildTraces begins to send traces, where they are asked for. A collector that is away is no reason not to start.
func (d *daemon) buildTraces(ctx context.Context) error {
	c := &d.cfg.Tracing
	if !c.on() {
		return nil
	}
	headers, err := c.headers()
	if err != nil {
		return err
	}
	d.traces, err = otlp.Start(ctx, otlp.Config{
		Endpoint: c.collector(), Headers: headers, Service: c.Service, Version: versionText(), Instance: d.id.String(), Now: d.now, Log: d.log,
	})
	if err != nil {
		d.log.Warn("no traces are sent", "error", err)
		d.traces = nil
		return nil
	}
	d.trace = d.traces.Tracer()
	d.log.Info("traces are sent to a collector")
	return nil
}

// lastTraces bounds the wait for a collector at the end.
const lastTraces = 3 * time.Second

// stopTraces sends what is left, within what is left of the stop.
func (d *daemon) stopTraces(ctx context.Context) {
	if d.traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(lastTraces, d.budget().drain))
	defer cancel()
	d.traces.Stop(ctx)
}
