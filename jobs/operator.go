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
)

// Operator carries out what a person orders in a running daemon. Its fields are set once, before use.
type Operator struct {
	DB        *store.DB
	Queue     *Queue
	Backfills *Backfiller
	Replayer  *Replayer
	// Patience is how long a replay waits for the daemons that work on what it handed over: a browser waits with it.
	Patience time.Duration
}

// ErrNoSuchAction means that a thing cannot be told to do that.
var ErrNoSuchAction = errors.New("there is no such action")

// Delivery does one of retry, cancel, confirmed and rejected to a delivery that was seen as seen; the last two settle an unknown
// outcome. It fails with store.ErrNotFound, store.ErrInFlight or store.ErrWrongState, the last also when it is not as it was seen.
func (o *Operator) Delivery(ctx context.Context, id uuid.UUID, action string, seen store.DeliverySeen) error {
	now := o.DB.Now()
	err := o.DB.InTx(ctx, func(tx pgx.Tx) error {
		switch action {
		case "retry":
			destination, err := o.DB.RetrySeenDelivery(ctx, tx, id, seen, now)
			if err != nil {
				return err
			}
			return o.Queue.WakeDeliver(ctx, tx, []string{destination})
		case "cancel":
			return o.DB.CancelSeenDelivery(ctx, tx, id, seen, now)
		case "confirmed":
			return o.DB.ResolveSeenDelivery(ctx, tx, id, seen, pipeline.DeliveryConfirmed, now)
		case "rejected":
			return o.DB.ResolveSeenDelivery(ctx, tx, id, seen, pipeline.DeliveryRejected, now)
		}
		return ErrNoSuchAction
	})
	if err != nil {
		return fmt.Errorf("%s of delivery %s: %w", action, id, store.Quiet(err))
	}
	return nil
}

// Backfill does one of pause, resume and cancel to a backfill of any organisation. It fails with store.ErrNotFound or
// store.ErrBackfillEnded.
func (o *Operator) Backfill(ctx context.Context, id uuid.UUID, action string) error {
	b, err := o.DB.Backfill(ctx, uuid.Nil, id)
	if err != nil {
		return err
	}
	switch action {
	case "pause":
		_, err = o.Backfills.Pause(ctx, b.Org, id)
	case "resume":
		_, err = o.Backfills.Resume(ctx, b.Org, id)
	case "cancel":
		_, err = o.Backfills.Cancel(ctx, b.Org, id)
	default:
		err = fmt.Errorf("backfills: %w", ErrNoSuchAction)
	}
	return err
}

// ReplayPost hands a post to be read again, whatever became of it before, and tells whether that was done within Patience: it is the
// daemons' work, and others' posts may come first. It fails with store.ErrNotFound.
func (o *Operator) ReplayPost(ctx context.Context, id uuid.UUID) (read bool, err error) {
	err = o.DB.InTx(ctx, func(tx pgx.Tx) error {
		found, err := o.DB.ReplayPost(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("post %s: %w", id, store.ErrNotFound)
		}
		return o.Queue.WakeInbox(ctx, tx)
	})
	if err != nil {
		return false, err
	}
	return o.settled(ctx, []uuid.UUID{id}, nil), nil
}

// ReplayItems hands items of quarantine to be tried again, and returns how many are fixed, how many are left, and how many nobody has
// come to within Patience.
func (o *Operator) ReplayItems(ctx context.Context, ids []uuid.UUID) (fixed, left, waiting int, err error) {
	var handed, posts []uuid.UUID
	var records []int64
	for _, id := range ids {
		item, err := o.DB.GetQuarantine(ctx, o.DB.Pool, id)
		if err != nil {
			return 0, 0, 0, err
		}
		post, isPost := item.Post()
		wake := o.Queue.WakeReconcile
		if isPost {
			wake = o.Queue.WakeInbox
		}
		written, why, err := o.Replayer.again(ctx, &item, wake)
		switch {
		case err != nil:
			return 0, 0, 0, err
		case why != "":
			left++
			continue
		case isPost:
			posts = append(posts, post)
		}
		handed, records = append(handed, id), append(records, written...)
	}
	settled := o.settled(ctx, posts, records)
	for _, id := range handed {
		item, err := o.DB.GetQuarantine(ctx, o.DB.Pool, id)
		switch {
		case err != nil:
			return 0, 0, 0, err
		case item.State == "fixed":
			fixed++
		case settled:
			left++
		default:
			waiting++
		}
	}
	return fixed, left, waiting, nil
}

// settled waits until posts are read and records folded, for Patience at most. What was handed over is safe by then, so that an error
// here means no more than that nobody knows yet.
func (o *Operator) settled(ctx context.Context, posts []uuid.UUID, records []int64) bool {
	over := time.NewTimer(o.Patience) // a deadline would cut a statement off, and cost its connection
	defer over.Stop()
	for {
		posts = slices.DeleteFunc(posts, func(id uuid.UUID) bool {
			p, err := o.DB.InboxPost(ctx, id)
			return err == nil && p.State != "new"
		})
		n, err := o.DB.RecordsWaiting(ctx, records)
		if err == nil && n == 0 && len(posts) == 0 {
			return true
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-over.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
