package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakePrograms makes a directory that looks like a server's and answers --version.
func fakePrograms(t *testing.T, version string, elements ...string) string {
	t.Helper()
	dir := filepath.Join(elements...)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // programs are for everybody
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + " (Fake)'\n"
	for _, name := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	return dir
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18.3\n":                           18,
		"postgres (PostgreSQL) 9.6.24":                           9,
		"postgres (PostgreSQL) 19beta1":                          19,
	} {
		if got, _, err := parseVersion(line); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", line, got, err, want)
		}
	}
	if _, _, err := parseVersion("not found"); err == nil {
		t.Error("nonsense was taken for a version")
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	onPath := fakePrograms(t, "16.1", root, "path")
	old := fakePrograms(t, "9.6", root, "lib", "9.6", "bin")
	newer := fakePrograms(t, "15.2", root, "lib", "15", "bin")
	newest := fakePrograms(t, "17.2", root, "lib", "17", "bin")
	client := fakePrograms(t, "18.0", root, "client") // psql and friends only
	if err := os.Remove(filepath.Join(client, "initdb")); err != nil {
		t.Fatal(err)
	}
	path := strings.Join([]string{client, onPath, "relative", filepath.Join(root, "missing")}, string(filepath.ListSeparator))
	got := candidates(path, []string{filepath.Join(root, "lib", "*", "bin")})
	if diff := cmp.Diff([]string{onPath, newest, newer, old}, got); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestNamedDirectoryWithoutPrograms(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	cfg.BinDir = "/nowhere"
	if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "TRUNKLINE_PG_BIN") {
		t.Errorf("error %v, want one that names TRUNKLINE_PG_BIN", err)
	}
}

func TestTooOldAPostgresIsRefused(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	cfg.BinDir = fakePrograms(t, "13.4", filepath.Dir(cfg.Dir), "old")
	if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "at least 14") {
		t.Errorf("error %v, want the least version", err)
	}
}
