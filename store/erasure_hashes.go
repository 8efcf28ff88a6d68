package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// hashes are the names under which nothing of them is to be kept again. The e-mail address as text is hashed as it is as a key.
func (p *person) hashes() map[keyName]bool {
	all := maps.Clone(p.names)
	for _, phone := range p.phones() {
		for _, digits := range pipeline.Digits(phone) {
			all[keyName{Kind: kindDigits, Value: digits}] = true
		}
	}
	return all
}

// What is found of them later is sealed too.
const erasureHashesSQL = `
insert into ops.erasure_hashes as h (org_id, hash, kind, erasure_id, sealed)
select @org, n.hash, n.kind, @id, n.sealed
from unnest(@hashes::bytea[], @kinds::text[], @sealed::bytea[]) as n (hash, kind, sealed)
order by n.hash
on conflict (org_id, hash) do update
set sealed = excluded.sealed
where h.erasure_id = excluded.erasure_id and excluded.sealed is not null`

const phonesOfLeadsSQL = `
select distinct value
from pipeline.lead_keys
where org_id = @org and lead_id = any(@leads) and kind = 'phone'`

// keepHashes keeps out what names the person from when it is committed; tx holds the lock of who lands alone. The ids of their
// leads and calls hold their phones sealed, those too that others have: an opt-out by such an id is for each of them.
func (p *person) keepHashes(ctx context.Context, tx pgx.Tx, key *ErasureKey, id uuid.UUID) error {
	rows, err := tx.Query(ctx, phonesOfLeadsSQL, pgx.StrictNamedArgs{"org": p.org, "leads": p.leads})
	if err != nil {
		return fmt.Errorf("reading phones of leads: %w", err)
	}
	phones, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reading phones of leads: %w", err)
	}
	phones = append(phones, p.phones()...)
	slices.Sort(phones)
	phones = slices.Compact(phones)
	var hashes, sealed [][]byte
	var kinds []string
	for n := range p.hashes() {
		var own []byte
		if n.sealable() {
			if own, err = key.seal(p.org, n, phones); err != nil {
				return err
			}
		}
		hashes, kinds, sealed = append(hashes, key.hashOf(p.org, n)), append(kinds, n.Kind), append(sealed, own)
	}
	_, err = tx.Exec(ctx, erasureHashesSQL, pgx.StrictNamedArgs{"org": p.org, "id": id, "hashes": hashes, "kinds": kinds, "sealed": sealed})
	if err != nil {
		return fmt.Errorf("keeping the hashes: %w", err)
	}
	return nil
}

const hashesKeptSQL = `
select count(*)
from ops.erasure_hashes
where org_id = @org and hash = any(@hashes)`

// kept tells whether each name of the person is kept as a hash.
func (p *person) kept(ctx context.Context, tx pgx.Tx, key *ErasureKey) (bool, error) {
	var hashes [][]byte
	for n := range p.hashes() {
		hashes = append(hashes, key.hashOf(p.org, n))
	}
	var kept int
	if err := tx.QueryRow(ctx, hashesKeptSQL, pgx.StrictNamedArgs{"org": p.org, "hashes": hashes}).Scan(&kept); err != nil {
		return false, fmt.Errorf("asking which hashes are kept: %w", err)
	}
	return kept == len(hashes), nil
}
