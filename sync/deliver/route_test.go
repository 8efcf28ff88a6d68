package deliver_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// route adds a route to the rig's destination.
func (r *rig) route(condition string) uuid.UUID {
	r.t.Helper()
	c, err := pipeline.ParseCondition(condition)
	if err != nil {
		r.t.Fatal(err)
	}
	added, err := r.db.AddRoute(r.t.Context(), r.org, r.vendor.name, c)
	if err != nil {
		r.t.Fatal(err)
	}
	return added.RouteID
}

// TestRouteIsStillWanted: what a route ordered is sent only while some route wants the lead there as it is by then. What a person
// or an opt-out ordered needs no route, and what may have arrived under a key is asked about until the key tells.
func TestRouteIsStillWanted(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		name   string
		routes []string
		// lead is what becomes of the lead's row before it is sent.
		lead   string
		wanted bool
	}{
		{"no route is left", nil, "", false},
		{"one that takes all", []string{""}, "", true},
		{"one that takes it", []string{"priority=urgent"}, "priority = 'urgent', field_sources = '{\"priority\": {\"value\": \"urgent\"}}'", true},
		{"one that takes others", []string{"priority=urgent"}, "", false},
		{"one of two", []string{"stage=won", "stage=new_lead"}, "", true},
		{"its stage is another one by now", []string{"stage=new_lead"}, "stage_key = 'contacted'", false},
		{"its stage is another one, and it does not matter", []string{"stage=new_lead", ""}, "stage_key = 'contacted'", true},
		{"the source that tells of it", []string{"source=convoso"}, "", true},
		{"an amount", []string{"min_amount=5000"}, "field_sources = '{\"requested_amount\": {\"value\": \"6e3\"}}'", true},
		{"too small an amount", []string{"min_amount=5000"}, "field_sources = '{\"requested_amount\": {\"value\": \"4999\"}}'", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.reset(t)
			r.exec(`truncate ops.routes`)
			for _, condition := range tc.routes {
				r.route(condition)
			}
			lead, phone := r.lead()
			r.exec(`insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', '9', $2, 'identity', 'convoso/leads/9', now())`, r.org, lead)
			r.exec(`update pipeline.leads set field_sources = '{}' where lead_id = $1`, lead)
			if tc.lead != "" {
				r.exec(`update pipeline.leads set `+tc.lead+` where lead_id = $1`, lead)
			}
			id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone, Dedupe: lead.String()})
			r.drain(r.engine(deliver.Settings{}))
			if tc.wanted {
				r.want(id, "confirmed", "", "", 1)
			} else {
				r.want(id, "cancelled", "no_route", "", 0)
			}
		})
	}
}

// TestRouteOfOtherOrders has everything but first pushes meet a destination to which no route leads, or leads no more.
func TestRouteOfOtherOrders(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	order := func(operation string, dedupe func(lead uuid.UUID) string) uuid.UUID {
		lead, phone := r.lead()
		return r.order(store.NewDelivery{Operation: operation, LeadID: lead, Phone: phone, Dedupe: dedupe(lead)})
	}
	first := func(lead uuid.UUID) string { return lead.String() }
	update := func(lead uuid.UUID) string { return lead.String() + " after " + uuid.NewString() }
	byHand := order("insert_lead", func(uuid.UUID) string { return "operator " + uuid.NewString() })
	optOut := order("dnc_add", func(uuid.UUID) string { return "+13055550103#0" })
	change := order("update_lead", update)
	keyed := order("crm_lead", first)
	r.drain(e)
	r.want(byHand, "confirmed", "", "", 1)
	r.want(optOut, "confirmed", "", "", 1)
	r.want(change, "cancelled", "no_route", "", 0)
	r.want(keyed, "cancelled", "no_route", "", 0)

	route := r.route("stage=won")
	change = order("update_lead", update)
	r.drain(e)
	r.want(change, "confirmed", "", "", 1)

	all := r.route("")
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	keyed = order("crm_lead", first)
	r.drain(e)
	r.want(keyed, "ready", "", "retry", 1)
	for _, id := range []uuid.UUID{route, all} {
		if err := r.db.RemoveRoute(t.Context(), r.org, id); err != nil {
			t.Fatal(err)
		}
	}
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil)
	r.clock.Advance(time.Hour)
	r.drain(e)
	r.want(keyed, "confirmed", "", "", 2)
}
