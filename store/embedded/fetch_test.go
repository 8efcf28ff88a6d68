package embedded

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// jar packs fake programs the way the library's repository serves real ones: a tar.xz in a zip.
func jar(t *testing.T) []byte {
	t.Helper()
	tree := t.TempDir()
	bin := fakePrograms(t, "18.3", tree, "bin")
	// As the real one does on a locale that no system has.
	refuses := []byte("#!/bin/sh\necho 'initdb: error: invalid locale name' >&2\nexit 1\n")
	if err := os.WriteFile(filepath.Join(bin, "initdb"), refuses, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	archive, err := exec.CommandContext(t.Context(), "tar", "-C", tree, "-cJf", "-", "bin").Output() //nolint:gosec // a directory of this test
	if err != nil {
		t.Skipf("needs tar and xz to make an archive: %v", err)
	}
	var packed bytes.Buffer
	writer := zip.NewWriter(&packed)
	file, err := writer.Create("postgres-linux-x86_64.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestFetch(t *testing.T) {
	t.Parallel()
	body := jar(t)
	sum := sha256.Sum256(body)
	var downloads atomic.Int32
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
			return
		}
		downloads.Add(1)
		_, _ = w.Write(body)
	}))
	t.Cleanup(repository.Close)
	cache := reachable(t)
	// Run the programs as ourselves, but choose the cache as root's servers do.
	self := account{name: "self", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()), drop: os.Geteuid() == 0}
	if !self.drop {
		t.Skip("an ordinary user's cache is its own, not to be filled with fakes")
	}
	server := &Server{
		cfg: Config{StateDir: cache}, log: slog.New(slog.DiscardHandler), account: self, repository: repository.URL,
	}
	for range 2 { // the second time from the cache
		found, err := fetch(t.Context(), server, 0)
		if err != nil {
			t.Fatal(err)
		}
		if found.major != 18 || found.dir != filepath.Join(cache, "postgres-18.3.0", "bin") {
			t.Errorf("found %+v", found)
		}
	}
	if got := downloads.Load(); got != 1 {
		t.Errorf("%d downloads, want 1", got)
	}
	left, err := filepath.Glob(filepath.Join(cache, "fetch-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFetchThatCannotBeDoneSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	refused := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refused.Close)
	cache := reachable(t)
	server := &Server{
		cfg: Config{StateDir: cache}, log: slog.New(slog.DiscardHandler), account: account{drop: true}, repository: refused.URL,
	}
	if _, err := fetch(t.Context(), server, 0); !errors.Is(err, ErrNoBinaries) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a missing file: %v, want ErrNoBinaries in one line", err)
	}
	if _, err := fetch(t.Context(), server, 12); !errors.Is(err, ErrNoBinaries) {
		t.Errorf("an unknown version: %v, want ErrNoBinaries", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fetch(ctx, server, 0); !errors.Is(err, ErrNoBinaries) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want ErrNoBinaries and the cancellation", err)
	}
}
