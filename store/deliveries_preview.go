package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// errPreview rolls a preview back.
var errPreview = errors.New("preview is over")

// PreviewDelivery has decide judge a delivery that does not exist: it is written, read with all that decides about it, and
// rolled back. Dedupe is of no account.
func (db *DB) PreviewDelivery(
	ctx context.Context, d pipeline.Delivery, decide func(c *pipeline.DeliveryCandidate, now time.Time) pipeline.DeliveryDecision,
) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		inserted, err := db.InsertDeliveries(ctx, tx, []NewDelivery{{
			Org: d.Org, Account: d.Account, Destination: d.Destination, Operation: d.Operation, Class: d.Class, LeadID: d.LeadID,
			Phone: d.Phone, Params: d.Params, SourceTime: d.SourceTime, ExpiresAt: d.ExpiresAt, NotBefore: d.NotBefore,
			Dedupe: "preview " + uuid.NewString(),
		}})
		if err != nil {
			return err
		}
		candidates, err := deliveryCandidates(ctx, tx, []uuid.UUID{inserted[0].ID}, db.Now())
		if err != nil {
			return err
		}
		decide(&candidates[0], db.Now())
		return errPreview
	})
	if !errors.Is(err, errPreview) {
		return fmt.Errorf("previewing a delivery to %s: %w", d.Destination, Quiet(err))
	}
	return nil
}
