package main

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trunkline/trunkline/store/storetest"
)

// TestBadEnvironment has several faults at once: one line each, exit 3, before anybody is called.
func TestBadEnvironment(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			conn.Close()
		}
	}()
	at := listener.Addr().String()
	data := filepath.Join(t.TempDir(), "data")
	// Everything there is to call is this listener; the private Postgres would leave a directory.
	good := map[string]string{
		"DATABASE_URL": "postgres://u:hidden-password@" + at + "/x", "TRUNKLINE_DATA_DIR": data, "TRUNKLINE_HTTP_ADDR": "127.0.0.1:0",
		"IPSCAPE_BASE_URL": "http://" + at, "IPSCAPE_TOKEN": "hidden-token",
	}
	bad := map[string]string{
		"IPSCAPE_SCHEDULE_ACTIVITIES": "0 0 31 2 *", "IPSCAPE_RATE": "-1", "TRUNKLINE_PSUH": "hidden-x",
		"IPSCAPE_SCHEDULE_LEADS": "TZ=0", "TRUNKLINE_CALL_WINDOW": "hidden-window",
	}
	env := maps.Clone(good)
	maps.Copy(env, bad)
	for _, args := range [][]string{{"serve"}, {"status"}, {"config", "check"}, {"migrate", "up"}, {"apikey", "list"}} {
		got := runChild(t, env, args...)
		if got.code != exitConfig {
			t.Errorf("%q: exit %d, want %d", args, got.code, exitConfig)
		}
		for name := range bad {
			lines := 0
			for _, line := range strings.Split(got.stderr, "\n") {
				if strings.HasPrefix(line, name+": ") {
					lines++
				}
			}
			if lines != 1 {
				t.Errorf("%q: %d lines for %s:\n%s", args, lines, name, got.stderr)
			}
		}
		if n := strings.Count(got.stderr, "\n"); n != len(bad)+1 {
			t.Errorf("%q: %d lines for %d faults and a heading:\n%s", args, n, len(bad), got.stderr)
		}
		if strings.Contains(got.stderr+got.stdout, "hidden") {
			t.Errorf("%q: a value shows:\n%s", args, got)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls went out before the faults were reported", n)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
	// The listener does notice a call.
	if got := runChild(t, good, "status"); got.code != exitDatabase && got.code != exitFailed || calls.Load() == 0 {
		t.Errorf("with a good environment: %d calls, %s", calls.Load(), got)
	}
	empty := runChild(t, nil, "config", "check")
	if empty.code != exitDone {
		t.Errorf("an empty environment: %s", empty)
	}
}

// TestWrongUsage: usage is checked before the configuration, which is at fault here too.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	env := map[string]string{"TRUNKLINE_PSUH": "x"}
	for _, args := range [][]string{
		{"no-such-command"},
		{"serve", "more"},
		{"serve", "--no-such-flag"},
		{"serve", "--roles", "king"},
		{"demo", "--exit=maybe"},
		{"migrate", "sideways"},
		{"apikey"},
		{"apikey", "create"},
		{"apikey", "create", "--name", "x", "--level", "high"},
		{"apikey", "create", "--name", "x", "--monthly-quota", "0"},
		{"apikey", "revoke"},
		{"apikey", "revoke", "x"},
		{"org", "create"},
		{"status", "more"},
		{"sandbox", "--addr", "nowhere"},
		{"config", "sideways"},
	} {
		got := runChild(t, env, args...)
		if got.code != exitUsage {
			t.Errorf("%q: exit %d, want %d: %s", args, got.code, exitUsage, got.stderr)
		}
		if got.stderr == "" || got.stdout != "" {
			t.Errorf("%q: talk belongs on stderr: %s", args, got)
		}
	}
	for _, args := range [][]string{{"version"}, {"--help"}, {"serve", "--help"}, {"--version"}} {
		if got := runChild(t, env, args...); got.code != exitDone || got.stdout == "" {
			t.Errorf("%q: %s", args, got)
		}
	}
}

// TestSchemaOfAnotherVersion: commands other than serve and migrate work on no schema but their own, and nothing at all on
// one that is newer.
func TestSchemaOfAnotherVersion(t *testing.T) {
	t.Parallel()
	others := [][]string{{"status"}, {"apikey", "list"}, {"org", "list"}, {"apikey", "create", "--name", "x"}, {"migrate", "status"}}
	empty := map[string]string{"DATABASE_URL": storetest.EmptyDSN(t)}
	for _, args := range others {
		got := runChild(t, empty, args...)
		if got.code != exitDatabase || !strings.Contains(got.stderr, "migrate") {
			t.Errorf("old schema, %q: want exit %d and the command that helps: %s", args, exitDatabase, got)
		}
	}
	if got := runChild(t, empty, "migrate", "up"); got.code != exitDone {
		t.Fatalf("migrate up: %s", got)
	}
	for _, args := range others {
		if got := runChild(t, empty, args...); got.code != exitDone {
			t.Errorf("current schema, %q: %s", args, got)
		}
	}
	r := newRig(t, emptied(19), nil)
	r.env["DATABASE_URL"] = empty["DATABASE_URL"]
	execOn(t, empty["DATABASE_URL"], `insert into ops.goose_db_version (version_id, is_applied) values (9999, true)`)
	for _, args := range append(others, []string{"serve"}, []string{"migrate", "up"}) {
		if got := runChild(t, r.env, args...); got.code != exitDatabase {
			t.Errorf("newer schema, %q: want exit %d: %s", args, exitDatabase, got)
		}
	}
}
