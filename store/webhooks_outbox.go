package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// What can be sent: of one subject's pending deliveries to one endpoint only the first, so that order is kept; one that
// fails holds up its own subject at its own endpoint, and nobody else. The endpoint's row is locked while its deliveries are
// chosen: two daemons never count the same requests under way. The lock is one that a fold, which refers to the row, does not
// conflict with.
const webhooksClaimSQL = `
with open as (
  select e.endpoint_id, e.url, e.secret_sealed, e.failures
  from ops.webhook_endpoints e
  where e.is_active
    and e.key_id = @key_id
    and (e.open_until is null or e.open_until <= @now)
    and exists (
      select from ops.webhook_deliveries d
      where d.endpoint_id = e.endpoint_id and d.state = 'pending' and d.next_at <= @now)
  for no key update of e skip locked
),
due as (
  select c.delivery_id, o.url, o.secret_sealed
  from open o
  cross join lateral (
    select d.delivery_id
    from ops.webhook_deliveries d
    where d.endpoint_id = o.endpoint_id
      and d.state = 'pending'
      and d.next_at <= @now
      and (d.lease_until is null or d.lease_until <= @now)
      and not exists (
        select from ops.webhook_deliveries f
        where f.endpoint_id = d.endpoint_id and f.subject = d.subject and f.state = 'pending' and f.position < d.position)
    order by d.next_at, d.position
    limit greatest(0, case when o.failures >= @suspect then 1 else @per_endpoint end - (
      select count(*)
      from ops.webhook_deliveries b
      where b.endpoint_id = o.endpoint_id and b.state = 'pending' and b.lease_until > @now))
    for update of d skip locked
  ) c
  limit @limit
)
update ops.webhook_deliveries d
set lease_owner = @owner,
  lease_until = @until
from due, ops.webhook_events v
where d.delivery_id = due.delivery_id and v.event_id = d.event_id
returning d.delivery_id, d.endpoint_id, due.url, due.secret_sealed, d.event_id, d.event, v.occurred_at, v.data::text, d.attempts, d.tries`

// ClaimWebhooks leases deliveries of webhooks that are due.
func (db *DB) ClaimWebhooks(ctx context.Context, c pipeline.WebhookClaim) ([]pipeline.WebhookSend, error) {
	var claimed []pipeline.WebhookSend
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, webhooksClaimSQL, pgx.StrictNamedArgs{
			"key_id": c.KeyID, "now": micros(c.Now), "until": micros(c.Until), "owner": c.Owner, "limit": c.Limit,
			"per_endpoint": c.PerEndpoint, "suspect": c.Suspect,
		})
		if err != nil {
			return err
		}
		claimed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s pipeline.WebhookSend, err error) {
			var data string
			err = row.Scan(&s.DeliveryID, &s.EndpointID, &s.URL, &s.Sealed, &s.EventID, &s.Event, &s.OccurredAt, &data, &s.Attempts, &s.Tries)
			s.Data = []byte(data)
			return s, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claiming webhooks: %w", Quiet(err))
	}
	return claimed, nil
}

const webhookNextSQL = `
select min(greatest(d.next_at, e.open_until, d.lease_until))
from ops.webhook_deliveries d
join ops.webhook_endpoints e on e.endpoint_id = d.endpoint_id
where d.state = 'pending'
  and e.is_active
  and e.key_id = @key_id
  and d.next_at <= @horizon
  and not exists (
    select from ops.webhook_deliveries f
    where f.endpoint_id = d.endpoint_id and f.subject = d.subject and f.state = 'pending' and f.position < d.position)`

// webhookHorizon is how far ahead NextWebhook looks; what comes due later is found by the sweeper.
const webhookHorizon = time.Minute

// NextWebhook tells when the next delivery that can be claimed with a key is due, if that is within a minute; zero = there is
// none.
func (db *DB) NextWebhook(ctx context.Context, keyID string, now time.Time) (time.Time, error) {
	var next *time.Time
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, webhookNextSQL, pgx.StrictNamedArgs{
			"key_id": keyID, "horizon": micros(now.Add(webhookHorizon)),
		}).Scan(&next)
	})
	if err != nil || next == nil {
		return time.Time{}, wrapf(err, "looking for the next webhook")
	}
	return next.UTC(), nil
}

func wrapf(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, Quiet(err))
}

// A success is noted to the minute, so that a busy endpoint's row is not written for each.
const webhookSuccessSQL = `
with was as (
  select endpoint_id, failures
  from ops.webhook_endpoints
  where endpoint_id = @endpoint and (failures > 0 or last_success_at is null or last_success_at < @stale)
  for no key update
)
update ops.webhook_endpoints e
set failures = 0, failing_since = null, open_until = null, last_success_at = @finished
from was
where e.endpoint_id = was.endpoint_id
returning was.failures`

const webhookFailureSQL = `
update ops.webhook_endpoints
set failures = failures + 1,
  failing_since = coalesce(failing_since, @started),
  last_failure_at = @finished,
  last_outcome = @outcome
where endpoint_id = @endpoint
returning failures, failing_since, is_active`

const webhookBreakSQL = `
update ops.webhook_endpoints
set open_until = @open_until,
  is_active = is_active and not @disable,
  disabled_at = case when @disable then coalesce(disabled_at, @finished) else disabled_at end,
  disabled_reason = case when @disable then coalesce(disabled_reason, 'failing') else disabled_reason end
where endpoint_id = @endpoint`

// The row is moved only by the daemon whose request it was. What was noted as delivered stays so.
const webhookSettleSQL = `
with moved as (
  update ops.webhook_deliveries d
  set state = @state,
    attempts = d.attempts + 1,
    tries = d.tries + 1,
    next_at = coalesce(@next_at, d.next_at),
    settled_at = case when @state = 'pending' then null else @finished::timestamptz end,
    last_status = @status,
    last_outcome = @outcome,
    lease_owner = null,
    lease_until = null
  where d.delivery_id = @delivery and d.lease_owner = @owner and d.state = 'pending'
  returning d.delivery_id, d.attempts
)
insert into ops.webhook_attempts (delivery_id, attempt, daemon_id, outcome, status, started_at, finished_at)
select delivery_id, attempts, @owner, @outcome, @status, @started, @finished
from moved`

const webhookReliefSQL = `
update ops.webhook_deliveries
set next_at = @now
where endpoint_id = @endpoint and state = 'pending' and next_at > @now`

// SettleWebhook commits what a request came to. The endpoint's row is taken before the delivery's, as by all who take both.
func (db *DB) SettleWebhook(ctx context.Context, end pipeline.WebhookEnd) (pipeline.WebhookHealth, error) {
	var health pipeline.WebhookHealth
	err := db.InTx(ctx, func(tx pgx.Tx) (err error) {
		if end.Delivered {
			err = relieve(ctx, tx, &end)
		} else {
			health, err = blame(ctx, tx, &end)
		}
		if err != nil {
			return err
		}
		return settleWebhook(ctx, tx, &end)
	})
	return health, wrapf(err, "settling webhook delivery "+end.DeliveryID.String())
}

func settleWebhook(ctx context.Context, tx pgx.Tx, end *pipeline.WebhookEnd) error {
	state, next, status := "delivered", (*time.Time)(nil), (*int)(nil)
	switch {
	case end.Delivered:
	case end.NextAt.IsZero():
		state = "failed"
	default:
		at := micros(end.NextAt)
		state, next = "pending", &at
	}
	if end.Status != 0 {
		status = &end.Status
	}
	_, err := tx.Exec(ctx, webhookSettleSQL, pgx.StrictNamedArgs{
		"delivery": end.DeliveryID, "owner": end.Owner, "state": state, "next_at": next, "status": status, "outcome": end.Outcome,
		"started": micros(end.StartedAt), "finished": micros(end.FinishedAt),
	})
	return err
}

// relieve notes a success. After a long row of failures what waits for its next try goes out at once.
func relieve(ctx context.Context, tx pgx.Tx, end *pipeline.WebhookEnd) error {
	var failures int
	finished := micros(end.FinishedAt)
	err := tx.QueryRow(ctx, webhookSuccessSQL, pgx.StrictNamedArgs{
		"endpoint": end.EndpointID, "finished": finished, "stale": finished.Add(-time.Minute),
	}).Scan(&failures)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil && failures >= end.Suspect {
		_, err = tx.Exec(ctx, webhookReliefSQL, pgx.StrictNamedArgs{"endpoint": end.EndpointID, "now": finished})
	}
	return err
}

// blame notes a failure and lets the breaker judge.
func blame(ctx context.Context, tx pgx.Tx, end *pipeline.WebhookEnd) (pipeline.WebhookHealth, error) {
	var health pipeline.WebhookHealth
	var since time.Time
	var active bool
	finished := micros(end.FinishedAt)
	err := tx.QueryRow(ctx, webhookFailureSQL, pgx.StrictNamedArgs{
		"endpoint": end.EndpointID, "started": micros(end.StartedAt), "finished": finished, "outcome": end.Outcome,
	}).Scan(&health.Failures, &since, &active)
	if errors.Is(err, pgx.ErrNoRows) {
		return health, nil // deleted meanwhile
	}
	if err != nil {
		return health, err
	}
	open, disable := end.Judge(health.Failures, since)
	if open == 0 && !disable {
		return health, nil
	}
	health.Opened, health.Disabled = true, disable && active
	_, err = tx.Exec(ctx, webhookBreakSQL, pgx.StrictNamedArgs{
		"endpoint": end.EndpointID, "open_until": finished.Add(open), "disable": health.Disabled, "finished": finished,
	})
	return health, err
}

const webhooksDueSQL = `
select exists (
  select from ops.webhook_endpoints e
  where e.is_active
    and (e.open_until is null or e.open_until <= @now)
    and exists (
      select from ops.webhook_deliveries d
      where d.endpoint_id = e.endpoint_id and d.state = 'pending' and d.next_at <= @now
        and (d.lease_until is null or d.lease_until <= @now)))
  and not exists (select from river.river_job where kind = 'webhook' and state = 'available')`

// WebhooksWait tells whether a webhook is due and no job for it waits for a worker.
func (db *DB) WebhooksWait(ctx context.Context, q Queryer) (bool, error) {
	var wait bool
	err := q.QueryRow(ctx, webhooksDueSQL, pgx.StrictNamedArgs{"now": db.Now()}).Scan(&wait)
	return wait, wrapf(err, "looking for webhooks that wait")
}

const webhooksForgetSQL = `
with old as (
  select event_id
  from ops.webhook_events
  where created_at < @before
  limit @most
)
delete from ops.webhook_events v
using old
where v.event_id = old.event_id`

// webhooksForgetBatch keeps each delete short.
const webhooksForgetBatch = 5000

// ForgetWebhooks removes events older than a time, with their deliveries and attempts, whatever became of them.
func (db *DB) ForgetWebhooks(ctx context.Context, before time.Time) (removed int64, err error) {
	for {
		var n int64
		err := db.onConn(ctx, func(q Queryer) error {
			tag, err := q.Exec(ctx, webhooksForgetSQL, pgx.StrictNamedArgs{"before": before, "most": webhooksForgetBatch})
			n = tag.RowsAffected()
			return err
		})
		if removed += n; err != nil || n < webhooksForgetBatch {
			return removed, wrapf(err, "removing old webhook events")
		}
	}
}
