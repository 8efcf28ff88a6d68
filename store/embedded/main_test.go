package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
