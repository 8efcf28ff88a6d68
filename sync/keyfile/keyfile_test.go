package keyfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestKeyIsMadeOnceForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "a.key")
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without a file: %v", err)
	}
	// Several processes may be first.
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := ReadOrMake(path)
			if err != nil || len(key) != Size {
				t.Errorf("%d bytes, %v", len(key), err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) || Fingerprint(key, "a") == Fingerprint(key, "b") || strings.Contains(Fingerprint(key, "a"), string(key)) {
			t.Error("keys differ, or their uses do not")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFileWithoutKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.key")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadOrMake(path); err == nil || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "abc") {
		t.Errorf("a file that holds none: %v", err)
	}
}
