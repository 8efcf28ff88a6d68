package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// WebhookEndpoint is a subscription to webhooks out.
type WebhookEndpoint struct {
	ID             uuid.UUID
	Org            uuid.UUID
	URL            string
	Events         []string
	KeyID          string
	IsActive       bool
	CreatedAt      time.Time
	UpdatedAt      time.Time
	DisabledAt     *time.Time
	DisabledReason *string
	Failures       int
	FailingSince   *time.Time
	OpenUntil      *time.Time
	LastSuccessAt  *time.Time
	LastFailureAt  *time.Time
	LastOutcome    *string
}

// SealedSecret is a signing secret as the database keeps it.
type SealedSecret struct {
	Sealed []byte
	KeyID  string
}

// maxWebhookEndpoints is how many an organisation may have: every event is written once for each.
const maxWebhookEndpoints = 100

// ErrTooMany means that an organisation has as many as it may have.
var ErrTooMany = errors.New("too many")

const webhookColumns = `endpoint_id, org_id, url, events, key_id, is_active, created_at, updated_at, disabled_at, disabled_reason,
  failures, failing_since, open_until, last_success_at, last_failure_at, last_outcome`

const webhookEndpointInsertSQL = `
insert into ops.webhook_endpoints (endpoint_id, org_id, url, events, secret_sealed, key_id, created_at, updated_at)
select @id, @org, @url, @events, @sealed, @key_id, @now, @now
where (select count(*) from ops.webhook_endpoints where org_id = @org) < @most
returning ` + webhookColumns

// CreateWebhookEndpoint makes an endpoint under an id that the caller has made, because the secret is sealed for that id. It
// returns ErrTooMany past a hundred.
func (db *DB) CreateWebhookEndpoint(ctx context.Context, org, id uuid.UUID, url string, events []string, secret SealedSecret) (e WebhookEndpoint, err error) {
	order := NewWebhookEndpoint{ID: id, URL: url, Events: events, Secret: secret}
	_, err = db.CreateWebhookEndpointOnce(ctx, org, order, nil, func(made *WebhookEndpoint) (Answer, error) {
		e = *made
		return Answer{}, nil
	})
	return e, err
}

// NewWebhookEndpoint is an order for an endpoint. Its id is the caller's, because the secret is sealed for that id.
type NewWebhookEndpoint struct {
	ID     uuid.UUID
	URL    string
	Events []string
	Secret SealedSecret
}

// CreateWebhookEndpointOnce is CreateWebhookEndpoint under an idempotency key, nil for none: what answer makes of the endpoint is kept and
// repeated, so that it must not hold the secret. It fails with ErrKeyInFlight and ErrKeyReused too.
func (db *DB) CreateWebhookEndpointOnce(
	ctx context.Context, org uuid.UUID, order NewWebhookEndpoint, key *IdempotencyKey, answer func(*WebhookEndpoint) (Answer, error),
) (Answer, error) {
	got, err := db.once(ctx, org, key, func(tx pgx.Tx) (Answer, error) {
		e, err := collectEndpoint(tx.Query(ctx, webhookEndpointInsertSQL, pgx.StrictNamedArgs{
			"id": order.ID, "org": org, "url": order.URL, "events": order.Events, "sealed": order.Secret.Sealed, "key_id": order.Secret.KeyID,
			"now": db.Now(), "most": maxWebhookEndpoints,
		}))
		if errors.Is(err, ErrNotFound) {
			err = ErrTooMany
		}
		if err != nil {
			return Answer{}, err
		}
		return answer(&e)
	})
	if err != nil {
		return Answer{}, fmt.Errorf("making a webhook endpoint: %w", Quiet(err))
	}
	return got, nil
}

const webhookEndpointsSQL = `
select ` + webhookColumns + `
from ops.webhook_endpoints
where org_id = @org or @everybody
order by created_at, endpoint_id`

// WebhookEndpoints lists an organisation's endpoints, or everybody's for uuid.Nil, by age.
func (db *DB) WebhookEndpoints(ctx context.Context, org uuid.UUID) ([]WebhookEndpoint, error) {
	var list []WebhookEndpoint
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, webhookEndpointsSQL, pgx.StrictNamedArgs{"org": org, "everybody": org == uuid.Nil})
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[WebhookEndpoint])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing webhook endpoints: %w", err)
	}
	return list, nil
}

// WebhookPatch is a change of an endpoint; nil leaves as it is.
type WebhookPatch struct {
	URL      *string
	Events   []string
	IsActive *bool
	Secret   *SealedSecret
}

// Who switches an endpoint on, or gives it another address, believes in it: it begins anew.
const webhookEndpointUpdateSQL = `
update ops.webhook_endpoints e
set url = coalesce(@url, e.url),
  events = coalesce(@events, e.events),
  is_active = coalesce(@active, e.is_active),
  secret_sealed = coalesce(@sealed, e.secret_sealed),
  key_id = coalesce(@key_id, e.key_id),
  disabled_at = case when @active::boolean is null then e.disabled_at end,
  disabled_reason = case when @active::boolean is null then e.disabled_reason end,
  failures = case when @fresh then 0 else e.failures end,
  failing_since = case when @fresh then null else e.failing_since end,
  open_until = case when @fresh then null else e.open_until end,
  updated_at = @now
where org_id = @org and endpoint_id = @id
returning ` + webhookColumns

// UpdateWebhookEndpoint changes an endpoint; one of another organisation is ErrNotFound.
func (db *DB) UpdateWebhookEndpoint(ctx context.Context, org, id uuid.UUID, p WebhookPatch) (WebhookEndpoint, error) {
	args := pgx.StrictNamedArgs{
		"org": org, "id": id, "url": p.URL, "events": p.Events, "active": p.IsActive, "sealed": []byte(nil), "key_id": (*string)(nil),
		"fresh": p.URL != nil || p.IsActive != nil && *p.IsActive, "now": db.Now(),
	}
	if p.Secret != nil {
		args["sealed"], args["key_id"] = p.Secret.Sealed, &p.Secret.KeyID
	}
	var e WebhookEndpoint
	err := db.onConn(ctx, func(q Queryer) (err error) {
		e, err = collectEndpoint(q.Query(ctx, webhookEndpointUpdateSQL, args))
		return err
	})
	if err != nil {
		return e, fmt.Errorf("changing webhook endpoint %s: %w", id, Quiet(err))
	}
	return e, nil
}

const webhookEndpointDeleteSQL = `
delete from ops.webhook_endpoints
where org_id = @org and endpoint_id = @id`

// DeleteWebhookEndpoint removes an endpoint with its deliveries; one of another organisation is ErrNotFound.
func (db *DB) DeleteWebhookEndpoint(ctx context.Context, org, id uuid.UUID) error {
	return db.onConn(ctx, func(q Queryer) error {
		tag, err := q.Exec(ctx, webhookEndpointDeleteSQL, pgx.StrictNamedArgs{"org": org, "id": id})
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("deleting webhook endpoint %s: %w", id, err)
		}
		return nil
	})
}

func collectEndpoint(rows pgx.Rows, err error) (WebhookEndpoint, error) {
	if err != nil {
		return WebhookEndpoint{}, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[WebhookEndpoint])
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return e, err
}

// WebhookState is how an endpoint stands, in one word.
type WebhookState string

// The states of endpoints.
const (
	WebhookActive   WebhookState = "active"
	WebhookFailing  WebhookState = "failing"  // its breaker has opened, and nothing has arrived since
	WebhookInactive WebhookState = "inactive" // switched off by its owner
	WebhookDisabled WebhookState = "disabled" // switched off by us, for failing
)

// State tells how the endpoint stands.
func (e *WebhookEndpoint) State() WebhookState {
	switch {
	case e.DisabledAt != nil && !e.IsActive:
		return WebhookDisabled
	case !e.IsActive:
		return WebhookInactive
	case e.OpenUntil != nil:
		return WebhookFailing
	}
	return WebhookActive
}
