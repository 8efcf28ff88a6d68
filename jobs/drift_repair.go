package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
)

// Repair reads one object again and stores what the vendor says, as a walk would: a new or changed record, or the mark that it is
// gone, which it believes only at a second look. Of one that is as stored, the typed row is written anew. It returns what it did.
func (d *Drift) Repair(ctx context.Context, key store.StreamKey, id string) (did string, err error) {
	e, ok := d.Entry(key)
	if !ok || !Driftable(e) {
		return "", fmt.Errorf("%s cannot be read by ids", key)
	}
	l := &driftLook{Drift: d, key: key, entry: e}
	done := store.Refetched{
		// Nobody's lease: what waits to be read again stays queued.
		Refetch: store.Refetch{Key: key, ObjectID: id, Owner: uuid.New()}, Table: e.Table, AskedAt: d.Now().UTC(),
		Enqueue: func(ctx context.Context, tx pgx.Tx, _ int) error { return d.Queue.WakeReconcile(ctx, tx) },
	}
	rec, err := l.ask(ctx, id)
	if errors.Is(err, ErrGone) {
		rec, err = l.askAgain(ctx, id)
	}
	switch {
	case errors.Is(err, ErrGone):
		return "marked as gone", d.DB.SettleRefetch(ctx, done)
	case err != nil:
		return "", fmt.Errorf("reading %s %s: %w", key, id, err)
	case rec == nil:
		return "", fmt.Errorf("%s %s cannot be mapped; a walk puts it into quarantine", key, id)
	}
	done.Record, done.AskedAt = rec, rec.ObservedAt
	if err := d.DB.SettleRefetch(ctx, done); err != nil {
		return "", err
	}
	err = d.DB.RewriteTyped(ctx, key, e.Table, rec)
	if errors.Is(err, store.ErrRefused) {
		return "put into quarantine: postgres refuses what the vendor says", nil
	}
	return "read again", err
}

// witnesses is how many other objects are asked for before it is believed that one is gone.
const witnesses = 3

// askAgain looks a second time for an object that was not found, once the vendor has found another one that is here: a gateway that
// has lost its vendor, or a path that is guessed wrong, finds nothing at all.
func (l *driftLook) askAgain(ctx context.Context, id string) (*store.LandRecord, error) {
	others, err := l.DB.DriftSample(ctx, l.key, l.entry.Table, witnesses+1)
	if err != nil {
		return nil, err
	}
	others = slices.DeleteFunc(others, func(other string) bool { return other == id })
	for _, other := range others[:min(len(others), witnesses)] {
		switch _, err := l.ask(ctx, other); {
		case err == nil:
			return l.ask(ctx, id)
		case !errors.Is(err, ErrGone):
			return nil, fmt.Errorf("looking whether the vendor finds others: %w", err)
		}
	}
	if len(others) == 0 {
		return nil, errors.New("the vendor does not find it, and it is the only one that is here: that it is gone is not believed without another one that the vendor finds")
	}
	return nil, fmt.Errorf("the vendor finds neither it nor any of %d others that are here: that it is gone is not believed", min(len(others), witnesses))
}
