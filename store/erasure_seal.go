package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// reasonOptOutOfErased is why an item is in quarantine: an opt-out that names an erased person, and no phone can be found for it.
const reasonOptOutOfErased = "opt_out_of_erased"

// sealer returns the cipher of a name. Its key is made of the name itself: without it, which the database does not hold, nobody
// opens what was sealed, not even with the file's key, short of trying all names there are.
func (k *ErasureKey) sealer(org uuid.UUID, n keyName) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.Sum("phones of\x00" + spelt(org, n)))
	if err != nil {
		return nil, fmt.Errorf("sealing phones: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sealing phones: %w", err)
	}
	return aead, nil
}

// seal encrypts phones for whoever comes with a name.
func (k *ErasureKey) seal(org uuid.UUID, n keyName, phones []string) ([]byte, error) {
	aead, err := k.sealer(org, n)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	// It never fails: crypto/rand ends the process instead.
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, []byte(strings.Join(phones, "\n")), nil), nil
}

// open decrypts what seal made for the same name.
func (k *ErasureKey) open(org uuid.UUID, n keyName, sealed []byte) ([]string, error) {
	aead, err := k.sealer(org, n)
	if err != nil {
		return nil, err
	}
	size := aead.NonceSize()
	if len(sealed) < size {
		return nil, errors.New("sealed phones are too short")
	}
	plain, err := aead.Open(nil, sealed[:size], sealed[size:], nil)
	if err != nil {
		return nil, errors.New("phones were sealed with another key")
	}
	return strings.Fields(string(plain)), nil
}

// sealable tells whether a name is one that an opt-out may give without a phone: a lead's id at a vendor or here, or a call's.
func (n keyName) sealable() bool {
	return n.Kind != string(pipeline.KeyPhone) && n.Kind != string(pipeline.KeyEmail) && n.Kind != kindDigits
}

const sealedOfHashesSQL = `
select hash, sealed
from ops.erasure_hashes
where org_id = @org and hash = any(@hashes)`

// The phones of somebody who was not erased, whom the same record named.
const phonesOfNamesSQL = `
select p.value
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
join pipeline.lead_keys k
  on k.org_id = @org and k.kind = n.kind and k.account_id = n.account_id and k.value = n.value
join pipeline.lead_keys p on p.org_id = k.org_id and p.lead_id = k.lead_id and p.kind = 'phone'`

// phonesOf finds the phones of whom an opt-out names by ids alone, of a lead or a call. It reports false where none of them leads to
// anybody that is known, so that the opt-out cannot be kept as a phone.
func (k *ErasureKey) phonesOf(ctx context.Context, tx pgx.Tx, org uuid.UUID, names map[keyName]bool) (phones []string, known bool, err error) {
	open := map[string]keyName{}
	for n := range names {
		open[string(k.hashOf(org, n))] = n
	}
	hashes := make([][]byte, 0, len(open))
	for hash := range open {
		hashes = append(hashes, []byte(hash))
	}
	rows, err := tx.Query(ctx, sealedOfHashesSQL, pgx.StrictNamedArgs{"org": org, "hashes": hashes})
	if err != nil {
		return nil, false, fmt.Errorf("reading sealed phones: %w", err)
	}
	var hash, sealed []byte
	_, err = pgx.ForEachRow(rows, []any{&hash, &sealed}, func() error {
		if sealed == nil {
			return nil
		}
		own, err := k.open(org, open[string(hash)], sealed)
		if err != nil {
			return err
		}
		if len(own) == 0 {
			return nil // they had no phone
		}
		phones, known = append(phones, own...), true
		delete(open, string(hash))
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading sealed phones: %w", err)
	}
	others := slices.Collect(maps.Values(open))
	kinds, accounts, values := columns(others)
	rows, err = tx.Query(ctx, phonesOfNamesSQL, pgx.StrictNamedArgs{"org": org, "kinds": kinds, "accounts": accounts, "values": values})
	if err != nil {
		return nil, false, fmt.Errorf("reading phones of leads: %w", err)
	}
	theirs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, false, fmt.Errorf("reading phones of leads: %w", err)
	}
	return append(phones, theirs...), known || len(theirs) > 0, nil
}
