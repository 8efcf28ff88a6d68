package main

import (
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store/storetest"
)

// privateEnv is a daemon with a Postgres of its own in a directory that the server's user can reach, and no vendors.
func privateEnv(t *testing.T) (env map[string]string, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "trunkline-signal-") //nolint:usetesting // t.TempDir is closed to the user that Postgres runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return map[string]string{"TRUNKLINE_DATA_DIR": dir, "TRUNKLINE_HTTP_ADDR": "127.0.0.1:0"}, dir
}

// noPostgres fails when a server was left behind.
func noPostgres(t *testing.T, what, dir string) {
	t.Helper()
	for _, name := range []string{filepath.Join(dir, "postgres", "postmaster.pid")} {
		if pid, err := os.ReadFile(filepath.Clean(name)); err == nil {
			first, _, _ := strings.Cut(string(pid), "\n")
			t.Errorf("%s: Postgres is left behind, pid %s", what, first)
		}
	}
}

// TestSignalsCloseThePrivatePostgres breaks off a start, a command and a daemon, each in the way that people do.
func TestSignalsCloseThePrivatePostgres(t *testing.T) {
	t.Parallel()
	env, dir := privateEnv(t)
	// While the cluster is made, and again while the server has just started.
	for _, line := range []string{"making a private postgres cluster", "private postgres started"} {
		c := startChild(t, env, "serve")
		eventually(t, time.Minute, func() string {
			if c.gone() || c.logged(line) != nil {
				return ""
			}
			return line
		})
		c.signal(syscall.SIGTERM)
		code, want := c.wait(time.Minute), exitInterrupted
		if c.logged("trunkline is up") != nil {
			want = exitDone // it was quicker than our signal, and stops as gently as it does below
		}
		if code != want {
			t.Errorf("signal at %q: exit %d, want %d\n%s", line, code, want, c.err.String())
		}
		noPostgres(t, line, dir)
	}
	// The terminal closes: its SIGHUP comes twice. Under nohup a daemon ignores it, as it should.
	hangup := syscall.SIGHUP
	if signal.Ignored(hangup) {
		hangup = syscall.SIGTERM
	}
	c := startChild(t, env, "serve")
	c.waitUp()
	c.signal(hangup)
	c.signal(hangup)
	if code := c.wait(time.Minute); code != exitDone || c.logged("stopped") == nil {
		t.Errorf("%s: exit %d, want a gentle stop\n%s", hangup, code, c.err.String())
	}
	noPostgres(t, hangup.String(), dir)
	// A reader that goes away, as head does.
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	status := exec.CommandContext(t.Context(), self, "status") //nolint:gosec // the test binary itself
	status.Env = append(c.cmd.Env[:len(c.cmd.Env):len(c.cmd.Env)], "TRUNKLINE_LOG_LEVEL=info")
	status.Stdout = in
	stdin, err := status.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	if err := status.Run(); err != nil {
		t.Errorf("status whose reader has gone: %v, want a quiet end", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	noPostgres(t, "SIGPIPE", dir)
	// A command that goes on until it is told.
	watch := startChild(t, env, "status", "--watch", "--json")
	eventually(t, time.Minute, func() string {
		if watch.gone() || watch.out.String() != "" {
			return ""
		}
		return "the first status"
	})
	watch.signal(os.Interrupt)
	if code := watch.wait(time.Minute); code != exitDone {
		t.Errorf("status --watch: exit %d, want %d\n%s", code, exitDone, watch.err.String())
	}
	noPostgres(t, "status --watch", dir)
}

// TestBusyPort finds the port taken before anything else is touched.
func TestBusyPort(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	busy, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	dsn := storetest.EmptyDSN(t)
	got := runChild(t, map[string]string{"DATABASE_URL": dsn, "TRUNKLINE_HTTP_ADDR": busy.Addr().String()}, "serve")
	if got.code != exitFailed || !strings.Contains(got.stderr, "address already in use") {
		t.Errorf("%s", got)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var touched bool
	if err := conn.QueryRow(t.Context(), `select to_regnamespace('ops') is not null`).Scan(&touched); err != nil || touched {
		t.Errorf("the database was touched: %t, %v", touched, err)
	}
}

// TestDemoAfterDemo runs demos one after the other, beside each other, and after one that was killed.
func TestDemoAfterDemo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several demos")
	}
	env := map[string]string{"DATABASE_URL": storetest.EmptyDSN(t)}
	first := startChild(t, env, "demo", "--exit")
	first.waitUp()
	// It stands still meanwhile, or it might be done before the other one has come up.
	first.signal(syscall.SIGSTOP)
	if beside := runChild(t, env, "demo", "--exit"); beside.code != exitDatabase || !strings.Contains(beside.stderr, "another demo is running") {
		t.Errorf("beside the first: %s", beside)
	}
	first.signal(syscall.SIGCONT)
	if code := first.wait(5 * time.Minute); code != exitDone {
		t.Fatalf("the first: exit %d, want %d\n%s", code, exitDone, first.err.String())
	}
	second := startChild(t, env, "demo", "--exit")
	second.waitUp()
	second.kill()
	if third := runChild(t, env, "demo", "--exit"); third.code != exitDone {
		t.Errorf("after one that was killed: %s", third)
	}
}
