package erasure

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestKeyIsMadeOnceForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "erasure.key")
	if _, err := NewKeyring(path).Key(false); !errors.Is(err, ErrNoKey) {
		t.Fatalf("without a file: %v", err)
	}
	// Several processes may be first.
	keys := make([]*Key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := NewKeyring(path).Key(true)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if t.Failed() {
			t.FailNow()
		}
		if key.ID != keys[0].ID || !bytes.Equal(key.Sum("a"), keys[0].Sum("a")) || bytes.Equal(key.Sum("a"), key.Sum("b")) {
			t.Errorf("keys differ, or do not tell texts apart")
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

func TestKeyFileWithoutKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "erasure.key")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewKeyring(path).Key(true); err == nil || errors.Is(err, ErrNoKey) {
		t.Errorf("a file that holds none: %v", err)
	}
}
