package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// ErrErased means that what was to be written names somebody who was erased.
var ErrErased = errors.New("it names somebody who was erased")

// ErrErasureKey means that the key that erased people were hashed with is not here, so that nothing can be landed: it might
// be theirs.
var ErrErasureKey = errors.New("the key of TRUNKLINE_ERASURE_KEY_FILE is not the one that people were erased with")

// ErasureKey hashes names, with a key that the database never sees.
type ErasureKey struct {
	// ID is the key's fingerprint.
	ID string
	// Sum is the keyed hash of a text.
	Sum func(text string) []byte
}

// ErasureGuard keeps out what is told of people who were erased. Its fields are set once, before use.
type ErasureGuard struct {
	// Key returns the key, looking for the one of an ID (empty: any), and makes it where create says so; it fails with
	// ErrErasureKey where there is none. It may return another key than the one that was looked for.
	Key func(id string, create bool) (ErasureKey, error)
	// Facts tells whom a record names.
	Facts func(*pipeline.Record) (pipeline.Facts, error)
	// OptOut makes the record by which a phone stays on the do-not-call list, and nothing else of whom it belongs to. It is a
	// record of an operator's, and since is when the opt-out was told.
	OptOut func(org uuid.UUID, account, phone string, since time.Time) (pipeline.Record, error)
}

const (
	// kindDigits is the kind of a number's digits as text spells them, for what cannot be read as facts.
	kindDigits = "digits"
	// keptOptOuts is the stream of the records that OptOut makes, and keptPrefix begins their ids.
	keptOptOuts = "do_not_call"
	keptPrefix  = "erased-"
)

// The lock of an organisation is shared among those who land, and held alone for the moment in which somebody's hashes are
// written: whoever landed before is then seen by the erasure, and whoever lands later sees the hashes. Who lands for several
// organisations takes their locks in order.
const (
	landingLockSQL = `select pg_advisory_xact_lock_shared(hashtextextended('trunkline.erasure.' || @org::text, 0))`
	erasureLockSQL = `select pg_advisory_xact_lock(hashtextextended('trunkline.erasure.' || @org::text, 0))`
)

const erasureKeysSQL = `
select min(key_id), max(key_id)
from ops.erasures
where org_id = @org`

// erasing returns the key if anybody of the organisation was ever erased, nil if not, and keeps erasures waiting until the
// transaction ends.
func (db *DB) erasing(ctx context.Context, tx pgx.Tx, org uuid.UUID) (*ErasureKey, error) {
	if db.Erased == nil {
		return nil, nil
	}
	// Two statements, for a snapshot is taken before a lock is waited for; one round trip.
	var batch pgx.Batch
	batch.Queue(landingLockSQL, pgx.StrictNamedArgs{"org": org})
	batch.Queue(erasureKeysSQL, pgx.StrictNamedArgs{"org": org})
	results := tx.SendBatch(ctx, &batch)
	var first, last *string
	_, err := results.Exec()
	if err == nil {
		err = results.QueryRow().Scan(&first, &last)
	}
	if err = errors.Join(err, results.Close()); err != nil {
		return nil, fmt.Errorf("asking whether anybody was erased: %w", err)
	}
	if first == nil {
		return nil, nil
	}
	key, err := db.Erased.Key(*first, false)
	if err != nil {
		return nil, err
	}
	if *first != key.ID || *last != key.ID {
		return nil, ErrErasureKey
	}
	return &key, nil
}

// hashOf hashes a name of an organisation's.
func (k *ErasureKey) hashOf(org uuid.UUID, n keyName) []byte { return k.Sum(spelt(org, n)) }

const erasedHashesSQL = `
select hash, erasure_id
from ops.erasure_hashes
where org_id = @org
  and hash = any(@hashes)`

// erasedBy tells which of the things with these names are of somebody who was erased, by index.
func (k *ErasureKey) erasedBy(ctx context.Context, tx pgx.Tx, org uuid.UUID, things []map[keyName]bool) (map[int]uuid.UUID, error) {
	at := map[string][]int{}
	for i, names := range things {
		for n := range names {
			hash := string(k.hashOf(org, n))
			at[hash] = append(at[hash], i)
		}
	}
	hashes := make([][]byte, 0, len(at))
	for hash := range at {
		hashes = append(hashes, []byte(hash))
	}
	rows, err := tx.Query(ctx, erasedHashesSQL, pgx.StrictNamedArgs{"org": org, "hashes": hashes})
	if err != nil {
		return nil, fmt.Errorf("asking who was erased: %w", err)
	}
	found := map[int]uuid.UUID{}
	var hash []byte
	var id uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&hash, &id}, func() error {
		for _, i := range at[string(hash)] {
			// Of several the least, so that it is the same one every time.
			if was, ok := found[i]; !ok || bytes.Compare(id[:], was[:]) < 0 {
				found[i] = id
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("asking who was erased: %w", err)
	}
	return found, nil
}

// keepOut marks the records that name somebody who was erased, so that they are not landed, and counts them. Opt-outs that
// they tell are kept, for the phone alone, as the records kept: who does not want to be called must not be, least of all by a list
// that forgot it. One that gives no phone is kept for the phones that the erasure sealed for the id that it gives, or else
// quarantined for a person to see to.
func (db *DB) keepOut(ctx context.Context, tx pgx.Tx, t *Target, recs []*LandRecord) (erased int, kept []int64, err error) {
	if t.Source == pipeline.SourceOperator && t.Stream == keptOptOuts {
		return 0, nil, nil
	}
	key, err := db.erasing(ctx, tx, t.Org)
	if err != nil || key == nil {
		return 0, nil, err
	}
	things, facts := make([]map[keyName]bool, len(recs)), make([]pipeline.Facts, len(recs))
	for i, r := range recs {
		things[i], facts[i] = db.Erased.names(t, r)
	}
	found, err := key.erasedBy(ctx, tx, t.Org, things)
	if err != nil || len(found) == 0 {
		return 0, nil, err
	}
	by := map[uuid.UUID]int{}
	for _, i := range slices.Sorted(maps.Keys(found)) {
		recs[i].erased = true
		by[found[i]]++
		ids, err := db.keepOptOuts(ctx, tx, key, t, recs[i], &facts[i])
		if err != nil {
			return 0, nil, err
		}
		kept = append(kept, ids...)
	}
	return len(found), kept, db.countKeptOut(ctx, tx, by)
}

// names tells whom a record names. One that cannot be read, or names nobody, may still hold a number in its text.
func (g *ErasureGuard) names(t *Target, r *LandRecord) (names map[keyName]bool, facts pipeline.Facts) {
	defer func() {
		if recover() != nil {
			names, facts = mentioned(r.Payload), pipeline.Facts{}
		}
	}()
	rec := pipeline.Record{
		Org: t.Org, Account: t.Account, Source: t.Source, Stream: t.Stream, ObjectID: r.ObjectID, Payload: r.Payload,
		SourceTime: r.SourceTime, ZoneAssumed: r.ZoneAssumed, ObservedAt: r.ObservedAt, FirstSeenAt: r.ObservedAt,
	}
	facts, err := g.Facts(&rec)
	if err == nil {
		names = namesOf(&facts)
	}
	if len(names) == 0 {
		names = mentioned(r.Payload)
	}
	return names, facts
}

// scrubbed tells whether a text, or what is known of it otherwise, names somebody who was erased, for what is kept as bytes. It
// keeps erasures waiting until the transaction ends.
func (db *DB) scrubbed(ctx context.Context, tx pgx.Tx, org uuid.UUID, text []byte, known ...keyName) (bool, error) {
	key, err := db.erasing(ctx, tx, org)
	if err != nil || key == nil {
		return false, err
	}
	names := mentioned(text)
	for _, n := range known {
		names[n] = true
	}
	found, err := key.erasedBy(ctx, tx, org, []map[keyName]bool{names})
	return len(found) > 0, err
}

// scrubItem takes out of an item what names somebody who was erased.
func (db *DB) scrubItem(ctx context.Context, tx pgx.Tx, item *QuarantineItem) error {
	named, err := db.scrubbed(ctx, tx, item.Org, []byte(item.ObjectID))
	if err != nil {
		return err
	}
	erased := named
	if !named {
		if erased, err = db.scrubbed(ctx, tx, item.Org, item.Body, nameOfItem(item)...); err != nil {
			return err
		}
	}
	if erased {
		item.Body, item.Context = nil, nil
	}
	if named {
		item.ObjectID = "erased"
	}
	return nil
}

// nameOfItem is what an item that could not be read is known by, where its id could be.
func nameOfItem(item *QuarantineItem) []keyName {
	if item.Source != pipeline.SourceIPSCAPE || item.ObjectID == "" {
		return nil
	}
	switch item.Stream {
	case "leads":
		return []keyName{{string(pipeline.KeyIPSCAPELead), item.Account, item.ObjectID}}
	case "activities":
		return []keyName{{callKind(pipeline.SourceIPSCAPE), item.Account, item.ObjectID}}
	}
	return nil
}
