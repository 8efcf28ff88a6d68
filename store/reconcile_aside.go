package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const queueDropSQL = `delete from ops.reconcile_queue where org_id = @org and record_id = @id`

const queueLastSQL = `
with taken as (
  delete from ops.reconcile_queue
  where org_id = @org and record_id = @id
)
insert into ops.reconcile_queue (org_id, record_id)
values (@org, @id)`

// putLast lets the others go before a record.
func (r *Reconciler) putLast(ctx context.Context, org uuid.UUID, id int64) error {
	if _, err := r.DB.Pool.Exec(ctx, queueLastSQL, pgx.StrictNamedArgs{"org": org, "id": id}); err != nil {
		return fmt.Errorf("putting record %d last: %w", id, err)
	}
	return nil
}

const recordBodySQL = `
select account_id, source, stream, object_id, payload::text
from ops.records
where record_id = @id`

// setAside puts a record that cannot be folded into quarantine and takes it from the queue. Its next version is tried anew.
func (r *Reconciler) setAside(ctx context.Context, org uuid.UUID, id int64, problem error) error {
	r.DB.Log.WarnContext(ctx, "a record cannot be folded and is set aside", "record_id", id, "error", Loggable(problem))
	return r.DB.InTx(ctx, func(tx pgx.Tx) error {
		// First, so that a version that lands meanwhile is queued anew.
		if _, err := tx.Exec(ctx, queueDropSQL, pgx.StrictNamedArgs{"org": org, "id": id}); err != nil {
			return err
		}
		q := QuarantineItem{Org: org, Reason: ReasonFacts, Error: Loggable(problem)}
		var body string
		err := tx.QueryRow(ctx, recordBodySQL, pgx.StrictNamedArgs{"id": id}).Scan(&q.Account, &q.Source, &q.Stream, &q.ObjectID, &body)
		if err != nil {
			return fmt.Errorf("reading record %d, which cannot be folded: %w", id, err)
		}
		q.Body = []byte(body)
		return r.DB.Quarantine(ctx, tx, q)
	})
}
