package store

import (
	"crypto/sha256"
	"encoding/hex"
)

// keyHash is a hash over a set of rows, in whatever order they come: the sum of their SHA-256 values.
type keyHash struct {
	sum [sha256.Size]byte
}

// add takes one row: its table, its key and its content.
func (h *keyHash) add(parts ...string) {
	d := sha256.New()
	for _, p := range parts {
		// Each part's end shows, so that no two rows read alike.
		_, _ = d.Write([]byte(p))
		_, _ = d.Write([]byte{0})
	}
	row := d.Sum(nil)
	carry := 0
	for i := len(h.sum) - 1; i >= 0; i-- {
		carry += int(h.sum[i]) + int(row[i])
		h.sum[i] = byte(carry)
		carry >>= 8
	}
}

// String is the hash in hex.
func (h *keyHash) String() string { return hex.EncodeToString(h.sum[:]) }
