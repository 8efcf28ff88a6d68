package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// sweepLimit bounds what one sweep moves, so that it stays short; the next one goes on.
const sweepLimit = 500

const deliveriesRecoverSQL = `
with lost as (
  select d.id
  from ops.deliveries d
  where d.state = 'sending'
    and (d.lease_until is null or d.lease_until <= @now)
    and not d.id = any(@in_hand)
  limit @limit
  for update of d skip locked
),
closed as (
  update ops.delivery_attempts a
  set outcome = 'unknown',
    detail = 'interrupted',
    finished_at = @now
  from lost
  where a.delivery_id = lost.id
    and a.kind = 'send'
    and a.finished_at is null
)
update ops.deliveries d
set state = 'unknown',
  reason = 'interrupted',
  hold = 'search',
  error = null,
  searches = 0,
  not_before = @not_before,
  lease_owner = null,
  lease_until = null
from lost
where d.id = lost.id
returning d.id, d.destination, d.operation`

// RecoverDeliveries makes unknown what a daemon was sending whose lease has run out: nobody can tell whether the request
// left. inHand names what the caller itself is still sending, which a jump of its clock must not take from it.
func (db *DB) RecoverDeliveries(ctx context.Context, now, notBefore time.Time, inHand []uuid.UUID) ([]pipeline.MovedDelivery, error) {
	if inHand == nil {
		inHand = []uuid.UUID{}
	}
	moved, err := db.moveDeliveries(ctx, deliveriesRecoverSQL, pgx.StrictNamedArgs{
		"now": micros(now), "not_before": micros(notBefore), "in_hand": inHand, "limit": sweepLimit,
	})
	if err != nil {
		return nil, fmt.Errorf("recovering interrupted deliveries: %w", Quiet(err))
	}
	return moved, nil
}

const deliveriesExpireSQL = `
with old as (
  select d.id
  from ops.deliveries d
  where d.state = 'ready'
    and d.expires_at <= @now
    and (d.lease_until is null or d.lease_until <= @now)
  limit @limit
  for update of d skip locked
)
update ops.deliveries d
set state = 'expired',
  reason = 'too_old',
  hold = null,
  settled_at = @now,
  lease_owner = null,
  lease_until = null
from old
where d.id = old.id
returning d.id, d.destination, d.operation`

// ExpireDeliveries ends ready deliveries that are too old to be sent (law 7).
func (db *DB) ExpireDeliveries(ctx context.Context, now time.Time) ([]pipeline.MovedDelivery, error) {
	moved, err := db.moveDeliveries(ctx, deliveriesExpireSQL, pgx.StrictNamedArgs{"now": micros(now), "limit": sweepLimit})
	if err != nil {
		return nil, fmt.Errorf("expiring deliveries: %w", Quiet(err))
	}
	return moved, nil
}

func (db *DB) moveDeliveries(ctx context.Context, sql string, args pgx.StrictNamedArgs) ([]pipeline.MovedDelivery, error) {
	var moved []pipeline.MovedDelivery
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, sql, args)
		if err != nil {
			return err
		}
		moved, err = pgx.CollectRows(rows, pgx.RowToStructByPos[pipeline.MovedDelivery])
		return err
	})
	return moved, err
}

const destinationsDueSQL = `
select t.destination
from unnest(@destinations::text[]) as t(destination)
where exists (
  select 1
  from ops.deliveries d
  where d.destination = t.destination
    and d.state in ('ready', 'unknown')
    and (d.state = 'ready' or d.hold in ('search', 'webhook'))
    and d.not_before <= @now
    and (d.lease_until is null or d.lease_until <= @now)
)
order by 1`

// DueDestinations names those of the destinations that have something to do now.
func (db *DB) DueDestinations(ctx context.Context, destinations []string, now time.Time) ([]string, error) {
	var due []string
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, destinationsDueSQL, pgx.StrictNamedArgs{"destinations": destinations, "now": micros(now)})
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for due deliveries: %w", Quiet(err))
	}
	return due, nil
}

const deliveriesRecheckSQL = `
with waiting as (
  select d.id
  from ops.deliveries d
  where d.state = 'ready'
    and d.hold = @hold
    and (@destination = '' or d.destination = @destination)
    and d.not_before > @now
  for update of d skip locked
)
update ops.deliveries d
set not_before = @now
from waiting
where d.id = waiting.id`

// RecheckDeliveries makes what waits for hold due at once: the call window, the credentials or the pause may have changed.
// An empty destination means all. It returns how many there were.
func (db *DB) RecheckDeliveries(ctx context.Context, destination, hold string, now time.Time) (int64, error) {
	var n int64
	err := db.onConn(ctx, func(q Queryer) error {
		tag, err := q.Exec(ctx, deliveriesRecheckSQL, pgx.StrictNamedArgs{"destination": destination, "hold": hold, "now": micros(now)})
		n = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("rechecking deliveries held by %s: %w", hold, Quiet(err))
	}
	return n, nil
}
