package webhook

import (
	"crypto/aes"
	"crypto/cipher"
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

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// keySize is the length of the key in bytes; its file holds it in hex.
const keySize = 32

// Keyring seals signing secrets, so that the database holds nothing that one could sign with. The key lies in a file, which
// is made on first use; every daemon that sends webhooks, or makes endpoints, needs the same.
type Keyring struct {
	path string

	mu   sync.Mutex
	aead cipher.AEAD
	id   string
}

// NewKeyring returns a keyring on a file that need not be there yet.
func NewKeyring(path string) *Keyring { return &Keyring{path: path} }

// ID returns the fingerprint of the key, empty while there is none.
func (k *Keyring) ID() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.load()
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return k.id, err
}

// Seal encrypts a secret for an endpoint, and makes the key if there is none yet. It returns the fingerprint of the key too.
func (k *Keyring) Seal(secret vendorapi.Secret, endpoint []byte) (sealed []byte, keyID string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err = k.load()
	if errors.Is(err, fs.ErrNotExist) {
		if err = k.create(); err == nil {
			err = k.load()
		}
	}
	if err != nil {
		return nil, "", err
	}
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, "", fmt.Errorf("sealing a webhook secret: %w", err)
	}
	return k.aead.Seal(nonce, nonce, []byte(secret.Reveal()), endpoint), k.id, nil
}

// Open decrypts what Seal made for the same endpoint.
func (k *Keyring) Open(sealed, endpoint []byte) (vendorapi.Secret, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(); err != nil {
		return "", err
	}
	size := k.aead.NonceSize()
	if len(sealed) < size {
		return "", errors.New("a sealed webhook secret is too short")
	}
	plain, err := k.aead.Open(nil, sealed[:size], sealed[size:], endpoint)
	if err != nil {
		return "", errors.New("a webhook secret was sealed with another key")
	}
	return vendorapi.Secret(plain), nil
}

// load reads the key once.
func (k *Keyring) load() error {
	if k.aead != nil {
		return nil
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return fmt.Errorf("reading the webhook key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return fmt.Errorf("the webhook key file holds no key: want %d hexadecimal digits", 2*keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("reading the webhook key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return fmt.Errorf("reading the webhook key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte("trunkline webhook key"))
	k.aead, k.id = aead, hex.EncodeToString(mac.Sum(nil)[:8])
	return nil
}

// create writes a new key whole or not at all; where another process was first, its key stands.
func (k *Keyring) create() error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("making the webhook key: %w", err)
	}
	dir := filepath.Dir(k.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the webhook key: %w", err)
	}
	file, err := os.CreateTemp(dir, ".webhook-key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("making the webhook key: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("making the webhook key: %w", err)
	}
	if err := os.Link(file.Name(), k.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the webhook key: %w", err)
	}
	return nil
}

// NewSecret returns a signing secret for an owner who names none.
func NewSecret() vendorapi.Secret {
	text := make([]byte, 32)
	// It never fails: crypto/rand ends the process instead.
	_, _ = rand.Read(text)
	return vendorapi.Secret("whsec_" + hex.EncodeToString(text))
}
