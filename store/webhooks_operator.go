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

// WebhookDelivery is one event at one endpoint, as operators see it.
type WebhookDelivery struct {
	ID          uuid.UUID
	EndpointID  uuid.UUID
	EventID     uuid.UUID
	Event       string
	State       string
	Attempts    int
	NextAt      time.Time
	CreatedAt   time.Time
	SettledAt   *time.Time
	LastStatus  *int
	LastOutcome *string
}

const webhookDeliveriesSQL = `
select delivery_id, endpoint_id, event_id, event, state, attempts, next_at, created_at, settled_at, last_status, last_outcome
from ops.webhook_deliveries
order by state = 'delivered', created_at desc, position desc
limit @most`

// WebhookDeliveries lists deliveries, those that have not arrived first, then the latest.
func (db *DB) WebhookDeliveries(ctx context.Context, most int) ([]WebhookDelivery, error) {
	rows, err := db.Pool.Query(ctx, webhookDeliveriesSQL, pgx.StrictNamedArgs{"most": most})
	if err != nil {
		return nil, fmt.Errorf("listing webhook deliveries: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[WebhookDelivery])
}

// ErrInactive means that an endpoint is switched off.
var ErrInactive = errors.New("the endpoint is switched off")

const webhookResendLockSQL = `
select e.endpoint_id, e.is_active
from ops.webhook_endpoints e
where e.endpoint_id in (select d.endpoint_id from ops.webhook_deliveries d where d.delivery_id = @id or d.event_id = @id)
order by e.endpoint_id
for no key update`

const webhookResendSQL = `
update ops.webhook_deliveries d
set state = 'pending', tries = 0, next_at = @now, settled_at = null
from ops.webhook_endpoints e
where (d.delivery_id = @id or d.event_id = @id) and e.endpoint_id = d.endpoint_id and e.is_active`

// ResendWebhook orders a delivery once more, or those of an event, whatever became of them; the caller wakes the outbox in
// the same transaction. It returns how many there are, ErrNotFound for none, and ErrInactive when all their endpoints are
// switched off.
func (db *DB) ResendWebhook(ctx context.Context, tx pgx.Tx, id uuid.UUID) (int, error) {
	args := pgx.StrictNamedArgs{"id": id}
	rows, err := tx.Query(ctx, webhookResendLockSQL, args)
	if err != nil {
		return 0, fmt.Errorf("sending webhook %s again: %w", id, err)
	}
	found := 0
	var endpoint uuid.UUID
	var active bool
	if _, err = pgx.ForEachRow(rows, []any{&endpoint, &active}, func() error { found++; return nil }); err != nil {
		return 0, fmt.Errorf("sending webhook %s again: %w", id, err)
	}
	if found == 0 {
		return 0, fmt.Errorf("webhook %s: %w", id, ErrNotFound)
	}
	args["now"] = db.Now()
	tag, err := tx.Exec(ctx, webhookResendSQL, args)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrInactive
	}
	if err != nil {
		return 0, fmt.Errorf("sending webhook %s again: %w", id, err)
	}
	return int(tag.RowsAffected()), nil
}

const webhookRecoverEndpointSQL = `
update ops.webhook_endpoints
set is_active = true, disabled_at = null, disabled_reason = null, failures = 0, failing_since = null, open_until = null
where endpoint_id = @id and (is_active or disabled_at is not null)
returning org_id, events`

const webhookMissedSQL = `
select v.event_id, v.event
from ops.webhook_events v
where v.org_id = @org and v.created_at >= @since
  and not exists (select from ops.webhook_deliveries d where d.endpoint_id = @id and d.event_id = v.event_id)`

const webhookFailedAgainSQL = `
update ops.webhook_deliveries d
set state = 'pending', tries = 0, next_at = @now, settled_at = null
from ops.webhook_events v
where d.endpoint_id = @id and d.state <> 'delivered' and v.event_id = d.event_id and v.created_at >= @since`

const webhookExistsSQL = `select exists (select from ops.webhook_endpoints where endpoint_id = @id)`

// RecoverWebhooks orders everything that an endpoint wants and has not got of what came about since a time; one that we
// switched off is on again, one that its owner switched off is ErrInactive. It returns how many deliveries were ordered, and the
// caller wakes the outbox in the same transaction.
func (db *DB) RecoverWebhooks(ctx context.Context, tx pgx.Tx, id uuid.UUID, since time.Time) (int, error) {
	n, err := db.recoverWebhooks(ctx, tx, id, since)
	if err != nil {
		return 0, fmt.Errorf("recovering webhook endpoint %s: %w", id, Quiet(err))
	}
	return n, nil
}

func (db *DB) recoverWebhooks(ctx context.Context, tx pgx.Tx, id uuid.UUID, since time.Time) (int, error) {
	var org uuid.UUID
	var events []string
	err := tx.QueryRow(ctx, webhookRecoverEndpointSQL, pgx.StrictNamedArgs{"id": id}).Scan(&org, &events)
	if errors.Is(err, pgx.ErrNoRows) {
		var exists bool
		if err := tx.QueryRow(ctx, webhookExistsSQL, pgx.StrictNamedArgs{"id": id}).Scan(&exists); err != nil {
			return 0, err
		}
		if exists {
			return 0, ErrInactive
		}
		return 0, ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	now := db.Now()
	tag, err := tx.Exec(ctx, webhookFailedAgainSQL, pgx.StrictNamedArgs{"id": id, "now": now, "since": micros(since)})
	if err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, webhookMissedSQL, pgx.StrictNamedArgs{"org": org, "id": id, "since": micros(since)})
	if err != nil {
		return 0, err
	}
	var deliveries, endpoints, missed []uuid.UUID
	var names []string
	var event uuid.UUID
	var name string
	_, err = pgx.ForEachRow(rows, []any{&event, &name}, func() error {
		if told, ok := pipeline.WebhookEvent(name).WantedAs(events); ok {
			deliveries, endpoints, missed, names = append(deliveries, newID()), append(endpoints, id), append(missed, event), append(names, string(told))
		}
		return nil
	})
	if err != nil || len(missed) == 0 {
		return int(tag.RowsAffected()), err
	}
	_, err = tx.Exec(ctx, webhookDeliveriesInsertSQL, pgx.StrictNamedArgs{
		"now": now, "deliveries": deliveries, "endpoints": endpoints, "ids": missed, "names": names,
	})
	return int(tag.RowsAffected()) + len(missed), err
}
