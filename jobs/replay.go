package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// Replayer tries again what lies in quarantine, by the mapping of this program. Its fields are set once, before use.
type Replayer struct {
	DB    *store.DB
	Fold  *store.Reconciler
	Inbox *store.InboxDrain
	// Stream finds how the items of a list are read, false where its source is off.
	Stream func(source pipeline.Source, stream string) (*walk.Stream, *store.TypedTable, bool)
	// Patience is how long to wait for a daemon that is at work on what was handed over.
	Patience time.Duration
}

// Replayed is what became of one item.
type Replayed struct {
	ID     uuid.UUID
	Source string
	Stream string
	Fixed  bool
	// Why says what keeps an item that is left.
	Why string
}

// Replay tries items again and returns what became of each. A record whose facts could not be read goes to the fold again, a
// post to the inbox, an item of a walk is mapped and landed.
func (r *Replayer) Replay(ctx context.Context, ids []uuid.UUID) ([]Replayed, error) {
	out := make([]Replayed, len(ids))
	var records []int64
	posts := false
	for i, id := range ids {
		item, err := r.DB.GetQuarantine(ctx, r.DB.Pool, id)
		if err != nil {
			return nil, err
		}
		out[i] = Replayed{ID: id, Source: item.Source, Stream: item.Stream}
		written, why, err := r.again(ctx, &item, nil)
		if err != nil {
			return nil, err
		}
		_, post := item.Post()
		posts = posts || post
		records, out[i].Why = append(records, written...), why
	}
	if posts {
		if err := drained(r.Inbox.Drain(ctx)); err != nil {
			return nil, err
		}
	}
	if err := r.Await(ctx, records); err != nil {
		return nil, err
	}
	for i := range out {
		if out[i].Why != "" {
			continue
		}
		item, err := r.DB.GetQuarantine(ctx, r.DB.Pool, out[i].ID)
		if err != nil {
			return nil, err
		}
		if out[i].Fixed = item.State == "fixed"; !out[i].Fixed {
			out[i].Why = item.Error
		}
	}
	return out, nil
}

// again hands one item over, and returns the records that have to be folded for it, or why nothing can be done. wake, if any, is
// told within the transaction that hands it over.
func (r *Replayer) again(ctx context.Context, item *store.QuarantineRow, wake func(ctx context.Context, tx pgx.Tx) error) (records []int64, why string, err error) {
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		if records, why, err = r.hand(ctx, tx, item); err != nil || why != "" || wake == nil {
			return err
		}
		return wake(ctx, tx)
	})
	return records, why, err
}

func (r *Replayer) hand(ctx context.Context, tx pgx.Tx, item *store.QuarantineRow) (records []int64, why string, err error) {
	post, isPost := item.Post()
	switch {
	case isPost:
		found, err := r.DB.ReplayPost(ctx, tx, post)
		if err == nil && !found {
			why = "the post is gone: it is older than the inbox's retention"
		}
		return nil, why, err
	case item.Reason == store.ReasonFacts:
		id, err := r.DB.RequeueQuarantined(ctx, tx, item)
		if errors.Is(err, store.ErrNotFound) {
			return nil, "the record is gone", nil
		}
		return []int64{id}, "", err
	}
	return r.land(ctx, tx, item)
}

// land maps an item of a walk and stores it, as of when it was last read.
func (r *Replayer) land(ctx context.Context, tx pgx.Tx, item *store.QuarantineRow) (records []int64, why string, err error) {
	stream, table, on := r.Stream(pipeline.Source(item.Source), item.Stream)
	if !on {
		return nil, "its source is off here: no account is configured", nil
	}
	mapped, err := mapAgain(stream, item.Body)
	switch {
	case err != nil:
		return nil, err.Error(), nil
	case mapped.ObjectID == "":
		return nil, "the item has no id", nil
	}
	rec := store.LandRecord{
		ObjectID: mapped.ObjectID, Payload: mapped.Payload, SourceTime: mapped.SourceTime, ZoneAssumed: mapped.ZoneAssumed,
		ObservedAt: item.LastSeenAt, Values: mapped.Values,
	}
	if mapped.Cleaned {
		rec.Raw = item.Body
	}
	landed, bad, err := r.DB.LandEach(ctx, tx, item.Target(table), []store.LandRecord{rec}, store.LandOptions{Bump: true})
	if err != nil {
		return nil, "", err
	}
	if len(bad) > 0 {
		return nil, store.Loggable(bad[0].Err), nil
	}
	return landed.Records, "", r.DB.SetQuarantineState(ctx, tx, item.ID, "fixed")
}

// mapAgain shields a replay from an item that breaks the code that reads it.
func mapAgain(stream *walk.Stream, raw []byte) (item walk.Item, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the item panicked: %T", p)
		}
	}()
	return stream.Map(raw)
}

// Await folds until the records are folded; a daemon may be at it. It goes by DB, Fold and Patience alone.
func (r *Replayer) Await(ctx context.Context, records []int64) error {
	slices.Sort(records)
	for over := r.DB.Now().Add(r.Patience); ; {
		if err := drained(r.Fold.Drain(ctx)); err != nil {
			return err
		}
		n, err := r.DB.RecordsWaiting(ctx, records)
		if err != nil || n == 0 || !r.DB.Now().Before(over) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drained takes the end of a drain's turn for what it is.
func drained(_ int, err error) error {
	if errors.Is(err, store.ErrMore) {
		return nil
	}
	return err
}

// Drain reads the posts and folds the records that wait.
func (r *Replayer) Drain(ctx context.Context) error {
	if err := drained(r.Inbox.Drain(ctx)); err != nil {
		return err
	}
	return drained(r.Fold.Drain(ctx))
}
