package store

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// KeptReason is the reason of an opt-out of which nothing else is kept.
const KeptReason = "opt_out"

// kindOptOut is the kind of the hash of an opt-out that was lifted before its person was erased.
const kindOptOut = "opt-out"

// keptOptOut is a record that says no more than that a phone must not be called.
type keptOptOut struct {
	object string
	// ids are the record's, if it was written.
	ids []int64
}

// toldOptOut is an opt-out as a record told it.
type toldOptOut struct {
	// account and by name the record: its account, and source/stream/object.
	account, by string
	phone       string
	since       time.Time
}

// sinceOf is since when an opt-out is told to hold: since the time that it says itself, else its source's, unless that lies ahead of
// our clock, else ours, which is that of the look that read it; the fold has the first look's.
func sinceOf(d *pipeline.DNCFact, told, observed time.Time) time.Time {
	switch {
	case !d.Since.IsZero():
		return d.Since.UTC()
	case !told.IsZero() && !told.After(observed):
		return told.UTC()
	}
	return observed.UTC()
}

// name is what is hashed of it. Told again it has the same one.
func (o *toldOptOut) name() keyName { return keyName{kindOptOut, o.phone, o.by} }

const optOutLiftedSQL = `
select exists (
  select
  from ops.erasure_hashes
  where org_id = @org and hash = @hash and kind = 'opt-out')`

// keepOptOut lands a record that keeps an opt-out. Its id is the hash of the fact which told it: told again it is the same one,
// and a lift that came between, or before the erasure, holds (law 6).
func (db *DB) keepOptOut(ctx context.Context, tx pgx.Tx, key *ErasureKey, org uuid.UUID, o *toldOptOut) (keptOptOut, error) {
	hash := key.hashOf(org, o.name())
	var lifted bool
	if err := tx.QueryRow(ctx, optOutLiftedSQL, pgx.StrictNamedArgs{"org": org, "hash": hash}).Scan(&lifted); err != nil || lifted {
		return keptOptOut{}, err
	}
	rec, err := db.Erased.OptOut(org, o.account, o.phone, o.since)
	if err != nil {
		return keptOptOut{}, err
	}
	kept := keptOptOut{object: keptPrefix + hex.EncodeToString(hash[:16])}
	target := Target{Org: org, Account: o.account, Source: pipeline.SourceOperator, Stream: keptOptOuts}
	landed, err := db.Land(ctx, tx, target, []LandRecord{{
		ObjectID: kept.object, Payload: rec.Payload, SourceTime: rec.SourceTime, ObservedAt: db.Now(),
	}}, LandOptions{})
	kept.ids = landed.Records
	return kept, err
}
