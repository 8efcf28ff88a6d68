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

// DeliveryQuery asks for deliveries, newest first. Empty fields ask for all.
type DeliveryQuery struct {
	Org                uuid.UUID
	State, Destination string
	LeadID             uuid.UUID
	Offset             int64
	Limit              int
}

// DeliveryRow is a delivery as lists show it: no phone, no parameters. Times are UTC.
type DeliveryRow struct {
	ID          uuid.UUID
	Destination string
	Operation   string
	Class       string
	LeadID      *uuid.UUID
	State       string
	Reason      *string
	Hold        *string
	Attempts    int
	CreatedAt   time.Time
	NotBefore   time.Time
	SendingAt   *time.Time
	SettledAt   *time.Time
	ExpiresAt   *time.Time
	ExternalID  *string
	Error       *string
}

const deliveriesListSQL = `
select d.id, d.destination, d.operation, d.class, d.lead_id, d.state, d.reason, d.hold, d.attempts, d.created_at, d.not_before,
  d.sending_at, d.settled_at, d.expires_at, d.external_id, d.error
from ops.deliveries d
where d.org_id = @org
  and (@state = '' or d.state = @state)
  and (@destination = '' or d.destination = @destination)
  and (@lead::uuid is null or d.lead_id = @lead)
order by d.created_at desc, d.id
limit @limit
offset @offset`

const deliveriesTotalSQL = `
select count(*)
from ops.deliveries d
where d.org_id = @org
  and (@state = '' or d.state = @state)
  and (@destination = '' or d.destination = @destination)
  and (@lead::uuid is null or d.lead_id = @lead)`

// Deliveries returns one page of deliveries, and how many there are in all.
func (db *DB) Deliveries(ctx context.Context, q DeliveryQuery) (list []DeliveryRow, total int64, err error) {
	args := pgx.StrictNamedArgs{"org": q.Org, "state": q.State, "destination": q.Destination, "lead": uuidOrNull(q.LeadID)}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, deliveriesTotalSQL, args).Scan(&total); err != nil {
			return err
		}
		args["limit"], args["offset"] = q.Limit, q.Offset
		rows, err := tx.Query(ctx, deliveriesListSQL, args)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[DeliveryRow])
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("listing deliveries: %w", Quiet(err))
	}
	return list, total, nil
}

// ErrNoSuchDestination means that leads cannot be pushed to a destination of that name.
var ErrNoSuchDestination = errors.New("no leads can be pushed there")

// FirstDelivery is the delivery that a push of a lead to a destination orders, without its lead.
func FirstDelivery(destination string) (pipeline.Delivery, error) {
	first, ok := firstPushes[destination]
	if !ok {
		return pipeline.Delivery{}, ErrNoSuchDestination
	}
	return pipeline.Delivery{Account: DefaultAccount, Destination: destination, Operation: first.operation, Class: first.class}, nil
}

const leadToPushSQL = `
select l.lead_id, coalesce(l.phone_e164, ''), l.first_source_time
from pipeline.leads l
left join pipeline.lead_merges m
  on m.org_id = @org and m.lead_id = @lead
where l.org_id = @org
  and l.lead_id in (@lead, m.into_lead_id)
order by l.lead_id = @lead desc
limit 1`

// PlanPush makes the delivery that a person's push of a lead would order: free of the age rule, never of the others (law 7).
// An id that was merged away stands for the lead it became. Unknown leads are ErrNotFound.
func (db *DB) PlanPush(ctx context.Context, org, lead uuid.UUID, destination string) (pipeline.Delivery, error) {
	d, err := FirstDelivery(destination)
	if err != nil {
		return d, err
	}
	d.Org = org
	err = db.Pool.QueryRow(ctx, leadToPushSQL, pgx.StrictNamedArgs{"org": org, "lead": lead}).Scan(&d.LeadID, &d.Phone, &d.SourceTime)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return d, fmt.Errorf("reading lead %s: %w", lead, err)
	}
	d.SourceTime = d.SourceTime.UTC()
	return d, nil
}

const openPushSQL = `
select d.id
from ops.deliveries d
where d.org_id = @org
  and d.lead_id = any(array[@lead::uuid] || array(
    select m.lead_id
    from pipeline.lead_merges m
    where m.org_id = @org and m.into_lead_id = @lead))
  and d.destination = @destination
  and d.operation = @operation
  and d.state in ('ready', 'sending', 'unknown')
limit 1`

// ErrPushOpen means that a lead's delivery to the destination has no end yet: a second one could ring twice.
var ErrPushOpen = errors.New("an earlier delivery of the lead there is still open")

// Push orders a planned delivery by a person's word, also of a lead that was pushed before and settled since. wake is called in
// the transaction.
func (db *DB) Push(ctx context.Context, d pipeline.Delivery, wake func(context.Context, pgx.Tx, []string) error) (uuid.UUID, error) {
	var id uuid.UUID
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		// Two pushes at once must not both find nothing open.
		if err := LockSuppressions(ctx, tx, []string{pushLockKey(d.Org, d.LeadID, d.Destination)}); err != nil {
			return err
		}
		var open uuid.UUID
		err := tx.QueryRow(ctx, openPushSQL, pgx.StrictNamedArgs{
			"org": d.Org, "lead": d.LeadID, "destination": d.Destination, "operation": d.Operation,
		}).Scan(&open)
		if err == nil {
			return fmt.Errorf("%w: %s", ErrPushOpen, open)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		order := NewDelivery{
			Org: d.Org, Account: d.Account, Destination: d.Destination, Operation: d.Operation, Class: d.Class, LeadID: d.LeadID,
			Phone: d.Phone, Params: d.Params, SourceTime: d.SourceTime, Dedupe: "operator " + uuid.NewString(),
		}
		inserted, err := db.InsertDeliveries(ctx, tx, []NewDelivery{order})
		if err != nil {
			return err
		}
		id = inserted[0].ID
		if d.Class == pipeline.ClassKeyed {
			if err := keepLead(ctx, tx, id, db.Now()); err != nil {
				return err
			}
		}
		return wake(ctx, tx, []string{d.Destination})
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("pushing lead %s to %s: %w", d.LeadID, d.Destination, Quiet(err))
	}
	return id, nil
}

// pushLockKey names what keeps two orders for one lead from finding nothing open.
func pushLockKey(org, lead uuid.UUID, destination string) string {
	return "push|" + org.String() + "|" + lead.String() + "|" + destination
}

const deliveryKeepLeadSQL = `
update ops.deliveries
set params = params || jsonb_build_object('lead', @lead::jsonb)
where id = @id`

// keepLead writes the lead as it is now into the order of a keyed delivery: the same key must always go with the same body.
func keepLead(ctx context.Context, tx pgx.Tx, id uuid.UUID, now time.Time) error {
	found, err := deliveryCandidates(ctx, tx, []uuid.UUID{id}, now)
	if err != nil || len(found) != 1 {
		return fmt.Errorf("reading the lead of delivery %s: %w", id, errors.Join(err, ErrNotFound))
	}
	lead, err := json.Marshal(found[0].Lead)
	if err != nil {
		return fmt.Errorf("writing the lead of delivery %s: %w", id, err)
	}
	_, err = tx.Exec(ctx, deliveryKeepLeadSQL, pgx.StrictNamedArgs{"id": id, "lead": string(lead)})
	return err
}

const leadsOfRouteSQL = `
select l.lead_id
from pipeline.leads l
where l.org_id = @org
  and (@source = '' or l.source = @source
    or exists (
      select 1
      from pipeline.lead_keys k
      where k.org_id = l.org_id and k.lead_id = l.lead_id and k.evidence like @source || '/%'))
  and (@priority = '' or coalesce(l.priority, 'normal') = @priority)
  and (@stage = '' or l.stage_key = @stage)
  and (@tag = '' or l.tags ? @tag)
  and (@min_amount = '' or l.requested_amount >= nullif(@min_amount, '')::numeric)
  and (@campaign = '' or exists (
    select 1
    from pipeline.lead_keys k
    join ipscape.leads i
      on i.org_id = k.org_id and i.account_id = k.account_id
      and i.lead_id = case when k.value ~ '^[0-9]{1,18}$' then k.value::bigint end
    where k.org_id = l.org_id
      and k.lead_id = l.lead_id
      and k.kind = 'ipscape_lead'
      and i.campaign_id::text = @campaign))
order by l.first_source_time desc, l.lead_id
limit @limit`

// LeadsMatching lists leads that a route's condition takes and, unless it is empty, that are in a campaign of ipSCAPE's.
func (db *DB) LeadsMatching(ctx context.Context, org uuid.UUID, condition pipeline.Condition, campaign string, limit int) ([]uuid.UUID, error) {
	args := pgx.StrictNamedArgs{"org": org, "campaign": campaign, "limit": limit, "source": "", "priority": "", "stage": "", "tag": "", "min_amount": ""}
	for key, value := range condition.Terms() {
		if args[key] != "" {
			return nil, fmt.Errorf("listing leads of a condition: it names %s twice", key)
		}
		args[key] = value
	}
	rows, err := db.Pool.Query(ctx, leadsOfRouteSQL, args)
	if err != nil {
		return nil, fmt.Errorf("listing leads of a condition: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}
