package embedded

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRootFallsBackWhenItsUserCannotReachTheDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as somebody else; TestOrdinaryUser covers the rest")
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil { //nolint:gosec // the point of the test
		t.Fatal(err)
	}
	state := reachable(t)
	var log bytes.Buffer
	cfg := config(filepath.Join(closed, "data"))
	cfg.StateDir = state
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	server := start(t, cfg)
	t.Cleanup(func() { endServer(server.Dir()) })
	if filepath.Dir(server.Dir()) != state {
		t.Errorf("data root %s, want one under %s", server.Dir(), state)
	}
	if !strings.Contains(log.String(), "cannot reach") {
		t.Errorf("nothing was said:\n%s", log.String())
	}
	run(t, server, "create table kept (n int); insert into kept values (5)")
	stop(t, server)
	// The way is open now, but the data stays where it is.
	if err := os.Chmod(closed, 0o755); err != nil { //nolint:gosec // the point of the test
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(closed), 0o755); err != nil { //nolint:gosec // the point of the test
		t.Fatal(err)
	}
	again := start(t, cfg)
	if got := ask(t, again, "select n::text from kept"); got != "5" {
		t.Errorf("kept row: %s, want 5", got)
	}
}

func TestClusterThatBecameUnreachableIsNotStartedAfresh(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as somebody else")
	}
	dir := reachable(t)
	cfg := config(dir)
	cfg.StateDir = reachable(t)
	server := start(t, cfg)
	stop(t, server)
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // the point of the test
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "cannot reach it") {
		t.Errorf("error %v, want a refusal", err)
	}
}

func TestRootAdoptsARestoredCluster(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root hands files over")
	}
	dir := reachable(t)
	server := start(t, config(dir))
	stop(t, server)
	if err := (account{drop: true, name: "root"}).ownAll(server.cluster()); err != nil {
		t.Fatal(err)
	}
	again := start(t, config(dir))
	if got := ask(t, again, "select 'yes'"); got != "yes" {
		t.Errorf("answer %q", got)
	}
}

// TestOrdinaryUser runs the tests of this package that matter for it as nobody, when we are root; an ordinary user's own run
// of the package is that test already.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("we are an ordinary user: every other test here is this one")
	}
	nobody, err := lookUp("nobody")
	if err != nil {
		t.Fatal(err)
	}
	home := reachable(t)
	if err := os.MkdirAll(home, 0o755); err != nil { //nolint:gosec // nobody runs a program from here
		t.Fatal(err)
	}
	binary := copySelf(t, home)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.run=^(TestFirstStartAndRestart|TestAttachAndLastStops|TestRecoversFromAKilledServer|TestLongPathGetsAShortSocket)$") //nolint:gosec // a copy of this binary
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody.uid, Gid: nobody.gid}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 4 {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func copySelf(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	path := filepath.Join(dir, "embedded.test")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755) //nolint:gosec // nobody runs it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
