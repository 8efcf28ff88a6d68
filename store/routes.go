package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// DefaultAccount is the vendor account that the environment configures.
const DefaultAccount = "default"

// Operations that reconcile orders for a lead; both ring (law 5).
const (
	OpInsertLead = "insert_lead"
	OpStartCall  = "start_call"
)

// firstOperation is what a destination does with a lead that it does not have yet.
var firstOperation = map[string]string{"dialedin": OpInsertLead, "convolo": OpStartCall}

// Route sends leads to a destination.
type Route struct {
	ID          uuid.UUID
	Destination string
	Condition   pipeline.Condition
	CreatedAt   time.Time
}

const routesRemoveSQL = `
update ops.routes r
set removed_at = @now
where r.org_id = @org and r.origin = 'environment' and r.removed_at is null
  and not exists (
    select from unnest(@destinations::text[], @conditions::text[]) as w (destination, condition)
    where w.destination = r.destination and w.condition = r.condition)
returning route_id, destination, condition, created_at`

const routesAddSQL = `
insert into ops.routes (route_id, org_id, destination, condition, origin, created_at)
select gen_random_uuid(), @org, w.destination, w.condition, 'environment', @now
from unnest(@destinations::text[], @conditions::text[]) as w (destination, condition)
on conflict (org_id, destination, condition, origin) where removed_at is null do nothing`

// SetEnvironmentRoutes brings the routes of TRUNKLINE_PUSH in step with the table, and returns those that went. A route
// keeps its age over restarts; one that is taken out and put back is new: leads that came meanwhile are not sent by
// themselves (law 7).
func (db *DB) SetEnvironmentRoutes(ctx context.Context, org uuid.UUID, routes []Route) (removed []Route, err error) {
	destinations, conditions := []string{}, []string{}
	for _, r := range routes {
		destinations, conditions = append(destinations, r.Destination), append(conditions, r.Condition.String())
	}
	args := pgx.StrictNamedArgs{"org": org, "now": db.Now(), "destinations": destinations, "conditions": conditions}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, routesRemoveSQL, args)
		if err != nil {
			return err
		}
		if removed, err = pgx.CollectRows(rows, scanRoute); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, routesAddSQL, args)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("writing the routes of TRUNKLINE_PUSH: %w", err)
	}
	return removed, nil
}

const routesActiveSQL = `
select route_id, destination, condition, created_at
from ops.routes
where org_id = @org and removed_at is null
order by created_at, destination, condition`

// Routes returns the organisation's routes.
func (db *DB) Routes(ctx context.Context, q Queryer, org uuid.UUID) ([]Route, error) {
	rows, err := q.Query(ctx, routesActiveSQL, pgx.StrictNamedArgs{"org": org})
	if err != nil {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	return pgx.CollectRows(rows, scanRoute)
}

func scanRoute(row pgx.CollectableRow) (Route, error) {
	var r Route
	var condition string
	if err := row.Scan(&r.ID, &r.Destination, &condition, &r.CreatedAt); err != nil {
		return r, err
	}
	var err error
	r.Condition, err = pipeline.ParseCondition(condition)
	return r, err
}

// A lead that merged into another one may have been sent under its old id.
const pushedSQL = `
select distinct coalesce(m.into_lead_id, d.lead_id), d.destination
from ops.deliveries d
left join pipeline.lead_merges m on m.org_id = d.org_id and m.lead_id = d.lead_id
where d.org_id = @org and d.operation <> 'dnc_add'
  and (d.lead_id = any(@ids) or d.lead_id in (select lead_id from pipeline.lead_merges where org_id = @org and into_lead_id = any(@ids)))`

// push orders the first delivery of every changed lead that a route wants and law 7 allows.
func (r *Reconciler) push(ctx context.Context, tx pgx.Tx, f *folded, changed []int) ([]string, error) {
	routes, err := r.DB.Routes(ctx, tx, f.org)
	if err != nil || len(routes) == 0 {
		return nil, err
	}
	var young []int
	var ids []uuid.UUID
	for _, i := range changed {
		l := &f.result.Leads[i]
		if !l.DNC && f.now.Sub(l.FirstSourceTime) < r.MaxAge && f.ids.SplitFrom[i] == uuid.Nil && l.DialPhone() != "" {
			young = append(young, i)
			ids = append(ids, f.ids.IDs[i])
		}
	}
	if len(young) == 0 {
		return nil, nil
	}
	had, err := r.pushed(ctx, tx, f.org, ids)
	if err != nil {
		return nil, err
	}
	split, err := r.splitOff(ctx, tx, f.org, ids)
	if err != nil {
		return nil, err
	}
	var orders []NewDelivery
	var destinations []string
	for _, i := range young {
		for _, route := range routes {
			sent := pushedTo{f.ids.IDs[i], route.Destination}
			// A destination that no operation is known for is one of a later version: its leads wait for that.
			if firstOperation[route.Destination] == "" || had[sent] || split[sent.lead] || !route.wants(&f.result.Leads[i]) {
				continue
			}
			had[sent] = true
			orders = append(orders, r.order(f, i, route))
			destinations = append(destinations, route.Destination)
		}
	}
	if len(orders) == 0 {
		return nil, nil
	}
	if _, err := r.DB.InsertDeliveries(ctx, tx, orders); err != nil {
		return nil, err
	}
	return destinations, nil
}

// wants tells whether the route takes the lead. Vendors' times have whole seconds, so a lead of the second in which the
// route was made counts as younger.
func (route *Route) wants(l *pipeline.Lead) bool {
	return !l.FirstSourceTime.Before(route.CreatedAt.Truncate(time.Second)) && route.Condition.Matches(l)
}

func (r *Reconciler) order(f *folded, i int, route Route) NewDelivery {
	l := &f.result.Leads[i]
	id := f.ids.IDs[i]
	return NewDelivery{
		Org: f.org, Account: DefaultAccount, Destination: route.Destination, Operation: firstOperation[route.Destination],
		Class: pipeline.ClassRings, LeadID: id, Phone: l.DialPhone(), SourceTime: l.FirstSourceTime, ExpiresAt: l.FirstSourceTime.Add(r.MaxAge),
		NotBefore: f.now, Dedupe: id.String(),
	}
}

type pushedTo struct {
	lead        uuid.UUID
	destination string
}

func (r *Reconciler) pushed(ctx context.Context, tx pgx.Tx, org uuid.UUID, ids []uuid.UUID) (map[pushedTo]bool, error) {
	rows, err := tx.Query(ctx, pushedSQL, pgx.StrictNamedArgs{"org": org, "ids": ids})
	if err != nil {
		return nil, fmt.Errorf("asking what was delivered before: %w", err)
	}
	had := map[pushedTo]bool{}
	var to pushedTo
	_, err = pgx.ForEachRow(rows, []any{&to.lead, &to.destination}, func() error {
		had[to] = true
		return nil
	})
	return had, err
}

const splitLeadsSQL = `
select lead_id
from pipeline.lead_splits
where org_id = @org and lead_id = any(@ids)`

// splitOff returns the leads that once were part of another: a split never pushes again.
func (r *Reconciler) splitOff(ctx context.Context, tx pgx.Tx, org uuid.UUID, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	rows, err := tx.Query(ctx, splitLeadsSQL, pgx.StrictNamedArgs{"org": org, "ids": ids})
	if err != nil {
		return nil, fmt.Errorf("asking which leads were split off: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	split := map[uuid.UUID]bool{}
	for _, id := range list {
		split[id] = true
	}
	return split, err
}
