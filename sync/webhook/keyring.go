package webhook

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/trunkline/trunkline/sync/keyfile"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Keyring seals signing secrets, so that the database holds nothing that one could sign with. The key lies in a file, which
// is made on first use; every daemon that sends webhooks, or makes endpoints, needs the same.
type Keyring struct {
	path string

	mu   sync.Mutex
	aead cipher.AEAD
	id   string
	// marks is the key of Mark.
	marks []byte
}

// NewKeyring returns a keyring on a file that need not be there yet.
func NewKeyring(path string) *Keyring { return &Keyring{path: path} }

// ID returns the fingerprint of the key, empty while there is none.
func (k *Keyring) ID() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.load(false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return k.id, err
}

// Seal encrypts a secret for an endpoint, and makes the key if there is none yet. It returns the fingerprint of the key too.
func (k *Keyring) Seal(secret vendorapi.Secret, endpoint []byte) (sealed []byte, keyID string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(true); err != nil {
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
	if err := k.load(false); err != nil {
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

// Mark returns a text that is the same for the same secret, and tells nothing of it to who has not the key. It makes the key if there is
// none yet.
func (k *Keyring) Mark(secret vendorapi.Secret) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(true); err != nil {
		return "", err
	}
	return hex.EncodeToString(keyfile.Sum(k.marks, secret.Reveal())), nil
}

// load reads the key once. The error is fs.ErrNotExist where there is none, unless it is to be made.
func (k *Keyring) load(create bool) error {
	if k.aead != nil {
		return nil
	}
	read := keyfile.Read
	if create {
		read = keyfile.ReadOrMake
	}
	key, err := read(k.path)
	if err != nil {
		return fmt.Errorf("reading the webhook key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("reading the webhook key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return fmt.Errorf("reading the webhook key: %w", err)
	}
	k.aead, k.id, k.marks = aead, keyfile.Fingerprint(key, "trunkline webhook key"), keyfile.Sum(key, "trunkline webhook marks")
	return nil
}

// NewSecret returns a signing secret for an owner who names none.
func NewSecret() vendorapi.Secret {
	text := make([]byte, 32)
	// It never fails: crypto/rand ends the process instead.
	_, _ = rand.Read(text)
	return vendorapi.Secret("whsec_" + hex.EncodeToString(text))
}
