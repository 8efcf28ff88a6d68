package embedded

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestAttachAndLastStops(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	first := start(t, config(dir))
	second := start(t, config(dir))
	if first.DSN("trunkline") != second.DSN("trunkline") {
		t.Errorf("two servers: %s and %s", first.DSN("trunkline"), second.DSN("trunkline"))
	}
	run(t, first, "create table shared_by_both (n int)")
	stop(t, first)
	run(t, second, "insert into shared_by_both values (1)")
	stop(t, second)
	if exists(filepath.Join(dir, "postgres", "postmaster.pid")) {
		t.Error("the last stop left the server running")
	}
}

func TestConcurrentStartAndStop(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			server, err := Start(t.Context(), config(dir))
			if err != nil {
				t.Errorf("start: %v", err)
				return
			}
			if got := ask(t, server, "select 'yes'"); got != "yes" {
				t.Errorf("answer %q", got)
			}
			if err := server.Stop(t.Context()); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	wg.Wait()
	if exists(filepath.Join(dir, "postgres", "postmaster.pid")) {
		t.Error("still running after all have stopped")
	}
}

func TestRecoversFromAKilledServer(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	server := start(t, config(dir))
	run(t, server, "create table kept (n int); insert into kept values (7)")
	if err := syscall.Kill(pidOf(t, server), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := start(t, config(dir))
	if got := ask(t, second, "select n::text from kept"); got != "7" {
		t.Errorf("kept row: %s, want 7", got)
	}
	if err := syscall.Kill(pidOf(t, second), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// A daemon that lives on brings it back itself, at the same address.
	if err := server.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, server, "select n::text from kept"); got != "7" {
		t.Errorf("kept row: %s, want 7", got)
	}
	if err := second.Ensure(t.Context()); err != nil {
		t.Error(err)
	}
}

// daemon runs this binary as a process that has started the server, and returns it.
func daemon(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self) //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "postgres://") {
		t.Fatalf("helper: %q, %v", line, err)
	}
	return cmd
}

func TestTakesOverFromAKilledDaemon(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	owner := daemon(t, dir)
	before, ok := readPIDFile(filepath.Join(dir, "postgres"))
	if !ok {
		t.Fatal("no postmaster.pid")
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	server := start(t, config(dir))
	if got := pidOf(t, server); got != before.pid {
		t.Errorf("process %d, want the living %d attached to", got, before.pid)
	}
	// The killed daemon's share went with it, so we are the last.
	stop(t, server)
	if exists(filepath.Join(dir, "postgres", "postmaster.pid")) {
		t.Error("the server outlived its last user")
	}
}
