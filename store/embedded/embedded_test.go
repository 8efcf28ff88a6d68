package embedded

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// helperEnv names a data root and turns the test binary into a daemon that starts its Postgres and waits to be killed.
const helperEnv = "EMBEDDED_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		server, err := Start(context.Background(), config(dir))
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println(server.DSN("trunkline"))
		select {}
	}
	os.Exit(m.Run())
}

func hasty() map[string]string { return map[string]string{"fsync": "off"} }

// reachable makes a data root that the server's user can get to, which t.TempDir is not for root's.
func reachable(t *testing.T) string {
	t.Helper()
	base, err := os.MkdirTemp("/tmp", "trunkline-embedded-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(base, 0o711); err != nil { //nolint:gosec // the server's user passes through
		t.Fatal(err)
	}
	dir := filepath.Join(base, "data")
	t.Cleanup(func() {
		endServer(dir)
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// makeDir makes a directory that the server's user can pass through.
func makeDir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, traversable); err != nil {
		t.Fatal(err)
	}
}

// endServer kills what a failed test left running.
func endServer(dir string) {
	file, ok := readPIDFile(filepath.Join(dir, "postgres"))
	if !ok {
		return
	}
	_ = syscall.Kill(file.pid, syscall.SIGQUIT)
	for range 200 {
		if !alive(file.pid) || !exists(filepath.Join(dir, "postgres", "postmaster.pid")) {
			return
		}
		time.Sleep(poll)
	}
}

func config(dir string) Config {
	return Config{
		Dir: dir, BinDir: os.Getenv("TRUNKLINE_PG_BIN"), Settings: hasty(), StartTimeout: time.Minute,
		StateDir: dir + ".state", // never the system's own
	}
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	server, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return server
}

func stop(t *testing.T, server *Server) {
	t.Helper()
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// run executes a statement on the database trunkline.
func run(t *testing.T, server *Server, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN("trunkline"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func ask(t *testing.T, server *Server, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN("trunkline"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var text string
	if err := conn.QueryRow(t.Context(), query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

func pidOf(t *testing.T, server *Server) int {
	t.Helper()
	file, ok := readPIDFile(server.cluster())
	if !ok {
		t.Fatal("no postmaster.pid")
	}
	return file.pid
}

func TestFirstStartAndRestart(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	server := start(t, config(dir))
	if got := server.Dir(); got != dir {
		t.Errorf("dir %s, want %s", got, dir)
	}
	for query, want := range map[string]string{
		"show server_encoding": "UTF8", "show timezone": "UTC", "show listen_addresses": "", "show data_checksums": "on",
		"show log_parameter_max_length_on_error": "0", "show max_connections": "100", "show max_wal_size": "4GB",
		"select datcollate from pg_database where datname = current_database()": "C",
	} {
		if got := ask(t, server, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	run(t, server, "create table kept (n int); insert into kept values (42)")
	stop(t, server)
	stop(t, server) // twice is harmless
	if exists(filepath.Join(server.cluster(), "postmaster.pid")) {
		t.Error("still running after its last user stopped it")
	}
	if err := server.Ensure(t.Context()); err == nil {
		t.Error("ensure after stop succeeded")
	}
	again := start(t, config(dir))
	if got := ask(t, again, "select n::text from kept"); got != "42" {
		t.Errorf("kept row: %s, want 42", got)
	}
}

func TestNoDataInTheServerLog(t *testing.T) {
	t.Parallel()
	server := start(t, config(reachable(t)))
	run(t, server, "create table leads (phone text primary key); insert into leads values ('+15550100999')")
	conn, err := pgx.Connect(t.Context(), server.DSN("trunkline"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, statement := range []string{
		"insert into leads values ('+15550100999')", "select '+15550100999'::int", "select nothing('+15550100999')",
	} {
		if _, err := conn.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s: no error to log", statement)
		}
	}
	if _, err := conn.Exec(t.Context(), "select $1::text::int", "+15550100999x"); err == nil {
		t.Error("no error to log for a parameter")
	}
	text, err := os.ReadFile(server.logPath())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "5550100") || !strings.Contains(string(text), "ready to accept connections") {
		t.Errorf("server log:\n%s", text)
	}
}

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

// listing is every path below dir with its mode, size, time and bytes.
func listing(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(sum, path, info.Mode(), info.Size(), info.ModTime()); err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path) //nolint:gosec // a directory of this test
			if err != nil {
				return err
			}
			_, err = sum.Write(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func TestVersionMismatchTouchesNothing(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	cluster := filepath.Join(dir, "postgres")
	makeDir(t, cluster)
	for name, text := range map[string]string{"PG_VERSION": "11\n", "postgresql.conf": "x", "base": "y"} {
		if err := os.WriteFile(filepath.Join(cluster, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, dir)
	_, err := Start(t.Context(), config(dir))
	if !errors.Is(err, ErrVersionMismatch) || !strings.Contains(err.Error(), "Postgres 11") || !strings.Contains(err.Error(), "bin are Postgres") {
		t.Errorf("error %v, want a mismatch that names both versions", err)
	}
	if listing(t, dir) != before {
		t.Error("the data directory was touched")
	}
}

func TestForeignDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	makeDir(t, filepath.Join(dir, "postgres", "photos"))
	before := listing(t, dir)
	if _, err := Start(t.Context(), config(dir)); err == nil || !strings.Contains(err.Error(), "no Postgres cluster") {
		t.Errorf("error %v, want a refusal", err)
	}
	if listing(t, dir) != before {
		t.Error("the directory was touched")
	}
}

func TestExistingMakesNoCluster(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	makeDir(t, dir)
	before := listing(t, dir)
	cfg := config(dir)
	cfg.Existing = true
	if _, err := Start(t.Context(), cfg); !errors.Is(err, ErrNoCluster) {
		t.Errorf("without a cluster Start says %v", err)
	}
	if listing(t, dir) != before {
		t.Error("the directory was touched")
	}
}

func TestUnfinishedInitdbIsNoCluster(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	half := filepath.Join(dir, "postgres.init-123")
	makeDir(t, half)
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := start(t, config(dir))
	if got := ask(t, server, "select 'yes'"); got != "yes" {
		t.Errorf("answer %q", got)
	}
	if exists(half) {
		t.Error("the unfinished cluster is still there")
	}
}

func TestLongPathGetsAShortSocket(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	long := filepath.Join(dir, strings.Repeat("a 'long' name,", 9), "data")
	t.Cleanup(func() { endServer(long) })
	server := start(t, config(long))
	sockets := *server.sockets.Load()
	if len(sockets) > maxSocketDir || strings.HasPrefix(sockets, long) {
		t.Errorf("socket directory %s", sockets)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	info, err := os.Stat(sockets)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("socket directory: %v, %v; want mode 0700", info, err)
	}
	second := start(t, config(long))
	if got := ask(t, second, "select 'yes'"); got != "yes" {
		t.Errorf("answer %q", got)
	}
}

func TestFailedStartShowsTheLog(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	cfg.Settings["shared_buffers"] = "lots"
	_, err := Start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "shared_buffers"`) {
		t.Errorf("error %v, want the server's own words", err)
	}
	delete(cfg.Settings, "shared_buffers")
	start(t, cfg) // and the failure left nothing in the way
}

func TestBigLogIsPutAside(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	makeDir(t, dir)
	log := filepath.Join(dir, "postgres.log")
	if err := os.WriteFile(log, make([]byte, maxLog+1), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, config(dir))
	if info, err := os.Stat(log); err != nil || info.Size() > maxLog {
		t.Errorf("log: %v, %v", info, err)
	}
	if info, err := os.Stat(log + ".1"); err != nil || info.Size() != maxLog+1 {
		t.Errorf("old log: %v, %v", info, err)
	}
}
