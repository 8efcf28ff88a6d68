package storetest

import (
	"bufio"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// helperEnv turns the test binary into a test process that waits to be killed.
const helperEnv = "STORETEST_HELPER"

func TestMain(m *testing.M) { Main(m) }

func TestClonesAreMigratedAndApart(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			pool := DB(t)
			ctx := context.Background()
			var n int
			if err := pool.QueryRow(ctx, "select count(*) from pipeline.calls").Scan(&n); err != nil || n != 0 {
				t.Errorf("calls in a fresh clone: %d, %v; want none", n, err)
			}
			if _, err := pool.Exec(ctx, "create table ops.mine (n int)"); err != nil {
				t.Errorf("clone is not private: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestDatabaseIsDroppedAtCleanup(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = DSN(t)
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn // left open on purpose: the drop must not depend on tidy tests
	})
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database is still there after its test")
	}
}

func TestTxIsRolledBack(t *testing.T) {
	t.Parallel()
	tx := Tx(t)
	if _, err := tx.Exec(t.Context(), "create table ops.mine (n int)"); err != nil {
		t.Fatal(err)
	}
}

func TestServerEndsWithAKilledProcess(t *testing.T) {
	t.Parallel()
	if os.Getenv(helperEnv) != "" {
		dsn := EmptyDSN(t)
		if _, err := os.Stdout.WriteString(dsn + "\n"); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestServerEndsWithAKilledProcess$") //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), helperEnv+"=1", "TRUNKLINE_TEST_DATABASE_URL=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dsn string
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		if strings.HasPrefix(scanner.Text(), "postgres://") {
			dsn = scanner.Text()
			break
		}
	}
	u, err := url.Parse(dsn)
	if err != nil || dsn == "" {
		t.Fatalf("helper printed no URL: %v", err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("the helper's server does not answer: %v", err)
	}
	_ = conn.Close(t.Context())
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	dir := filepath.Dir(u.Query().Get("host"))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
	}
	t.Errorf("%s is still there after its process was killed", dir)
}
