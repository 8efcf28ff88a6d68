package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// How long a daemon settles and is then watched, in a whole run and in a smoke test.
const (
	idleSettle, idleWatch           = 30 * time.Second, 2 * time.Minute
	quickIdleSettle, quickIdleWatch = 2 * time.Second, 3 * time.Second
)

// idleBench watches the processor time of a daemon that has nothing to do but its own upkeep: every schedule of ipSCAPE, the
// periodic jobs, leases and heartbeats. The vendor answers empty pages, at the default rate.
func idleBench(ctx context.Context, l *lab) (_ []row, err error) {
	figure := row{figure: "idle daemon, every schedule on, share of a core", must: 0.02, stretch: 0.01, atMost: true}
	b, err := l.fresh(ctx, emptyTemplate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.drop(context.WithoutCancel(ctx))) }()
	addr, stop, err := serve(ctx, newVendor(nil, 0, 100, 0))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	program, err := l.program(ctx)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.dir, b.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the daemon's directory: %w", err)
	}
	var env []string
	for _, entry := range b.environment(dir, addr) {
		if !strings.HasPrefix(entry, "IPSCAPE_SCHEDULE_") && !strings.HasPrefix(entry, "IPSCAPE_RATE=") {
			env = append(env, entry)
		}
	}
	daemon, err := startDaemon(ctx, program, dir, env)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, daemon.stop()) }()
	settle, watch := idleSettle, idleWatch
	if l.quick {
		settle, watch = quickIdleSettle, quickIdleWatch
	}
	share, err := daemon.share(ctx, settle, watch)
	if errors.Is(err, errNoProc) {
		figure.note = "not measured: " + err.Error()
		return []row{figure}, nil
	}
	figure.value = share
	return []row{figure}, err
}

// share is the part of one core that the daemon uses.
func (d *daemon) share(ctx context.Context, settle, watch time.Duration) (float64, error) {
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	before, err := d.cpu()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := pause(ctx, watch); err != nil {
		return 0, err
	}
	after, err := d.cpu()
	return (after - before).Seconds() / time.Since(began).Seconds(), err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
