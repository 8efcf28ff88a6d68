package erasure

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestKeyIsMadeOnOrderAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "erasure.key")
	if _, err := NewKeyring(path).Key("", false); !errors.Is(err, ErrNoKey) {
		t.Fatalf("without a file: %v", err)
	}
	key, err := NewKeyring(path).Key("", true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewKeyring(path).Key("", false)
	if err != nil || again.ID != key.ID || !bytes.Equal(key.Sum("a"), again.Sum("a")) || bytes.Equal(key.Sum("a"), key.Sum("b")) {
		t.Errorf("keys differ, or do not tell texts apart: %v", err)
	}
}

// TestKeyIsReadAgain puts another key in the place of a daemon's while it runs: it takes the one that is asked for.
func TestKeyIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, right := filepath.Join(dir, "erasure.key"), filepath.Join(dir, "right.key")
	daemon := NewKeyring(path)
	wrong, err := daemon.Key("", true)
	if err != nil {
		t.Fatal(err)
	}
	want, err := NewKeyring(right).Key("", true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := daemon.Key(want.ID, false); err != nil || got.ID != wrong.ID {
		t.Errorf("asked for a key that is not there: %v, %v", got, err)
	}
	if err := os.Rename(right, path); err != nil {
		t.Fatal(err)
	}
	if got, err := daemon.Key("", false); err != nil || got.ID != wrong.ID {
		t.Errorf("nobody asked for another key: %v, %v", got, err)
	}
	if got, err := daemon.Key(want.ID, false); err != nil || got.ID != want.ID {
		t.Errorf("the right key is there: %v, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Key("another", false); !errors.Is(err, ErrNoKey) {
		t.Errorf("the file is gone: %v", err)
	}
}
