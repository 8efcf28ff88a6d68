package jobs

import (
	"context"
	"errors"
	"fmt"

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

// ReplayPost reads a post again, whatever became of it before. It fails with store.ErrNotFound.
func (o *Operator) ReplayPost(ctx context.Context, id uuid.UUID) error {
	err := o.DB.InTx(ctx, func(tx pgx.Tx) error {
		found, err := o.DB.ReplayPost(ctx, tx, id)
		if err == nil && !found {
			return fmt.Errorf("post %s: %w", id, store.ErrNotFound)
		}
		return err
	})
	if err != nil {
		return err
	}
	return o.Replayer.Drain(ctx)
}

// ReplayItems tries items of quarantine again, and returns how many are fixed and how many are left.
func (o *Operator) ReplayItems(ctx context.Context, ids []uuid.UUID) (fixed, left int, err error) {
	done, err := o.Replayer.Replay(ctx, ids)
	for _, r := range done {
		if r.Fixed {
			fixed++
		} else {
			left++
		}
	}
	return fixed, left, err
}
