package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Of one lead's deliveries to one destination only the eldest that is open can be claimed: order is kept, and no two are
// worked on at once. One that waits for a person holds nobody up. An obligation to tell of an opt-out waits for no elder,
// only for a request that is under way.
// Obligations come first and updates last: a thousand changes must not hold up a lead that is new (law 10). The index
// deliveries_ranked has the same expression.
const deliveriesDueSQL = `
  select d.id
  from ops.deliveries d
  where d.destination = @destination
    and d.state in ('ready', 'unknown')
    and (d.state = 'ready' or d.hold in ('search', 'webhook'))
    and d.not_before <= @now
    and (d.lease_until is null or d.lease_until <= @now)
    and not exists (
      select 1
      from ops.deliveries e
      where e.org_id = d.org_id
        and e.lead_id = d.lead_id
        and e.destination = d.destination
        and e.id <> d.id
        and e.state in ('ready', 'sending', 'unknown')
        and (e.state = 'sending'
          or e.lease_until > @now
          or (d.operation <> @add_dnc
            and e.hold is distinct from 'person'
            and (e.created_at, e.id) < (d.created_at, d.id))))
  order by (case d.operation when 'dnc_add' then 0 when 'update_lead' then 2 else 1 end), d.not_before
  limit @limit`

const deliveriesDueCountSQL = `
select count(*)
from (` + deliveriesDueSQL + `
) due`

// CountDueDeliveries tells how many deliveries of a destination a claim would take now, at most limit.
func (db *DB) CountDueDeliveries(ctx context.Context, destination string, now time.Time, limit int) (int, error) {
	var n int
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, deliveriesDueCountSQL, pgx.StrictNamedArgs{
			"destination": destination, "now": micros(now), "limit": limit, "add_dnc": pipeline.OperationAddDNC,
		}).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("counting due deliveries for %s: %w", destination, Quiet(err))
	}
	return n, nil
}

const deliveriesClaimSQL = `
with due as (` + deliveriesDueSQL + `
  for update of d skip locked
)
update ops.deliveries d
set lease_owner = @owner,
  lease_until = @until
from due
where d.id = due.id
returning d.id, d.state`

// ClaimDeliveries leases deliveries of one destination that are due: ready ones, and unknown ones that are to be asked about.
func (db *DB) ClaimDeliveries(ctx context.Context, c pipeline.DeliveryClaim) ([]pipeline.ClaimedDelivery, error) {
	var claimed []pipeline.ClaimedDelivery
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, deliveriesClaimSQL, pgx.StrictNamedArgs{
			"destination": c.Destination, "owner": c.Owner, "now": micros(c.Now), "until": micros(c.Until), "limit": c.Limit,
			"add_dnc": pipeline.OperationAddDNC,
		})
		if err != nil {
			return err
		}
		claimed, err = pgx.CollectRows(rows, pgx.RowToStructByPos[pipeline.ClaimedDelivery])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claiming deliveries for %s: %w", c.Destination, Quiet(err))
	}
	return claimed, nil
}

// Rows that are locked are being begun or settled this very moment. Waiting for them could lock up with whoever does that.
const deliveriesRenewSQL = `
with mine as (
  select d.id
  from ops.deliveries d
  where d.id = any(@ids)
    and d.lease_owner = @owner
    and d.state in ('ready', 'sending', 'unknown')
  for update of d skip locked
)
update ops.deliveries d
set lease_until = @until
from mine
where d.id = mine.id`

// RenewDeliveries prolongs the leases of deliveries that the owner still has.
func (db *DB) RenewDeliveries(ctx context.Context, owner uuid.UUID, ids []uuid.UUID, until time.Time) error {
	return db.onConn(ctx, func(q Queryer) error {
		if _, err := q.Exec(ctx, deliveriesRenewSQL, pgx.StrictNamedArgs{
			"ids": ids, "owner": owner, "until": micros(until),
		}); err != nil {
			return fmt.Errorf("renewing the leases of %d deliveries: %w", len(ids), Quiet(err))
		}
		return nil
	})
}

const deliveriesReleaseSQL = `
with mine as (
  select d.id
  from ops.deliveries d
  where d.id = any(@ids)
    and d.lease_owner = @owner
    and d.state in ('ready', 'unknown')
  for update of d skip locked
)
update ops.deliveries d
set lease_owner = null,
  lease_until = null
from mine
where d.id = mine.id`

// ReleaseDeliveries gives back claimed deliveries for which nothing was done. One that is being sent stays leased.
func (db *DB) ReleaseDeliveries(ctx context.Context, owner uuid.UUID, ids []uuid.UUID) error {
	return db.onConn(ctx, func(q Queryer) error {
		if _, err := q.Exec(ctx, deliveriesReleaseSQL, pgx.StrictNamedArgs{"ids": ids, "owner": owner}); err != nil {
			return fmt.Errorf("releasing %d deliveries: %w", len(ids), Quiet(err))
		}
		return nil
	})
}

const deliveryPutBackSQL = `
update ops.deliveries d
set not_before = @not_before,
  hold = case when d.state = 'ready' then 'retry' else d.hold end,
  error = @error,
  lease_owner = null,
  lease_until = null
where d.id = @id
  and d.lease_owner = @owner
  and d.state in ('ready', 'unknown')`

// PutBackDelivery gives back a claimed delivery that our own code or database could not deal with, to be tried again later.
func (db *DB) PutBackDelivery(ctx context.Context, owner, id uuid.UUID, notBefore time.Time, problem string) error {
	return db.onConn(ctx, func(q Queryer) error {
		if _, err := q.Exec(ctx, deliveryPutBackSQL, pgx.StrictNamedArgs{
			"id": id, "owner": owner, "not_before": micros(notBefore), "error": deliveryText(problem),
		}); err != nil {
			return fmt.Errorf("putting back delivery %s: %w", id, Quiet(err))
		}
		return nil
	})
}

const deliveriesDeferSQL = `
with waiting as (
  select d.id
  from ops.deliveries d
  where d.destination = @destination
    and (@everybody or d.org_id = @org and d.account_id = @account)
    and d.state = 'ready'
    and d.not_before < @until
    and (d.lease_until is null or d.lease_until <= @now)
  for update of d skip locked
)
update ops.deliveries d
set not_before = @until,
  hold = @hold
from waiting
where d.id = waiting.id`

// DeferDeliveries puts off what is ready for an account that asked us to slow down or refused our credentials: asking once
// for each would be hammering (law 10). Without an organisation it is all of the destination's: where one budget serves it.
func (db *DB) DeferDeliveries(ctx context.Context, d pipeline.Delivery, now, until time.Time, hold string) error {
	return db.onConn(ctx, func(q Queryer) error {
		if _, err := q.Exec(ctx, deliveriesDeferSQL, pgx.StrictNamedArgs{
			"everybody": d.Org == uuid.Nil, "org": d.Org, "account": d.Account, "destination": d.Destination, "now": micros(now),
			"until": micros(until), "hold": hold,
		}); err != nil {
			return fmt.Errorf("deferring the deliveries for %s account %s: %w", d.Destination, d.Account, Quiet(err))
		}
		return nil
	})
}
