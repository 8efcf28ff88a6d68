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

// DefaultAccount is the vendor account that the environment configures.
const DefaultAccount = "default"

// Operations that reconcile orders for a lead. Those of the diallers ring (law 5).
const (
	OpInsertLead = "insert_lead"
	OpStartCall  = "start_call"
)

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
