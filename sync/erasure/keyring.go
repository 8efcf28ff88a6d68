package erasure

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// keySize is the length of the key in bytes; its file holds it in hex.
const keySize = 32

// ErrNoKey means that the key's file is not there.
var ErrNoKey = errors.New("there is no erasure key")

// Key hashes what named a person.
type Key struct {
	// ID is the key's fingerprint, which tells keys apart and nothing of them.
	ID string

	secret []byte
}

// Sum returns the HMAC-SHA-256 of a text.
func (k *Key) Sum(text string) []byte {
	mac := hmac.New(sha256.New, k.secret)
	_, _ = mac.Write([]byte(text))
	return mac.Sum(nil)
}

// Keyring reads the key from its file when it is first needed. It is safe for concurrent use.
type Keyring struct {
	path string

	mu  sync.Mutex
	key *Key
}

// NewKeyring returns a keyring on a file that need not be there yet.
func NewKeyring(path string) *Keyring { return &Keyring{path: path} }

// Key returns the key; ErrNoKey where its file is missing, unless it is to be made.
func (k *Keyring) Key(create bool) (*Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	key, err := k.read()
	if errors.Is(err, ErrNoKey) && create {
		if err = makeKey(k.path); err == nil {
			key, err = k.read()
		}
	}
	if err != nil {
		return nil, err
	}
	k.key = key
	return key, nil
}

func (k *Keyring) read() (*Key, error) {
	text, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", k.path, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the erasure key: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != keySize {
		return nil, fmt.Errorf("the erasure key file holds no key: want %d hexadecimal digits", 2*keySize)
	}
	key := &Key{secret: secret}
	key.ID = hex.EncodeToString(key.Sum("trunkline erasure key")[:8])
	return key, nil
}

// makeKey writes a new key whole or not at all, mode 0600; where another process was first, its key stands.
func makeKey(path string) error {
	secret := make([]byte, keySize)
	// It never fails: crypto/rand ends the process instead.
	_, _ = rand.Read(secret)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the erasure key: %w", err)
	}
	file, err := os.CreateTemp(dir, ".erasure-key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("making the erasure key: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(hex.EncodeToString(secret) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("making the erasure key: %w", err)
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the erasure key: %w", err)
	}
	return nil
}
