package migrations

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/store/embedded"
)

// This file works on files of its own and so needs the unexported up; storetest, which imports this package, is out of reach
// here, and a private server stands in.
func emptyPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "trunkline-migrations-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's user passes through
		t.Fatal(err)
	}
	server, err := embedded.Start(t.Context(), embedded.Config{
		Dir: filepath.Join(dir, "data"), BinDir: os.Getenv("TRUNKLINE_PG_BIN"), Settings: map[string]string{"fsync": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	pool, err := pgxpool.New(t.Context(), server.DSN("trunkline"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func TestRenumberedAndFailingFiles(t *testing.T) {
	t.Parallel()
	pool := emptyPool(t)
	log := slog.New(slog.DiscardHandler)
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql)} }
	first := fstest.MapFS{"00001_a.sql": file("create table ops.a (n int);"), "00002_b.sql": file("create table ops.b (n int);")}
	if err := up(t.Context(), pool, first, log); err != nil {
		t.Fatal(err)
	}

	failing := fstest.MapFS{
		"00001_a.sql": first["00001_a.sql"], "00002_b.sql": first["00002_b.sql"],
		"00003_c.sql": file("create table ops.c (n int); select 1 / 0;"),
	}
	err := up(t.Context(), pool, failing, log)
	if err == nil || !strings.Contains(err.Error(), "00003_c.sql") {
		t.Errorf("a failing file: %v, want its name", err)
	}
	var kept bool
	if err := pool.QueryRow(t.Context(), "select to_regclass('ops.c') is not null").Scan(&kept); err != nil || kept {
		t.Errorf("a failing file left its table behind (%t, %v)", kept, err)
	}

	// The second file got another number: the database knows a 2 that is not here.
	renumbered := fstest.MapFS{"00001_a.sql": first["00001_a.sql"]}
	if err := up(t.Context(), pool, renumbered, log); !errors.Is(err, ErrAhead) {
		t.Errorf("a renumbered file: %v, want ErrAhead", err)
	}
	gap := fstest.MapFS{"00001_a.sql": first["00001_a.sql"], "00003_b.sql": first["00002_b.sql"]}
	if err := up(t.Context(), pool, gap, log); err == nil || !strings.Contains(err.Error(), "00002 expected") {
		t.Errorf("a gap: %v, want it named", err)
	}
}
