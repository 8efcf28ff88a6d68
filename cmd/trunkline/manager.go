package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// What a service manager is told.
const (
	sayReady    = sdnotify.SdNotifyReady
	sayStopping = sdnotify.SdNotifyStopping
	sayAlive    = sdnotify.SdNotifyWatchdog
)

// notifySystemd tells systemd, or whoever else set NOTIFY_SOCKET; where nobody did, nobody is told.
func notifySystemd(state string) error {
	_, err := sdnotify.SdNotify(false, state)
	return err
}

// serviceManager is who started the daemon and wants to know how it is.
type serviceManager struct {
	notify func(state string) error
	log    *slog.Logger
}

func (m *serviceManager) say(state string) {
	if err := m.notify(state); err != nil {
		m.log.Warn("the service manager could not be told", "state", state, "error", err)
	}
}

// watch gives systemd's watchdog signs of life, as often as it asks for them, until ctx ends.
func (m *serviceManager) watch(ctx context.Context, p *pulses) {
	limit, err := sdnotify.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("what the service manager's watchdog wants cannot be read", "error", err)
	}
	if limit > 0 {
		m.watchEvery(ctx, p, limit)
	}
}

// watchEvery gives a sign of life four times within the limit as long as no loop of the daemon has stood still for half of it. A
// database that is away does not end them: the loops go round and fail, and a restart would not bring it back.
func (m *serviceManager) watchEvery(ctx context.Context, p *pulses, limit time.Duration) {
	ticker := time.NewTicker(limit / 4)
	defer ticker.Stop()
	warned := false
	for {
		still := p.still(limit / 2)
		if len(still) == 0 {
			m.say(sayAlive)
		} else if !warned {
			m.log.Error("loops of the daemon stand still: the service manager's watchdog is left to end it", "loops", strings.Join(still, ","), "limit", limit)
		}
		warned = len(still) > 0
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// pulses are the last signs of life of the daemon's loops. A loop counts from its start, which is its first one.
type pulses struct {
	now  func() time.Time
	mu   sync.Mutex
	last map[string]time.Time
}

func newPulses(now func() time.Time) *pulses { return &pulses{now: now, last: map[string]time.Time{}} }

// of returns what a loop calls each time it goes round.
func (p *pulses) of(loop string) func() {
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.last[loop] = p.now()
	}
}

// still names the loops that have not gone round for so long.
func (p *pulses) still(limit time.Duration) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var loops []string
	for loop, last := range p.last {
		if p.now().Sub(last) > limit {
			loops = append(loops, loop)
		}
	}
	slices.Sort(loops)
	return loops
}
