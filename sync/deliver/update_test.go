package deliver_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestUpdateSendsWhatDiffers follows one lead: an update waits for the insert, is cancelled where nothing arrived, is sent with
// what was last told beside it, and ends without a request where nothing differs.
func TestUpdateSendsWhatDiffers(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var told []string
	r.vendor.ops["update_lead"] = deliver.Operation{
		Class: deliver.Repeatable, NoPhone: true, Render: func(deliver.View) string { return "update" },
		Differs: func(v deliver.View) bool { return v.Lead.FirstName != v.Was.FirstName },
		Send: func(_ context.Context, v deliver.View) (pipeline.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, v.KnownAs+": "+v.Was.FirstName+" to "+v.Lead.FirstName)
			return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
		},
	}
	lead, phone := r.lead()
	order := func(operation string) uuid.UUID {
		t.Helper()
		r.clock.Advance(time.Hour)
		return r.order(store.NewDelivery{Operation: operation, LeadID: lead, Phone: phone})
	}
	named := func(name string) {
		r.exec(`update pipeline.leads set contact_first_name = $2 where lead_id = $1`, lead, name)
	}
	e := r.engine(deliver.Settings{})

	early := order("update_lead")
	r.drain(e)
	r.want(early, "cancelled", pipeline.ReasonNotThere, "", 0)
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	insert := order("insert_lead")
	r.drain(e)
	named("Beth")
	first := order("update_lead")
	r.drain(e)
	r.want(first, "ready", "", "", 0) // the insert may still be searched for
	r.vendor.finds(true, "x-1", nil)
	r.clock.Advance(time.Minute)
	r.drain(e)
	r.drain(e)
	r.want(insert, "confirmed", "", "", 1)
	r.want(first, "confirmed", "", "", 0)
	second := order("update_lead")
	r.drain(e)
	r.want(second, "confirmed", pipeline.ReasonNoChange, "", 0)
	named("Cleo")
	third := order("update_lead")
	r.drain(e)
	r.want(third, "confirmed", "", "", 0)
	if want := []string{"x-1: Ann to Beth", "x-1: Beth to Cleo"}; len(told) != 2 || told[0] != want[0] || told[1] != want[1] {
		t.Errorf("told %q, want %q", told, want)
	}
	var raw []byte
	if err := r.pool.QueryRow(t.Context(), `select told from ops.deliveries where id = $1`, third).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	var view pipeline.LeadView
	if err := json.Unmarshal(raw, &view); err != nil || view.FirstName != "Cleo" {
		t.Errorf("noted as told: %s, %v", raw, err)
	}
}

// TestUpdateWaitsForAPerson keeps an update while a person still has to say whether the lead arrived.
func TestUpdateWaitsForAPerson(t *testing.T) {
	r := newRig(t)
	r.vendor.ops["update_lead"] = deliver.Operation{
		Class: deliver.Repeatable, NoPhone: true, Render: func(deliver.View) string { return "update" },
		Differs: func(v deliver.View) bool { return v.Was != nil },
		Send: func(context.Context, deliver.View) (pipeline.Outcome, error) {
			return pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil
		},
	}
	lead, phone := r.lead()
	insert := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
	r.exec(`update ops.deliveries set state = 'unknown', hold = 'person', sending_at = created_at, told = '{"first_name":"Ann"}' where id = $1`, insert)
	r.clock.Advance(time.Hour)
	update := r.order(store.NewDelivery{Operation: "update_lead", LeadID: lead, Phone: phone})
	e := r.engine(deliver.Settings{})
	r.drain(e)
	r.want(update, "ready", "", pipeline.HoldRetry, 0)
	r.exec(`update ops.deliveries set state = 'confirmed', hold = null where id = $1`, insert)
	r.clock.Advance(time.Hour)
	r.drain(e)
	r.want(update, "confirmed", "", "", 0)
}

// TestLostUpdateIsTakenBack sends the lead as it is after a change whose answer was lost, though that is what was told before.
func TestLostUpdateIsTakenBack(t *testing.T) {
	r := newRig(t)
	var told []string
	outcome := pipeline.OutcomeUnknown
	r.vendor.ops["update_lead"] = deliver.Operation{
		Class: deliver.Repeatable, NoPhone: true, Render: func(deliver.View) string { return "update" },
		Differs: func(v deliver.View) bool { return v.Lead.FirstName != v.Was.FirstName },
		Send: func(_ context.Context, v deliver.View) (pipeline.Outcome, error) {
			told = append(told, v.Lead.FirstName)
			return pipeline.Outcome{State: outcome}, nil
		},
	}
	lead, phone := r.lead()
	e := r.engine(deliver.Settings{})
	r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
	r.drain(e)
	r.exec(`update pipeline.leads set contact_first_name = 'Beth' where lead_id = $1`, lead)
	r.clock.Advance(time.Hour)
	update := r.order(store.NewDelivery{Operation: "update_lead", LeadID: lead, Phone: phone})
	r.drain(e)
	r.want(update, "ready", "", pipeline.HoldRetry, 0)
	r.exec(`update pipeline.leads set contact_first_name = 'Ann' where lead_id = $1`, lead)
	outcome = pipeline.OutcomeConfirmed
	r.clock.Advance(time.Hour)
	r.drain(e)
	r.want(update, "confirmed", "", "", 0)
	if len(told) != 2 || told[0] != "Beth" || told[1] != "Ann" {
		t.Errorf("told %q, want Beth, then Ann", told)
	}
}
