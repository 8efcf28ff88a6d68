package erasure

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/trunkline/trunkline/sync/keyfile"
)

// ErrNoKey means that the key's file is not there.
var ErrNoKey = errors.New("there is no erasure key")

// Key hashes what named a person.
type Key struct {
	// ID is the key's fingerprint, which tells keys apart and nothing of them.
	ID string

	secret []byte
}

// Sum returns the HMAC-SHA-256 of a text.
func (k *Key) Sum(text string) []byte { return keyfile.Sum(k.secret, text) }

// Keyring reads the key from its file when it is first needed, and again when another one is wanted. It is safe for concurrent
// use.
type Keyring struct {
	path string

	mu  sync.Mutex
	key *Key
}

// NewKeyring returns a keyring on a file that need not be there yet.
func NewKeyring(path string) *Keyring { return &Keyring{path: path} }

// Key returns the key; ErrNoKey where its file is missing, unless it is to be made. Where the key held is not the one of the
// given ID, the file is read again: an operator may have put the right one there. An empty ID means any key.
func (k *Keyring) Key(id string, create bool) (*Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil && (id == "" || k.key.ID == id) {
		return k.key, nil
	}
	read := keyfile.Read
	if create {
		read = keyfile.ReadOrMake
	}
	secret, err := read(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", k.path, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the erasure key: %w", err)
	}
	k.key = &Key{ID: keyfile.Fingerprint(secret, "trunkline erasure key"), secret: secret}
	return k.key, nil
}
