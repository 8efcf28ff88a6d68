package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// dataDir makes a directory for a private Postgres: a short name, for its socket, that the server's user can reach when the
// tests run as root. Should a server outlive the test it is ended.
func dataDir(t testing.TB) string {
	t.Helper()
	base := os.TempDir()
	if len(base) > 40 {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "tl-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's user passes through
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range postmasters(dir) {
			t.Errorf("the private Postgres, pid %d, outlived the test", pid)
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// postmasters are the process ids of the servers that run below a directory.
func postmasters(dir string) []int {
	var pids []int
	for _, pattern := range []string{"postgres/postmaster.pid", "*/postgres/postmaster.pid"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, file := range files {
			text, _ := os.ReadFile(file)
			first, _, _ := strings.Cut(string(text), "\n")
			if pid, err := strconv.Atoi(first); err == nil && syscall.Kill(pid, 0) == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// TestDemo runs `trunkline demo --exit` with nothing set up, twice in one directory.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for run := range 2 {
		began := time.Now()
		got := runChild(t, map[string]string{"TRUNKLINE_DATA_DIR": dir}, "demo", "--exit")
		if got.code != exitDone || strings.Count(got.stdout, "everything synced\n") != 1 {
			t.Fatalf("run %d: %s", run+1, got)
		}
		if !strings.Contains(got.stdout, "ipscape.activities") || strings.Contains(got.stdout, "DIFFERS") {
			t.Errorf("run %d: the summary does not agree with the vendors: %s", run+1, got.stdout)
		}
		if pids := postmasters(dir); len(pids) > 0 {
			t.Errorf("run %d left its Postgres behind: %v", run+1, pids)
		}
		t.Logf("run %d: everything synced, exit 0 after %s", run+1, time.Since(began).Round(time.Millisecond))
	}
}

// TestServeOnItsOwnPostgres stops a daemon by a signal and starts it again in the same directory: what it kept is there.
func TestServeOnItsOwnPostgres(t *testing.T) {
	t.Parallel()
	env := quick()
	env["TRUNKLINE_DATA_DIR"], env["TRUNKLINE_STOP_TIMEOUT"] = dataDir(t), "20s"
	d := startChild(t, env, "serve", "--sandbox")
	d.waitUp()
	made := runChild(t, env, "apikey", "create", "--name", "kept")
	key := "Bearer " + strings.TrimSpace(made.stdout)
	if made.code != exitDone {
		t.Fatalf("apikey create beside a running daemon: %s", made)
	}
	leads := func(d *child) int {
		status, answer := call[[]apiLead](t, "GET", d.url()+"/v1/leads?limit=1", key, "", "")
		if status != http.StatusOK {
			t.Fatalf("leads: %d %s", status, answer.code())
		}
		return answer.Meta.Total
	}
	eventually(t, time.Minute, func() string {
		if leads(d) < 100 {
			return "leads of the simulated vendors"
		}
		return ""
	})
	for stop, s := range []os.Signal{sigterm, os.Interrupt} {
		began := time.Now()
		d.signal(s)
		if code := d.wait(time.Minute); code != exitDone {
			t.Fatalf("stop %d: exit %d", stop+1, code)
		}
		t.Logf("stopped by %s within %s of a budget of 20 s", s, time.Since(began).Round(time.Millisecond))
		if pids := postmasters(env["TRUNKLINE_DATA_DIR"]); len(pids) > 0 {
			t.Fatalf("stop %d left its Postgres behind: %v", stop+1, pids)
		}
		before := runChild(t, env, "status", "--json")
		if before.code != exitDone || !strings.Contains(before.stdout, "activities") {
			t.Errorf("status of a stopped daemon: %s", before)
		}
		d = startChild(t, env, "serve", "--roles", "api")
		d.waitUp()
		// Nobody reads the vendors now: what is there was kept.
		if n := leads(d); n < 100 {
			t.Errorf("stop %d: %d leads were kept", stop+1, n)
		}
	}
	// A killed daemon leaves its Postgres running; the next one takes it over, and stops it.
	d.kill()
	left := postmasters(env["TRUNKLINE_DATA_DIR"])
	d = startChild(t, env, "serve", "--roles", "api")
	d.waitUp()
	if now := postmasters(env["TRUNKLINE_DATA_DIR"]); len(left) != 1 || len(now) != 1 || left[0] != now[0] {
		t.Errorf("after a kill Postgres ran as %v, the next daemon uses %v", left, now)
	}
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitDone {
		t.Errorf("exit %d", code)
	}
}

// TestStopWhileBusy has a request to a vendor hang when the stop comes: the first signal stops within the budget and the walk
// is given back, not left to its lease; a second signal ends at once.
func TestStopWhileBusy(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 21, Activities: 60, Leads: 20, Posts: -1}, map[string]string{"TRUNKLINE_STOP_TIMEOUT": "6s", "IPSCAPE_TIMEOUT": "5m"})
	hang := func() {
		fired := r.box.Faults().Fired(sandbox.FaultStall)
		r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpListActivities, Kind: sandbox.FaultStall})
		eventually(t, time.Minute, func() string {
			if r.box.Faults().Fired(sandbox.FaultStall) == fired {
				return "a request to hang"
			}
			return ""
		})
	}
	d := r.serve(nil)
	r.settled(3 * time.Minute)
	hang()
	began := time.Now()
	d.signal(sigterm)
	// Far less than the request's own time, and far more than a busy machine adds to the budget.
	if code := d.wait(time.Minute); code != exitDone {
		t.Errorf("exit %d", code)
	}
	t.Logf("stopped %s after the signal, with a request that hung and a budget of 6 s", time.Since(began).Round(time.Millisecond))
	if left := list[string](r, `select stream || ' ' || kind from ops.walks where state = 'running'`); len(left) > 0 {
		t.Errorf("walks left to their leases: %q", left)
	}
	// With more time to stop than the test has, only the second signal can end it.
	d = r.serve(map[string]string{"TRUNKLINE_STOP_TIMEOUT": "10m"})
	hang()
	d.signal(sigterm)
	eventually(t, time.Minute, func() string {
		if d.logged("stopping") == nil {
			return "the stop to begin"
		}
		return ""
	})
	began = time.Now()
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitInterrupted {
		t.Errorf("exit %d after a second signal, want %d", code, exitInterrupted)
	}
	t.Logf("ended %s after the second signal", time.Since(began).Round(time.Millisecond))
	r.exec(`update ops.walks set lease_until = clock_timestamp() where lease_until is not null`)
	r.serve(nil)
	r.settled(3 * time.Minute)
	if n := one[int](r, `select count(*) from ipscape.activities`); n != 60 {
		t.Errorf("%d activities of 60 after the restart", n)
	}
}

// TestDemoIsSettledAtTheSecondLook: a call that was made while the first look was under way has its webhooks to come in the next.
func TestDemoIsSettledAtTheSecondLook(t *testing.T) {
	t.Parallel()
	looks := []struct {
		waiting    []string
		deliveries string
	}{
		{[]string{"1 deliveries ready"}, "ready 1"},
		{nil, "confirmed 1"}, // its webhooks came up after they had been looked for
		{[]string{"2 webhooks to come"}, "confirmed 1"},
		{nil, "confirmed 1"},
		{nil, "confirmed 2"}, // a fold that the look before did not see ordered one more, and that was sent
		{nil, "confirmed 2"},
	}
	n := 0
	err := waitSettled(t.Context(), func(context.Context) ([]string, string, error) {
		n++
		return looks[n-1].waiting, looks[n-1].deliveries, nil
	})
	if err != nil || n != len(looks) {
		t.Errorf("settled after %d looks (%v), want %d", n, err, len(looks))
	}
}
