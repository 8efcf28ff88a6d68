// Package keyfile keeps a secret key in a file beside the daemon: what the database holds then says nothing to who has but a
// dump of it.
package keyfile

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
)

// Size is the length of a key in bytes; its file holds it in hex.
const Size = 32

// Read returns the key of a file; the error is fs.ErrNotExist where there is none.
func Read(path string) ([]byte, error) {
	text, err := os.ReadFile(path) //nolint:gosec // an operator names it
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != Size {
		return nil, fmt.Errorf("the file holds no key: want %d hexadecimal digits", 2*Size)
	}
	return key, nil
}

// ReadOrMake is Read, and makes a new key where there is none: whole or not at all, mode 0600. Where another process is first,
// its key stands.
func ReadOrMake(path string) ([]byte, error) {
	key, err := Read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	return Read(path)
}

func create(path string) error {
	key := make([]byte, Size)
	// It never fails: crypto/rand ends the process instead.
	_, _ = rand.Read(key)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Sum returns the HMAC-SHA-256 of a text.
func Sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(text))
	return mac.Sum(nil)
}

// Fingerprint tells keys apart and nothing of them; use is what the key is for.
func Fingerprint(key []byte, use string) string { return hex.EncodeToString(Sum(key, use)[:8]) }
