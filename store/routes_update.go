package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// OpUpdateLead tells a destination what changed of a lead that it was given.
const OpUpdateLead = "update_lead"

// updatable are the destinations that can be told of changes.
var updatable = []string{destinationDialedIn, destinationLendWorks}

// UpdateParams are the parameters of an update_lead.
type UpdateParams struct {
	// Theirs are the fields whose value is the destination's own word: those are not told back to it.
	Theirs []pipeline.Field `json:"theirs,omitempty"`
	// Withheld are fields that are not told: names, where a phone alone ties leads of different names together.
	Withheld []pipeline.Field `json:"withheld,omitempty"`
}

// What is ready is read when it is sent, unless its request has just begun: a begin holds the row, and so do we until the lead's
// change is committed. One of the two waits, and sees what the other did.
const pushedReadySQL = `
select d.id
from ops.deliveries d
where d.org_id = @org
  and d.lead_id = any(@ids)
  and d.destination = any(@destinations)
  and d.operation in ('insert_lead', 'update_lead')
  and d.state = 'ready'
order by d.id
for update`

// The last thing that each destination was told, or is about to be told, of each lead: under each id that it knows the lead by. The
// newest delivery, whatever became of it, tells one order from the next.
const pushedLastSQL = `
with pushed as (
  select d.id, d.lead_id, d.account_id, d.destination, d.operation, d.class, d.state, d.created_at, coalesce(d.told, d.params -> 'lead')::text as told,
    first_value(d.id) over (partition by d.lead_id, d.account_id, d.destination order by d.created_at desc, d.id desc) as newest
  from ops.deliveries d
  where d.org_id = @org
    and d.lead_id = any(@ids)
    and d.destination = any(@destinations)
    and d.operation in ('insert_lead', 'update_lead')
)
select distinct on (lead_id, account_id, destination)
  id, newest, lead_id, account_id, destination, operation, class, state, told
from pushed
where state in ('ready', 'sending', 'unknown', 'confirmed')
order by lead_id, account_id, destination, created_at desc, id desc`

const mergedIntoSQL = `
select lead_id, into_lead_id
from pipeline.lead_merges
where org_id = @org and into_lead_id = any(@ids)`

const updateTheirsSQL = `
update ops.deliveries
set params = @params
where id = @id and state = 'ready'`

// pushedLast is a row of pushedLastSQL.
type pushedLast struct {
	id, newest, lead        uuid.UUID
	account, destination    string
	operation, class, state string
	told                    *string
	place                   int // of the lead in the fold's result
}

// update orders that destinations be told of changes of leads that they were given, for as long as a route leads to them
// (architecture.md law 7: whatever the lead's age), and where Tells says that they would be told anything: an order takes a turn in
// the destination's budget. It returns the destinations that got any.
func (r *Reconciler) update(ctx context.Context, tx pgx.Tx, f *folded, routes []Route, changed []int) ([]string, error) {
	destinations := slices.DeleteFunc(slices.Clone(updatable), func(d string) bool {
		return !slices.ContainsFunc(routes, func(route Route) bool { return route.Destination == d })
	})
	place := map[uuid.UUID]int{}
	for _, i := range changed {
		if !f.result.Leads[i].DNC {
			place[f.ids.IDs[i]] = i
		}
	}
	if len(destinations) == 0 || len(place) == 0 {
		return nil, nil
	}
	last, err := f.lastPushed(ctx, tx, destinations, place)
	if err != nil {
		return nil, err
	}
	var orders []NewDelivery
	var woken []string
	for i := range last {
		at := &last[i]
		l := &f.result.Leads[at.place]
		params, err := json.Marshal(UpdateParams{Theirs: theirsOf(l, at.destination), Withheld: withheldOf(l)})
		if err != nil {
			return nil, err
		}
		if at.state == string(pipeline.DeliveryReady) && at.operation == OpUpdateLead {
			if _, err := tx.Exec(ctx, updateTheirsSQL, pgx.StrictNamedArgs{"id": at.id, "params": string(params)}); err != nil {
				return nil, fmt.Errorf("bringing delivery %s in step: %w", at.id, err)
			}
			continue
		}
		told, now, stale := at.stale(l)
		if !stale || r.Tells != nil && !r.Tells(at.destination, params, told, now) {
			continue
		}
		orders = append(orders, NewDelivery{
			Org: f.org, Account: at.account, Destination: at.destination, Operation: OpUpdateLead, Class: pipeline.ClassRepeatable,
			LeadID: at.lead, Phone: l.DialPhone(), Params: params, SourceTime: l.FirstSourceTime, NotBefore: f.now,
			Dedupe: fmt.Sprintf("%s after %s", at.lead, at.newest),
		})
		woken = append(woken, at.destination)
	}
	if len(orders) == 0 {
		return nil, nil
	}
	_, err = r.DB.InsertDeliveries(ctx, tx, orders)
	return woken, err
}

// lastPushed reads what the destinations were last told of leads, and keeps those from being sent meanwhile that are about to be.
func (f *folded) lastPushed(ctx context.Context, tx pgx.Tx, destinations []string, place map[uuid.UUID]int) ([]pushedLast, error) {
	var ids []uuid.UUID
	for id := range place {
		ids = append(ids, id)
	}
	rows, err := tx.Query(ctx, mergedIntoSQL, pgx.StrictNamedArgs{"org": f.org, "ids": ids})
	if err != nil {
		return nil, fmt.Errorf("asking which leads were merged: %w", err)
	}
	var merged, into uuid.UUID
	if _, err = pgx.ForEachRow(rows, []any{&merged, &into}, func() error {
		place[merged] = place[into]
		ids = append(ids, merged)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("asking which leads were merged: %w", err)
	}
	args := pgx.StrictNamedArgs{"org": f.org, "ids": ids, "destinations": destinations}
	if _, err := tx.Exec(ctx, pushedReadySQL, args); err != nil {
		return nil, fmt.Errorf("holding deliveries of changed leads: %w", err)
	}
	if rows, err = tx.Query(ctx, pushedLastSQL, args); err != nil {
		return nil, fmt.Errorf("asking what destinations were told: %w", err)
	}
	last, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (at pushedLast, err error) {
		err = row.Scan(&at.id, &at.newest, &at.lead, &at.account, &at.destination, &at.operation, &at.class, &at.state, &at.told)
		at.place = place[at.lead]
		return at, err
	})
	if err != nil {
		return nil, fmt.Errorf("asking what destinations were told: %w", err)
	}
	return last, nil
}

// stale tells whether the lead has something that the destination was not told, and did not tell itself, with the lead as it was
// told and as it is. A first push that is still to be sent with the lead as it is then lacks nothing; of what a version before this
// one sent nobody knows.
func (at *pushedLast) stale(l *pipeline.Lead) (told, now pipeline.LeadView, stale bool) {
	if at.told == nil || at.state == string(pipeline.DeliveryReady) && at.class == string(pipeline.ClassRings) {
		return told, now, false
	}
	if json.Unmarshal([]byte(*at.told), &told) != nil {
		return told, now, false
	}
	left := append(theirsOf(l, at.destination), withheldOf(l)...)
	now = viewOf(l, at.lead)
	// A lead of which nobody said so is of normal priority in its row, which a request is read from.
	now.Priority, told.Priority = orElse(now.Priority, defaultPriority), orElse(told.Priority, defaultPriority)
	return told, now, slices.ContainsFunc(now.Differs(told), func(field pipeline.Field) bool { return !slices.Contains(left, field) })
}

// withheldOf names the fields that an update leaves as the destination knows them.
func withheldOf(l *pipeline.Lead) []pipeline.Field {
	if l.Namesakes {
		return pipeline.NameFields()
	}
	return nil
}

// Told is the lead as the destination is to know it, who knows it as was: without what is withheld.
func (p *UpdateParams) Told(lead pipeline.LeadView, was *pipeline.LeadView) pipeline.LeadView {
	if was == nil {
		return lead
	}
	return *lead.With(*was, p.Withheld)
}

// theirsOf names the fields whose value is the destination's own word.
func theirsOf(l *pipeline.Lead, destination string) (fields []pipeline.Field) {
	for field, won := range l.Fields {
		if string(won.Source) == destination {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fields
}
