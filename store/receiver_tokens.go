package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// receiverTokenBytes makes tokens of 256 bit.
const receiverTokenBytes = 32

const organisationReceiverSQL = `
update ops.organisations
set receiver_token_hash = @hash
where org_id = @org_id
  and (receiver_token_hash is null or @rotate)`

const organisationExistsSQL = `
select exists (select from ops.organisations where org_id = @org_id)`

// MakeReceiverToken makes the one token that opens an organisation's receivers and returns its text, of which only the
// SHA-256 is kept. Where there is one already it returns ErrExists, unless rotate asks to replace it: the old token stops
// working at once. An unknown organisation is ErrNotFound.
func (db *DB) MakeReceiverToken(ctx context.Context, org uuid.UUID, rotate bool) (string, error) {
	token := randomText(receiverTokenBytes)
	hash := HashReceiverToken(token)
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, organisationReceiverSQL, pgx.StrictNamedArgs{"org_id": org, "hash": hash[:], "rotate": rotate})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 1 {
			return nil
		}
		var exists bool
		if err := tx.QueryRow(ctx, organisationExistsSQL, pgx.StrictNamedArgs{"org_id": org}).Scan(&exists); err != nil {
			return err
		}
		if exists {
			return ErrExists
		}
		return ErrNotFound
	})
	if err != nil {
		return "", fmt.Errorf("making the receiver token of organisation %s: %w", org, err)
	}
	return token, nil
}

// HashReceiverToken returns the form in which a receiver token is kept and compared.
func HashReceiverToken(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

const receiverTokensSQL = `
select receiver_token_hash, org_id
from ops.organisations
where receiver_token_hash is not null`

// ReceiverTokens returns the organisation of every receiver token, by the token's hash.
func (db *DB) ReceiverTokens(ctx context.Context) (map[[sha256.Size]byte]uuid.UUID, error) {
	tokens := map[[sha256.Size]byte]uuid.UUID{}
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, receiverTokensSQL)
		if err != nil {
			return err
		}
		var (
			hash []byte
			org  uuid.UUID
		)
		_, err = pgx.ForEachRow(rows, []any{&hash, &org}, func() error {
			if len(hash) == sha256.Size {
				tokens[[sha256.Size]byte(hash)] = org
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading receiver tokens: %w", err)
	}
	return tokens, nil
}

// tokenAlphabet is safe in a URL path and in a header, and is read aloud without upper case.
const tokenAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

// randomText returns text with as many random bits as n bytes hold: 8/5 characters a byte, five bits each.
func randomText(n int) string {
	// The length is rounded up to whole characters.
	raw := make([]byte, (n*8+4)/5)
	_, _ = rand.Read(raw) // never fails
	for i, b := range raw {
		raw[i] = tokenAlphabet[b&31]
	}
	return string(raw)
}
