package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Writer takes writes of our own HTTP API: records of source api, folded in the transaction that lands them, so that the
// answer shows what they came to.
type Writer struct {
	db   *DB
	fold *Reconciler
	// slots bounds the connections that writes hold while they wait for a fold under way, so that reads have some left.
	slots chan struct{}
}

const writerSlots = 8

// NewWriter makes a writer that folds with the given rules.
func NewWriter(db *DB, fold *Reconciler) *Writer {
	return &Writer{db: db, fold: fold, slots: make(chan struct{}, writerSlots)}
}

// Answer is what a write is answered with.
type Answer struct {
	Status int
	Body   []byte
	// Replayed tells that an earlier request with the same idempotency key got this answer.
	Replayed bool
}

// Write runs work in one transaction that nobody else's fold of the organisation comes between, and commits what it landed
// together with its answer under the idempotency key, where there is one. An error rolls all of it back. work may be called
// twice.
func (w *Writer) Write(ctx context.Context, org uuid.UUID, key *IdempotencyKey, work func(ctx context.Context, tx *OwnWrite) (Answer, error)) (Answer, error) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("waiting to write for the api: %w", ctx.Err())
	}
	answer, err := w.write(ctx, org, key, work)
	if lostRace(err) {
		// A fold and an opt-out that waited for each other: one of them was rolled back, and may simply go again.
		answer, err = w.write(ctx, org, key, work)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("writing for the api: %w", Quiet(err))
	}
	return answer, nil
}

func (w *Writer) write(ctx context.Context, org uuid.UUID, key *IdempotencyKey, work func(ctx context.Context, tx *OwnWrite) (Answer, error)) (answer Answer, err error) {
	var own *OwnWrite
	err = w.db.InTx(ctx, func(tx pgx.Tx) error {
		if key != nil {
			before, done, err := claimIdempotency(ctx, tx, org, key, w.db.Now())
			if err != nil || done {
				answer = before
				return err
			}
		}
		if err := lockFold(ctx, tx, org); err != nil {
			return err
		}
		var err error
		// The time is taken under the lock: who comes later says the later word.
		own = &OwnWrite{w: w, tx: tx, org: org, now: w.db.Now()}
		if answer, err = work(ctx, own); err != nil || key == nil {
			return err
		}
		return keepIdempotency(ctx, tx, org, key, answer, own.now)
	})
	if errors.Is(err, ErrErased) && len(own.refused) > 0 {
		// Nothing of it stays, save that somebody does not want to be called: that has to hold before it is answered (law 6).
		if kept := w.keepRefused(ctx, own); kept != nil {
			err = kept
		}
	}
	return answer, err
}

// refusal is a record that names somebody who was erased, with the opt-outs that came with it.
type refusal struct {
	target  Target
	record  LandRecord
	optOuts []suppressionRow
}

// keepRefused lands what was refused once more, which keeps its opt-outs and nothing else of it.
func (w *Writer) keepRefused(ctx context.Context, own *OwnWrite) error {
	return w.db.InTx(ctx, func(tx pgx.Tx) error {
		if err := lockFold(ctx, tx, own.org); err != nil {
			return err
		}
		var kept []int64
		for i := range own.refused {
			r := &own.refused[i]
			if err := suppress(ctx, tx, r.optOuts, own.now); err != nil {
				return err
			}
			landed, err := w.db.Land(ctx, tx, r.target, []LandRecord{r.record}, LandOptions{Bump: true})
			if err != nil {
				return err
			}
			if landed.Erased == 0 {
				return errVanished // the erasure was taken back this moment
			}
			kept = append(kept, landed.Kept...)
		}
		return w.fold.FoldNow(ctx, tx, own.org, kept)
	})
}

// OwnWrite is one write under way.
type OwnWrite struct {
	w   *Writer
	tx  pgx.Tx
	org uuid.UUID
	now time.Time
	// refused are records that are not to be kept.
	refused []refusal
}

// Now is the write's time (UTC).
func (o *OwnWrite) Now() time.Time { return o.now }

// OwnRecord is one object of a write.
type OwnRecord struct {
	Stream   string
	ObjectID string
	// Payload is marshalled as JSON.
	Payload any
	// SourceTime is when what it tells happened; zero = now.
	SourceTime time.Time
}

// Land stores the records and folds them. Opt-outs among them cancel what was ready to ring in this very transaction
// (law 6). It fails with ErrErased where one names somebody who was erased; then only the opt-outs that such a one tells stay.
func (o *OwnWrite) Land(ctx context.Context, records []OwnRecord, optOuts []Suppression) error {
	rows := make([]suppressionRow, 0, len(optOuts))
	for _, s := range optOuts {
		rows = append(rows, suppressionRow{s, o.org, string(pipeline.SourceAPI), o.now})
	}
	// Their locks come first: rows of deliveries are locked after them everywhere.
	if err := suppress(ctx, o.tx, rows, o.now); err != nil {
		return err
	}
	var written []int64
	for _, r := range records {
		payload, err := json.Marshal(r.Payload)
		if err != nil {
			return fmt.Errorf("making record %s/%s: %w", r.Stream, r.ObjectID, err)
		}
		target := Target{Org: o.org, Account: DefaultAccount, Source: pipeline.SourceAPI, Stream: r.Stream}
		at, err := o.after(ctx, &target, r.ObjectID)
		if err != nil {
			return err
		}
		rec := LandRecord{ObjectID: r.ObjectID, Payload: payload, ObservedAt: at, SourceTime: r.SourceTime}
		landed, err := o.w.db.Land(ctx, o.tx, target, []LandRecord{rec}, LandOptions{Bump: true})
		if err != nil {
			return err
		}
		if landed.Erased > 0 {
			rec.erased = false
			o.refused = append(o.refused, refusal{target, rec, rowsOf(rows, r.Stream, r.ObjectID)})
		}
		written = append(written, landed.Records...)
	}
	if len(o.refused) > 0 {
		return ErrErased
	}
	return o.w.fold.FoldNow(ctx, o.tx, o.org, written)
}

func rowsOf(rows []suppressionRow, stream, object string) []suppressionRow {
	return slices.DeleteFunc(slices.Clone(rows), func(r suppressionRow) bool { return r.Stream != stream || r.ObjectID != object })
}

const ownObservedSQL = `
select observed_at
from ops.records
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id`

// after returns the time of the write, moved behind the object's present version: another daemon's clock may be ahead, and
// what is written now is the last word.
func (o *OwnWrite) after(ctx context.Context, t *Target, object string) (time.Time, error) {
	var before time.Time
	err := o.tx.QueryRow(ctx, ownObservedSQL, pgx.StrictNamedArgs{
		"org": t.Org, "account": t.Account, "source": string(t.Source), "stream": t.Stream, "object_id": object,
	}).Scan(&before)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return o.now, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("reading record %s/%s: %w", t.Stream, object, err)
	case !before.Before(o.now):
		return before.UTC().Add(time.Microsecond), nil
	}
	return o.now, nil
}
