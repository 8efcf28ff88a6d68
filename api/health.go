package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/trunkline/trunkline/store"
)

// Check is one condition of readiness.
type Check struct {
	// Name is shown, such as database or schema.
	Name string
	// Run returns nil when all is well. Its error goes to the log only.
	Run func(ctx context.Context) error
	// Optional is a check that is shown and decides nothing: all is served without what it looks at. Whoever runs that logs it.
	Optional bool
}

// checkTimeout bounds all checks of one answer, which run side by side.
const checkTimeout = 2 * time.Second

// checkState is what an answer says of a check.
type checkState string

const (
	checkOK      checkState = "ok"
	checkFailed  checkState = "failed"
	checkTimeOut checkState = "timed_out"
)

// health runs the checks; callers at the same moment share one run.
type health struct {
	checks []Check
	log    *slog.Logger
	flight singleflight.Group

	mu   sync.Mutex
	last map[string]checkState
}

func newHealth(checks []Check, log *slog.Logger) *health {
	return &health{checks: checks, log: log, last: map[string]checkState{}}
}

// run returns the state of every check.
func (h *health) run() map[string]checkState {
	states, _, _ := h.flight.Do("", func() (any, error) { return h.probe(), nil })
	found, _ := states.(map[string]checkState)
	return found
}

func (h *health) probe() map[string]checkState {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	type outcome struct {
		name string
		err  error
	}
	// Buffered, so that a check that ignores its context holds up nobody.
	outcomes := make(chan outcome, len(h.checks))
	states := make(map[string]checkState, len(h.checks))
	for _, check := range h.checks {
		states[check.Name] = checkTimeOut
		go func() { outcomes <- outcome{check.Name, check.Run(ctx)} }()
	}
	failures := map[string]error{}
	for range h.checks {
		var o outcome
		select {
		case o = <-outcomes:
		case <-ctx.Done():
			// A check that ended in time counts, also where it is looked at late.
			select {
			case o = <-outcomes:
			default:
				continue
			}
		}
		states[o.name] = checkOK
		if o.err != nil {
			states[o.name], failures[o.name] = checkFailed, o.err
		}
	}
	h.note(states, failures)
	return states
}

// note logs what changed, not every answer.
func (h *health) note(states map[string]checkState, failures map[string]error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, state := range states {
		was, known := h.last[name]
		h.last[name] = state
		switch {
		case state == was, !known && state == checkOK, h.optional(name):
		case state == checkOK:
			h.log.Info("readiness check passes again", "check", name)
		default:
			h.log.Warn("readiness check does not pass", "check", name, "state", string(state),
				"error", store.Loggable(failures[name]))
		}
	}
}

type healthAnswer struct {
	Status string                `json:"status"`
	Checks map[string]checkState `json:"checks,omitempty"`
}

// healthz answers as long as the process can answer at all.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, healthAnswer{Status: "ok"})
}

// readyz answers 200 when requests can be served in full.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) error {
	states := map[string]checkState{"serving": checkOK}
	if s.draining.Load() {
		states["serving"] = checkFailed
	}
	for name, state := range s.health.run() {
		states[name] = state
	}
	answer, status := healthAnswer{Status: "ready", Checks: states}, http.StatusOK
	if !s.health.allOK(states) {
		answer.Status, status = "unready", http.StatusServiceUnavailable
	}
	return writeJSON(w, status, answer)
}

// allOK tells whether all pass that have to.
func (h *health) allOK(states map[string]checkState) bool {
	for name, state := range states {
		if state != checkOK && !h.optional(name) {
			return false
		}
	}
	return true
}

func (h *health) optional(name string) bool {
	return slices.ContainsFunc(h.checks, func(c Check) bool { return c.Name == name && c.Optional })
}

type statusAttributes struct {
	Status     string `json:"status"`
	APIVersion string `json:"apiVersion"`
	Time       string `json:"time"`
}

// status is the contract's public word on the service: 200 as long as it answers.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	word := "operational"
	if !s.health.allOK(s.health.run()) {
		word = "degraded"
	}
	return writeSingle(w, r, http.StatusOK, resource{ID: "status", Type: "status", Attributes: statusAttributes{
		Status: word, APIVersion: apiVersion, Time: formatTime(s.cfg.Now()),
	}})
}
