package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
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
