package webhook

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestKeyring(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "webhook.key")
	if id, err := NewKeyring(path).ID(); id != "" || err != nil {
		t.Errorf("a keyring without a file has the key %q, %v", id, err)
	}
	// Several processes make the first endpoint at once: one key comes of it.
	const n = 8
	sealed, ids := make([][]byte, n), make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			if sealed[i], ids[i], err = NewKeyring(path).Seal("whsec_one", []byte("a")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k := NewKeyring(path)
	for i := range n {
		if got, err := k.Open(sealed[i], []byte("a")); err != nil || got.Reveal() != "whsec_one" || ids[i] != ids[0] {
			t.Errorf("sealed by another: %q, %v, key %s", got.Reveal(), err, ids[i])
		}
		if bytes.Contains(sealed[i], []byte("whsec_one")) {
			t.Error("the secret shows")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("files beside the key: %v, %v", left, err)
	}
	if _, err := k.Open(sealed[0], []byte("b")); err == nil {
		t.Error("a secret sealed for one endpoint opens for another")
	}
	other := NewKeyring(filepath.Join(t.TempDir(), "webhook.key"))
	if _, id, err := other.Seal("x", nil); err != nil || id == ids[0] {
		t.Errorf("another key has the fingerprint %s, %v", id, err)
	}
	if _, err := other.Open(sealed[0], []byte("a")); err == nil {
		t.Error("another key opens it")
	}
	spoilt := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(spoilt, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewKeyring(spoilt).ID(); err == nil {
		t.Error("a file without a key is taken for one")
	}
}
