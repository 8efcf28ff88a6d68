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

var (
	// ErrInFlight means that a delivery is being sent right now, so that nobody can decide about it.
	ErrInFlight = errors.New("delivery is being sent")
	// ErrWrongState means that a delivery is not in a state from which that is possible.
	ErrWrongState = errors.New("delivery is in another state")
)

// DeliverySeen is how a delivery stood when somebody decided about it: an order for one that has moved since is refused with
// ErrWrongState, so that an order given twice is carried out once (law 5).
type DeliverySeen struct {
	State    pipeline.DeliveryState
	Attempts int
}

const deliveryStateLockSQL = `
select d.state, d.attempts, d.destination
from ops.deliveries d
where d.id = @id
for update of d`

// deliveryMove is a change of one delivery by a person's order.
type deliveryMove struct {
	id         uuid.UUID
	doing, sql string
	args       pgx.StrictNamedArgs
	// allowed judges its state.
	allowed func(pipeline.DeliveryState) bool
}

// in locks the delivery, holds it against how it was seen (nil: not at all) and against what is allowed, and runs the change.
func (m *deliveryMove) in(ctx context.Context, tx pgx.Tx, seen *DeliverySeen) (destination string, err error) {
	var is DeliverySeen
	err = tx.QueryRow(ctx, deliveryStateLockSQL, pgx.StrictNamedArgs{"id": m.id}).Scan(&is.State, &is.Attempts, &destination)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", ErrNotFound
	case err != nil:
		return "", err
	case is.State == pipeline.DeliverySending:
		return "", ErrInFlight
	case seen != nil && is != *seen, !m.allowed(is.State):
		return "", fmt.Errorf("%w: %s", ErrWrongState, is.State)
	}
	_, err = tx.Exec(ctx, m.sql, m.args)
	return destination, err
}

func (db *DB) moveDelivery(ctx context.Context, m *deliveryMove) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		_, err := m.in(ctx, tx, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s delivery %s: %w", m.doing, m.id, Quiet(err))
	}
	return nil
}

// A person's order is free of the age rule (law 7), never of the others, so it has no end of its life. After an unknown outcome it counts as the one
// resend: if that ends unknown too, nothing more is sent unasked.
const deliveryRetrySQL = `
update ops.deliveries d
set state = 'ready',
  reason = null,
  hold = null,
  settled_at = null,
  not_before = @now,
  searches = 0,
  resends = case when d.sending_at is null then d.resends else greatest(d.resends, 1) end,
  expires_at = null,
  lease_owner = null,
  lease_until = null
where d.id = @id`

// RetryDelivery makes a delivery ready again by a person's order: one that was rejected, expired or cancelled, one whose
// outcome is unknown, or one that waits. All checks apply to it again, age excepted. Not one that is confirmed.
func (db *DB) RetryDelivery(ctx context.Context, id uuid.UUID, now time.Time) error {
	return db.moveDelivery(ctx, retryMove(id, now))
}

// RetrySeenDelivery is RetryDelivery within a transaction, for somebody who saw it as seen; it returns the destination to be woken.
func (db *DB) RetrySeenDelivery(ctx context.Context, tx pgx.Tx, id uuid.UUID, seen DeliverySeen, now time.Time) (destination string, err error) {
	return retryMove(id, now).in(ctx, tx, &seen)
}

func retryMove(id uuid.UUID, now time.Time) *deliveryMove {
	return &deliveryMove{
		id, "retrying", deliveryRetrySQL,
		pgx.StrictNamedArgs{"id": id, "now": micros(now)},
		func(s pipeline.DeliveryState) bool { return s != pipeline.DeliveryConfirmed },
	}
}

const deliveryCancelSQL = `
update ops.deliveries d
set state = 'cancelled',
  reason = 'operator',
  hold = null,
  settled_at = @now,
  lease_owner = null,
  lease_until = null
where d.id = @id`

// CancelDelivery ends a delivery that is ready or unknown by a person's order.
func (db *DB) CancelDelivery(ctx context.Context, id uuid.UUID, now time.Time) error {
	return db.moveDelivery(ctx, cancelMove(id, now))
}

// CancelSeenDelivery is CancelDelivery within a transaction, for somebody who saw it as seen.
func (db *DB) CancelSeenDelivery(ctx context.Context, tx pgx.Tx, id uuid.UUID, seen DeliverySeen, now time.Time) error {
	_, err := cancelMove(id, now).in(ctx, tx, &seen)
	return err
}

func cancelMove(id uuid.UUID, now time.Time) *deliveryMove {
	return &deliveryMove{
		id, "cancelling", deliveryCancelSQL,
		pgx.StrictNamedArgs{"id": id, "now": micros(now)},
		func(s pipeline.DeliveryState) bool { return !s.Final() },
	}
}

const deliveryResolveSQL = `
update ops.deliveries d
set state = @state,
  reason = 'operator',
  hold = null,
  settled_at = @now,
  lease_owner = null,
  lease_until = null
where d.id = @id`

// ResolveDelivery settles an unknown outcome as confirmed or rejected, because a person knows better.
func (db *DB) ResolveDelivery(ctx context.Context, id uuid.UUID, as pipeline.DeliveryState, now time.Time) error {
	if as != pipeline.DeliveryConfirmed && as != pipeline.DeliveryRejected {
		return fmt.Errorf("resolving delivery %s: cannot be resolved as %q, only as confirmed or rejected", id, as)
	}
	return db.moveDelivery(ctx, resolveMove(id, as, now))
}

// ResolveSeenDelivery is ResolveDelivery within a transaction, for somebody who saw it as seen. as is confirmed or rejected.
func (db *DB) ResolveSeenDelivery(ctx context.Context, tx pgx.Tx, id uuid.UUID, seen DeliverySeen, as pipeline.DeliveryState, now time.Time) error {
	_, err := resolveMove(id, as, now).in(ctx, tx, &seen)
	return err
}

func resolveMove(id uuid.UUID, as pipeline.DeliveryState, now time.Time) *deliveryMove {
	return &deliveryMove{
		id, "resolving", deliveryResolveSQL,
		pgx.StrictNamedArgs{"id": id, "state": string(as), "now": micros(now)},
		func(s pipeline.DeliveryState) bool { return s == pipeline.DeliveryUnknown },
	}
}

// DeliveryAttempt is one request made for a delivery. Times are UTC.
type DeliveryAttempt struct {
	Attempt  int
	Kind     pipeline.AttemptKind
	DaemonID uuid.UUID
	// Request and Detail are masked; Checks is a JSON object of each check and its verdict.
	Request    string
	Checks     []byte
	Outcome    *string
	Detail     *string
	StartedAt  time.Time
	FinishedAt *time.Time
}

const deliveryAttemptsSQL = `
select a.attempt, a.kind, a.daemon_id, a.request, a.checks, a.outcome, a.detail, a.started_at, a.finished_at
from ops.delivery_attempts a
where a.delivery_id = @id
order by a.attempt`

// DeliveryAttempts lists all requests made for a delivery, first to last.
func (db *DB) DeliveryAttempts(ctx context.Context, id uuid.UUID) ([]DeliveryAttempt, error) {
	var attempts []DeliveryAttempt
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, deliveryAttemptsSQL, pgx.StrictNamedArgs{"id": id})
		if err != nil {
			return err
		}
		attempts, err = pgx.CollectRows(rows, pgx.RowToStructByName[DeliveryAttempt])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the attempts of delivery %s: %w", id, Quiet(err))
	}
	return attempts, nil
}
