package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// DefaultAccount is the vendor account that the environment configures.
const DefaultAccount = "default"

// Operations that reconcile orders for a lead. Those of the diallers ring (law 5).
const (
	OpInsertLead = "insert_lead"
	OpStartCall  = "start_call"
)

// firstPush is what a destination does with a lead that it does not have yet.
type firstPush struct {
	operation string
	class     pipeline.DeliveryClass
}

var firstPushes = map[string]firstPush{
	destinationDialedIn:  {OpInsertLead, pipeline.ClassRings},
	"convolo":            {OpStartCall, pipeline.ClassRings},
	destinationLendWorks: {OpInsertLead, pipeline.ClassKeyed},
}

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

// RouteRow is a route with who made it.
type RouteRow struct {
	RouteID     uuid.UUID
	Destination string
	Condition   string
	// Origin is environment (TRUNKLINE_PUSH) or operator.
	Origin    string
	CreatedAt time.Time
}

const routesListSQL = `
select route_id, destination, condition, origin, created_at
from ops.routes
where org_id = @org and removed_at is null
order by created_at, destination, condition`

// RouteList returns the organisation's routes with who made them.
func (db *DB) RouteList(ctx context.Context, org uuid.UUID) ([]RouteRow, error) {
	rows, err := db.Pool.Query(ctx, routesListSQL, pgx.StrictNamedArgs{"org": org})
	if err != nil {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[RouteRow])
}

const routeAddSQL = `
insert into ops.routes (route_id, org_id, destination, condition, origin, created_at)
values (@id, @org, @destination, @condition, 'operator', @now)
on conflict (org_id, destination, condition, origin) where removed_at is null do nothing`

// ErrRouteExists means that the organisation has the same route already.
var ErrRouteExists = errors.New("there is such a route already")

// AddRoute adds a route by a person's word. It takes leads that are younger than itself (law 7).
func (db *DB) AddRoute(ctx context.Context, org uuid.UUID, destination string, condition pipeline.Condition) (RouteRow, error) {
	r := RouteRow{RouteID: uuid.New(), Destination: destination, Condition: condition.String(), Origin: "operator", CreatedAt: micros(db.Now())}
	tag, err := db.Pool.Exec(ctx, routeAddSQL, pgx.StrictNamedArgs{
		"id": r.RouteID, "org": org, "destination": destination, "condition": r.Condition, "now": r.CreatedAt,
	})
	switch {
	case err != nil:
		return r, fmt.Errorf("adding a route to %s: %w", destination, err)
	case tag.RowsAffected() == 0:
		return r, fmt.Errorf("adding a route to %s: %w", destination, ErrRouteExists)
	}
	return r, nil
}

const routeRemoveSQL = `
with found as (
  select route_id, origin
  from ops.routes
  where org_id = @org and route_id = @id and removed_at is null
), gone as (
  update ops.routes r
  set removed_at = @now
  from found
  where r.route_id = found.route_id and found.origin = 'operator'
)
select origin from found`

// ErrRouteOfEnvironment means that a route is TRUNKLINE_PUSH's, which alone can take it away.
var ErrRouteOfEnvironment = errors.New("the route is one of TRUNKLINE_PUSH: take it out there, and start the daemon anew")

// RemoveRoute takes away a route that a person added. What it has ordered is sent only if another route wants it (noteUnrouted).
func (db *DB) RemoveRoute(ctx context.Context, org, id uuid.UUID) error {
	var origin string
	err := db.Pool.QueryRow(ctx, routeRemoveSQL, pgx.StrictNamedArgs{"org": org, "id": id, "now": db.Now()}).Scan(&origin)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("removing route %s: %w", id, ErrNotFound)
	case err != nil:
		return fmt.Errorf("removing route %s: %w", id, err)
	case origin != "operator":
		return fmt.Errorf("removing route %s: %w", id, ErrRouteOfEnvironment)
	}
	return nil
}

// A lead that merged into another one may have been sent under its old id.
const pushedSQL = `
select distinct coalesce(m.into_lead_id, d.lead_id), d.destination
from ops.deliveries d
left join pipeline.lead_merges m on m.org_id = d.org_id and m.lead_id = d.lead_id
where d.org_id = @org and d.operation <> 'dnc_add'
  and (d.lead_id = any(@ids) or d.lead_id in (select lead_id from pipeline.lead_merges where org_id = @org and into_lead_id = any(@ids)))`

// push orders what follows from a fold beside the obligations of new opt-outs: those of leads that came after their opt-out, and
// what routes want of changed leads: to be told of changes where they were given before, else the first delivery.
func (r *Reconciler) push(ctx context.Context, tx pgx.Tx, f *folded, changed []int) ([]string, error) {
	late, err := r.obligeLate(ctx, tx, f)
	if err != nil {
		return nil, err
	}
	routes, err := r.DB.Routes(ctx, tx, f.org)
	if err != nil || len(routes) == 0 {
		return late, err
	}
	told, err := r.update(ctx, tx, f, routes, changed)
	if err != nil {
		return nil, err
	}
	first, err := r.pushFirst(ctx, tx, f, routes, changed)
	return slices.Concat(late, told, first), err
}

// pushFirst orders the first delivery of every changed lead that a route wants and law 7 allows.
func (r *Reconciler) pushFirst(ctx context.Context, tx pgx.Tx, f *folded, routes []Route, changed []int) ([]string, error) {
	var young []int
	var ids []uuid.UUID
	for _, i := range changed {
		l := &f.result.Leads[i]
		if !l.DNC && f.now.Sub(l.FirstSourceTime) < r.MaxAge && f.ids.SplitFrom[i] == uuid.Nil {
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
			if _, known := firstPushes[route.Destination]; !known || had[sent] || split[sent.lead] || !route.wants(&f.result.Leads[i]) {
				continue
			}
			order, err := r.order(f, i, route)
			if err != nil {
				return nil, err
			}
			had[sent] = true
			orders = append(orders, order)
			destinations = append(destinations, route.Destination)
			if order.Class == pipeline.ClassRings {
				f.sped = append(f.sped, sped{route.Destination, stepReady, f.now.Sub(f.result.Leads[i].CreatedAt)})
			}
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
// route was made counts as younger. What rings needs a number; and what LendWorks has is not pushed back to it.
func (route *Route) wants(l *pipeline.Lead) bool {
	if firstPushes[route.Destination].class == pipeline.ClassRings && l.DialPhone() == "" {
		return false
	}
	if route.Destination == destinationLendWorks && slices.ContainsFunc(l.Keys, func(k pipeline.LinkedKey) bool { return k.Kind == pipeline.KeyLendWorks }) {
		return false
	}
	return !l.FirstSourceTime.Before(route.CreatedAt.Truncate(time.Second)) && route.Condition.Matches(l)
}

// order makes the first delivery of a lead. What rings expires with the lead's age (law 7); what is keyed carries the lead as it
// is now, for the same key must always go with the same body.
func (r *Reconciler) order(f *folded, i int, route Route) (NewDelivery, error) {
	l := &f.result.Leads[i]
	id, first := f.ids.IDs[i], firstPushes[route.Destination]
	o := NewDelivery{
		Org: f.org, Account: DefaultAccount, Destination: route.Destination, Operation: first.operation,
		Class: first.class, LeadID: id, Phone: l.DialPhone(), SourceTime: l.FirstSourceTime, NotBefore: f.now, Dedupe: id.String(),
	}
	if first.class == pipeline.ClassRings {
		o.ExpiresAt = l.FirstSourceTime.Add(r.MaxAge)
		return o, nil
	}
	var err error
	o.Params, err = json.Marshal(map[string]any{"lead": viewOf(l, id)})
	return o, err
}

// viewOf is a lead as a destination sees it.
func viewOf(l *pipeline.Lead, id uuid.UUID) pipeline.LeadView {
	text := func(field pipeline.Field) string { return l.Fields[field].Value }
	v := pipeline.LeadView{
		ID: id.String(), Phone: l.DialPhone(), FirstName: text(pipeline.FieldContactFirstName), LastName: text(pipeline.FieldContactLastName),
		BusinessName: text(pipeline.FieldBusinessName), Email: text(pipeline.FieldEmail), City: text(pipeline.FieldCity),
		State: text(pipeline.FieldState), PostalCode: text(pipeline.FieldPostalCode), Industry: text(pipeline.FieldIndustry),
		MonthlyRevenue:  textOf(amount(text(pipeline.FieldMonthlyRevenue))),
		RequestedAmount: textOf(amount(text(pipeline.FieldRequestedAmount))),
		Priority:        text(pipeline.FieldPriority), Source: text(pipeline.FieldSource), Timezone: text(pipeline.FieldTimezone),
		Custom: customTexts(json.RawMessage(text(pipeline.FieldCustom))),
	}
	// A list of tags is all that the API takes; anything else says nothing here.
	_ = json.Unmarshal([]byte(text(pipeline.FieldTags)), &v.Tags)
	return v
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
