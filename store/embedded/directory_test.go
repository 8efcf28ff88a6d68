package embedded

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
