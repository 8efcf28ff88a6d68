package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// NewDelivery orders one effect at a destination.
type NewDelivery struct {
	Org         uuid.UUID
	Account     string
	Destination string
	Operation   string
	Class       pipeline.DeliveryClass
	// LeadID is uuid.Nil for a delivery that is about a phone only.
	LeadID uuid.UUID
	// Phone is E.164, empty when the lead has none; what rings is the lead's phone at the time of sending.
	Phone string
	// Params is a JSON object, or nil.
	Params json.RawMessage
	// SourceTime is the lead's earliest source time: the age that counts (law 7).
	SourceTime time.Time
	// ExpiresAt is when it is too old to be sent; zero = never, for what the age rule does not bind.
	ExpiresAt time.Time
	// NotBefore is zero for at once.
	NotBefore time.Time
	// Settled, where it is set, makes a row that is confirmed from the start for this reason: nothing is sent.
	Settled string
	// Dedupe makes the effect one: of several orders with the same organisation, destination, operation and Dedupe the
	// first stands.
	Dedupe string
}

// InsertedDelivery is an order that became a row.
type InsertedDelivery struct {
	ID          uuid.UUID
	Destination string
	// Index is the order's place in the slice that was given.
	Index int
}

const deliveriesInsertSQL = `
insert into ops.deliveries (
  id, org_id, account_id, destination, operation, class, lead_id, phone, state, reason, settled_at, params, source_time, expires_at,
  not_before, created_at, dedupe)
select
  t.id, t.org_id, t.account_id, t.destination, t.operation, t.class, t.lead_id, nullif(t.phone, ''),
  case t.settled when '' then 'ready' else 'confirmed' end, nullif(t.settled, ''), case when t.settled <> '' then @now::timestamptz end,
  t.params, t.source_time, t.expires_at, t.not_before, @now, t.dedupe
from unnest(
  @ids::uuid[], @orgs::uuid[], @accounts::text[], @destinations::text[], @operations::text[], @classes::text[],
  @leads::uuid[], @phones::text[], @settled::text[], @params::jsonb[], @source_times::timestamptz[], @expires::timestamptz[],
  @not_before::timestamptz[], @dedupes::text[]
) as t(id, org_id, account_id, destination, operation, class, lead_id, phone, settled, params, source_time, expires_at, not_before,
  dedupe)
on conflict (org_id, destination, operation, dedupe) do nothing
returning id`

// InsertDeliveries writes orders in the caller's transaction, so that what makes a delivery necessary and the delivery are
// committed together (law 2). Orders that exist already are passed over; it returns those that are new. Wake their
// destinations in the same transaction.
func (db *DB) InsertDeliveries(ctx context.Context, tx pgx.Tx, orders []NewDelivery) ([]InsertedDelivery, error) {
	if len(orders) == 0 {
		return nil, nil
	}
	now := db.Now()
	c := deliveryColumns{index: make(map[uuid.UUID]int, len(orders))}
	for i := range orders {
		if err := c.add(i, &orders[i], now); err != nil {
			return nil, err
		}
	}
	rows, err := tx.Query(ctx, deliveriesInsertSQL, pgx.StrictNamedArgs{
		"now": now, "ids": c.ids, "orgs": c.orgs, "accounts": c.accounts, "destinations": c.destinations,
		"operations": c.operations, "classes": c.classes, "leads": c.leads, "phones": c.phones, "settled": c.settled, "params": c.params,
		"source_times": c.sourceTimes, "expires": c.expires, "not_before": c.notBefore, "dedupes": c.dedupes,
	})
	if err != nil {
		return nil, fmt.Errorf("inserting deliveries: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("inserting deliveries: %w", err)
	}
	inserted := make([]InsertedDelivery, 0, len(ids))
	pushed := map[uuid.UUID]pushedLead{}
	for _, id := range ids {
		i := c.index[id]
		o := &orders[i]
		inserted = append(inserted, InsertedDelivery{ID: id, Destination: o.Destination, Index: i})
		if o.Destination == destinationLendWorks && o.Operation == OpInsertLead && o.LeadID != uuid.Nil {
			pushed[o.LeadID] = pushedLead{org: o.Org, account: o.Account, lead: o.LeadID}
		}
	}
	return inserted, db.landPushed(ctx, tx, pushed)
}

// deliveryColumns are orders turned into arrays.
type deliveryColumns struct {
	ids, orgs                                                   []uuid.UUID
	accounts, destinations, operations, classes, phones, params []string
	dedupes, settled                                            []string
	leads                                                       []*uuid.UUID
	sourceTimes, notBefore                                      []time.Time
	expires                                                     []*time.Time
	index                                                       map[uuid.UUID]int
}

func (c *deliveryColumns) add(i int, o *NewDelivery, now time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("making a delivery's id: %w", err)
	}
	if o.Dedupe == "" || o.Destination == "" || o.Operation == "" || o.SourceTime.IsZero() {
		return errors.New("ordering a delivery: destination, operation, dedupe and source time must be set")
	}
	c.index[id] = i
	c.ids, c.orgs = append(c.ids, id), append(c.orgs, o.Org)
	c.accounts, c.destinations = append(c.accounts, o.Account), append(c.destinations, o.Destination)
	c.operations, c.classes = append(c.operations, o.Operation), append(c.classes, string(o.Class))
	c.phones, c.dedupes = append(c.phones, o.Phone), append(c.dedupes, o.Dedupe)
	c.settled = append(c.settled, o.Settled)
	params := string(o.Params)
	if params == "" {
		params = "{}"
	}
	c.params = append(c.params, params)
	c.leads = append(c.leads, uuidOrNull(o.LeadID))
	c.sourceTimes = append(c.sourceTimes, micros(o.SourceTime))
	c.expires = append(c.expires, timeOrNull(o.ExpiresAt))
	notBefore := micros(o.NotBefore)
	if o.NotBefore.IsZero() {
		notBefore = now
	}
	c.notBefore = append(c.notBefore, notBefore)
	return nil
}

// micros cuts a time to what a timestamptz holds, in UTC.
func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = micros(t)
	return &t
}

func uuidOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// deliveryTextLimit bounds what an error or an answer may take in a row, in bytes.
const deliveryTextLimit = 2000

func deliveryText(text string) string { return cleanText(text, deliveryTextLimit) }
