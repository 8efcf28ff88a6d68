package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// gatekeeper is a door to the vendors that notes when requests came in, and when one was answered 429.
type gatekeeper struct {
	url     string
	mu      sync.Mutex
	came    []time.Time
	limited time.Time
}

func (r *rig) gatekeeper() *gatekeeper {
	g := &gatekeeper{}
	vendors := r.box.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		g.mu.Lock()
		g.came = append(g.came, time.Now())
		g.mu.Unlock()
		vendors.ServeHTTP(&statusNoter{w, g}, req)
	}))
	g.url = server.URL
	r.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return g
}

type statusNoter struct {
	http.ResponseWriter
	g *gatekeeper
}

// WriteHeader implements http.ResponseWriter.
func (s *statusNoter) WriteHeader(status int) {
	if status == http.StatusTooManyRequests {
		s.g.mu.Lock()
		s.g.limited = time.Now()
		s.g.mu.Unlock()
	}
	s.ResponseWriter.WriteHeader(status)
}

// between counts the requests that came in within a span.
func (g *gatekeeper) between(from, to time.Time) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range g.came {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

func (g *gatekeeper) told() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limited
}

// TestLimitedDaemonsWait has a vendor ask one of two busy daemons to wait: from a moment after its answer neither begins a request
// until the time is over, and then both go on by themselves. The moment is a quarter of a second, on a machine that is not busy
// with other tests; on one that is, an answer may lie unread for longer than that.
func TestLimitedDaemonsWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 43, Activities: 600, Leads: 300, Posts: -1, PageSize: 4, Latency: 5 * time.Millisecond}, map[string]string{
		"TRUNKLINE_PUSH": "", "IPSCAPE_RATE": "0", "IPSCAPE_LOOKBACK": "96h", "IPSCAPE_SCHEDULE_LOOKBACK": "@every 1s", "IPSCAPE_RESCAN": "96h",
		"IPSCAPE_SCHEDULE_RESCAN": "@every 1s",
	})
	doors := []*gatekeeper{r.gatekeeper(), r.gatekeeper()}
	for _, door := range doors {
		env := r.box.Env(door.url)
		env["IPSCAPE_RATE"] = "200"
		r.serve(env)
	}
	pause, heard, span := 15*time.Second, 5*time.Second, 2*time.Second
	if fullSize() {
		pause, heard, span = 5*time.Second, 250*time.Millisecond, 500*time.Millisecond
	}
	busy := func() string {
		now := time.Now()
		for i, door := range doors {
			if n := door.between(now.Add(-span), now); n < 10 {
				return fmt.Sprintf("daemon %d to be busy: %d requests in %s", i, n, span)
			}
		}
		return ""
	}
	eventually(t, time.Minute, busy)
	r.box.Faults().Add(sandbox.Fault{
		Vendor: sandbox.VendorIPSCAPE, Kind: sandbox.FaultStatus, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {fmt.Sprint(pause.Seconds())}},
	})
	var at time.Time
	eventually(t, time.Minute, func() string {
		for _, door := range doors {
			if told := door.told(); !told.IsZero() {
				at = told
				return ""
			}
		}
		return "a daemon to be told to wait"
	})
	eventually(t, time.Minute, func() string {
		if time.Since(at) < pause {
			return "the pause to be over"
		}
		return ""
	})
	for i, door := range doors {
		if n := door.between(at.Add(-span), at); n == 0 {
			t.Errorf("daemon %d was not busy when the vendor spoke", i)
		}
		if n := door.between(at.Add(heard), at.Add(pause)); n != 0 {
			t.Errorf("daemon %d began %d requests while the account was paused", i, n)
		}
	}
	took := eventually(t, time.Minute, busy)
	t.Logf("both daemons were busy again %s after the pause", took.Round(time.Millisecond))
	if n := one[int](r, `select count(*) from ops.walks where state = 'failed'`); n != 0 {
		t.Errorf("%d walks failed over it", n)
	}
	r.lawful()
}
