package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
)

// Repair reads one object again and stores what the vendor says, as a walk would: a new or changed record, or the mark that it is
// gone. Of one that is as stored, the typed row is written anew. It returns what it did.
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
	return "read again", d.DB.RewriteTyped(ctx, key, e.Table, rec)
}
