package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// hookWorld is a pushWorld whose organisation may have webhook endpoints.
type hookWorld struct {
	*pushWorld
	woken int
}

func newHookWorld(t *testing.T) *hookWorld {
	t.Helper()
	w := &hookWorld{pushWorld: newPushWorld(t)}
	w.rec.WakeWebhooks = func(context.Context, pgx.Tx) error { w.woken++; return nil }
	mustExec(t, w.db, `insert into ops.organisations (org_id, name, created_at) values ($1, 'fold', $2)`, foldOrg, foldStart)
	mustExec(t, w.db, `insert into pipeline.stages (org_id, stage_id, stage_key, label, color, semantic_slot, position)
		select $1, gen_random_uuid(), k, initcap(k), '#000000', 'x', n
		from unnest(array['new_lead', 'attempting', 'contacted']) with ordinality as s (k, n)`, foldOrg)
	return w
}

func (w *hookWorld) endpoint(events ...string) store.WebhookEndpoint {
	w.t.Helper()
	e, err := w.db.CreateWebhookEndpoint(w.t.Context(), foldOrg, uuid.New(), "https://hooks.example.com/", events, store.SealedSecret{Sealed: []byte("x"), KeyID: "k"})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// told lists what the outbox holds for an endpoint, in order: event and, of the data, what a test says.
func (w *hookWorld) told(endpoint uuid.UUID, field string) []string {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `select d.event || ' ' || coalesce(v.data ->> $2, '') from ops.webhook_deliveries d
		join ops.webhook_events v using (event_id) where endpoint_id = $1 order by d.position`, endpoint, field)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *hookWorld) wantTold(what string, endpoint uuid.UUID, field string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.told(endpoint, field), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// call tells of a call of lead id, answered when talked, ended with a disposition when there is one.
func (w *hookWorld) call(lead, id string, minute int, ended bool, disposition string) {
	w.t.Helper()
	at := foldStart.Add(time.Duration(minute) * time.Minute)
	f := pipeline.CallFact{
		Key:  pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: id},
		Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: lead}}, Direction: pipeline.Outbound, StartedAt: at,
		Disposition: disposition,
	}
	if ended {
		f.EndedAt = at
	}
	w.land(foldRecord{pipeline.SourceIPSCAPE, "call " + id, minute, pipeline.Facts{Calls: []pipeline.CallFact{f}}})
	w.drain()
}

func TestWebhooksTellWhatTheFoldBringsAbout(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	w.at(1)
	w.lead("1", 0, "before anybody asked")
	all := w.endpoint("lead.created", "lead.status_changed", "call.ended", "call.disposition", "do_not_call.added", "do_not_call.lifted")
	second := w.endpoint("lead.stage_changed")
	deaf := w.endpoint("deal.funded")
	if w.woken != 0 {
		t.Errorf("woken %d times for nobody", w.woken)
	}

	w.at(15)
	w.lead("2", 9, "Perth", phone(phoneA))
	w.lead("2", 10, "Perth again", phone(phoneA)) // changed, not new
	w.call("2", "c1", 11, false, "")
	w.call("2", "c1", 12, true, "")
	w.call("2", "c1", 13, true, "NOT_HOME")
	w.call("2", "c1", 14, true, "NOT_HOME")
	w.wantTold("a lead with a call", all.ID, "leadId", "lead.created "+w.id("2"), "lead.status_changed "+w.id("2"), "call.ended "+w.id("2"), "call.disposition "+w.id("2"))
	w.wantTold("the stage under its other name", second.ID, "newStageLabel", "lead.stage_changed Attempting")

	optOut := func(object string, minute int, lift bool) {
		w.land(foldRecord{pipeline.SourceOperator, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneA, Reason: "dnc", Lift: lift}}}})
		w.drain()
	}
	w.at(20)
	optOut("out", 19, false)
	optOut("out again", 20, false)
	w.at(22)
	optOut("lift", 21, true)
	phones := w.told(all.ID, "phone")
	if diff := cmp.Diff([]string{"do_not_call.added " + phoneA, "do_not_call.lifted " + phoneA}, phones[min(4, len(phones)):]); diff != "" {
		t.Errorf("do-not-call (-want +got):\n%s", diff)
	}
	w.wantTold("what nobody brings about", deaf.ID, "leadId")
	if w.woken != 6 {
		t.Errorf("woken %d times, want once for each batch with news", w.woken)
	}

	var data string
	if err := w.db.Pool.QueryRow(t.Context(), `select data::text from ops.webhook_events where event = 'lead.created'`).Scan(&data); err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(data), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"leadId", "orgId", "businessName", "contactFirstName", "contactLastName", "email", "source", "priority", "stageId", "advisorId"} {
		if _, ok := fields[name]; !ok {
			t.Errorf("lead.created has no %s", name)
		}
	}
	if _, ok := fields["phone"]; ok {
		t.Error("lead.created holds a phone")
	}
}

// An agent is whom the call's dialler names by that id, or whom a client of our API brought: then by the client's own id.
func TestWebhooksNameTheAgent(t *testing.T) {
	t.Parallel()
	const user = "0e5f6a7b-8c9d-4e0f-a1b2-c3d4e5f6a7b8"
	w := newHookWorld(t)
	e := w.endpoint("call.ended")
	w.at(10)
	for id, agent := range map[string]pipeline.AgentRef{
		"of the dialler": {ID: "33", Name: "Dana Fox"},
		"of a client":    {ID: user, Source: pipeline.SourceAPI, Account: "default"},
		"of nobody":      {},
	} {
		key := pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: id}
		w.land(foldRecord{pipeline.SourceIPSCAPE, id, 9, pipeline.Facts{Calls: []pipeline.CallFact{{Key: key, Agent: agent, EndedAt: foldStart.Add(9 * time.Minute)}}}})
	}
	w.drain()
	var dialler string
	if err := w.db.Pool.QueryRow(t.Context(), `select agent_id::text from pipeline.agents where external_id = '33'`).Scan(&dialler); err != nil {
		t.Fatal(err)
	}
	got := w.told(e.ID, "userId")
	slices.Sort(got)
	want := []string{"call.ended ", "call.ended " + user, "call.ended " + dialler}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who ended the calls (-want +got):\n%s", diff)
	}
}

// A stage is changed by the agent whose disposition says so, by who sets it, or by nobody where it follows from a call.
func TestWebhooksNameWhoChangedTheStage(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	e := w.endpoint("lead.status_changed")
	w.at(10)
	w.lead("1", 0, "x")
	lead := []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "1"}}
	w.call("1", "c1", 6, false, "")
	at := foldStart.Add(7 * time.Minute)
	said := pipeline.CallFact{
		Key: pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: "c2"}, Lead: lead, Agent: pipeline.AgentRef{ID: "33"}, EndedAt: at,
		Events: []pipeline.CallEvent{{Type: pipeline.EventDisposition, OccurredAt: at, Disposition: "interested", Codes: pipeline.SourceAPI}},
	}
	w.land(foldRecord{pipeline.SourceIPSCAPE, "c2", 7, pipeline.Facts{Calls: []pipeline.CallFact{said}}})
	w.drain()
	w.land(foldRecord{pipeline.SourceOperator, "set", 8, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: lead, Stage: pipeline.StageWon}}}})
	w.drain()
	var agent string
	if err := w.db.Pool.QueryRow(t.Context(), `select agent_id::text from pipeline.agents where external_id = '33'`).Scan(&agent); err != nil {
		t.Fatal(err)
	}
	w.wantTold("who changed the stage", e.ID, "changedBy", "lead.status_changed ", "lead.status_changed "+agent, "lead.status_changed operator")
}

func (w *hookWorld) id(lead string) string {
	w.t.Helper()
	var id string
	err := w.db.Pool.QueryRow(w.t.Context(), `select lead_id::text from pipeline.lead_keys where kind = $1 and value = $2`, string(pipeline.KeyIPSCAPELead), lead).Scan(&id)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// Law 7: a first sync and a backfill learn of much that is no news, and a rebuild of nothing new at all.
func TestWebhooksAreNotFlooded(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	e := w.endpoint("lead.created", "lead.status_changed", "call.ended", "do_not_call.added")
	w.at(48 * 60)
	w.lead("old", 0, "x")
	w.call("old", "c0", 1, true, "")
	w.land(foldRecord{pipeline.SourceOperator, "old opt-out", 2, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneA, Reason: "dnc"}}}})
	w.drain()
	w.wantTold("two days late", e.ID, "leadId")
	w.lead("new", 47*60, "x")
	w.wantTold("an hour late", e.ID, "leadId", "lead.created "+w.id("new"))

	// Everything folded once more, with and without a voice, tells of nothing.
	for _, wake := range []func(context.Context, pgx.Tx) error{w.rec.WakeWebhooks, nil} {
		w.rec.WakeWebhooks = wake
		mustExec(t, w.db, `insert into ops.reconcile_queue (org_id, record_id, queued_at) select org_id, record_id, now() from ops.records`)
		if wake == nil {
			mustExec(t, w.db, `delete from pipeline.leads`)
		}
		w.drain()
	}
	w.wantTold("folded again", e.ID, "leadId", "lead.created "+w.id("new"))

	// One that is switched off hears nothing; where it was us, events are kept.
	w.rec.WakeWebhooks = func(context.Context, pgx.Tx) error { return errors.New("nobody to wake") }
	mustExec(t, w.db, `update ops.webhook_endpoints set is_active = false`)
	w.lead("unheard", 47*60, "x")
	mustExec(t, w.db, `update ops.webhook_endpoints set disabled_at = now()`)
	w.lead("kept", 47*60, "x")
	w.wantTold("switched off", e.ID, "leadId", "lead.created "+w.id("new"))
	recoverAll := func(since time.Time) (n int, err error) {
		err = w.db.InTx(t.Context(), func(tx pgx.Tx) error { n, err = w.db.RecoverWebhooks(t.Context(), tx, e.ID, since); return err })
		return n, err
	}
	if n, err := recoverAll(w.db.Now().Add(time.Minute)); n != 0 || err != nil {
		t.Errorf("recovered %d, %v from a time to come", n, err)
	}
	if n, err := recoverAll(foldStart); n != 2 || err != nil { // one was pending all along
		t.Errorf("recovered %d, %v", n, err)
	}
	w.wantTold("recovered", e.ID, "leadId", "lead.created "+w.id("new"), "lead.created "+w.id("kept"))
	mustExec(t, w.db, `update ops.webhook_endpoints set is_active = false`)
	if _, err := recoverAll(foldStart); !errors.Is(err, store.ErrInactive) {
		t.Errorf("recovering what its owner switched off: %v", err)
	}
}
