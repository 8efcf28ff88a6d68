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

// outbox is a fold's output without a fold: pending deliveries of subjects, in order.
func (w *hookWorld) order(endpoint uuid.UUID, subjects ...string) {
	w.t.Helper()
	mustExec(w.t, w.db, `
with events as (
  insert into ops.webhook_events (event_id, org_id, event, subject, data, occurred_at, created_at, dedupe)
  select gen_random_uuid(), $1, 'lead.created', s, '{}', $3, $3, gen_random_uuid() from unnest($4::text[]) with ordinality as n (s, ord) order by ord
  returning *
)
insert into ops.webhook_deliveries (delivery_id, org_id, endpoint_id, event_id, event, subject, position, next_at, created_at)
select gen_random_uuid(), $1, $2, event_id, event, subject, position, $3, $3 from events`, foldOrg, endpoint, w.db.Now(), subjects)
}

func (w *hookWorld) claim(key string, limit, per int) []pipeline.WebhookSend {
	w.t.Helper()
	now := w.db.Now()
	list, err := w.db.ClaimWebhooks(w.t.Context(), pipeline.WebhookClaim{
		Owner: hookOwner, Now: now, Until: now.Add(20 * time.Second), KeyID: key, Limit: limit, PerEndpoint: per, Suspect: 10,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

var hookOwner = uuid.New()

func (w *hookWorld) settle(s pipeline.WebhookSend, delivered bool) pipeline.WebhookHealth {
	w.t.Helper()
	now := w.db.Now()
	end := pipeline.WebhookEnd{
		DeliveryID: s.DeliveryID, EndpointID: s.EndpointID, Owner: hookOwner, Delivered: delivered, Outcome: "test", StartedAt: now, FinishedAt: now,
		NextAt: now.Add(time.Minute), Suspect: 10,
		Judge: func(failures int, _ time.Time) (time.Duration, bool) {
			if failures < 10 {
				return 0, false
			}
			return 2 * time.Minute, failures >= 12
		},
	}
	health, err := w.db.SettleWebhook(w.t.Context(), end)
	if err != nil {
		w.t.Fatal(err)
	}
	return health
}

func TestClaimWebhooksKeepsOrder(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	one, other := w.endpoint("lead.created"), w.endpoint("lead.created")
	w.order(one.ID, "a", "a", "b")
	w.order(other.ID, "a")
	if got := w.claim("another key", 10, 4); len(got) != 0 {
		t.Errorf("%d claimed with another key", len(got))
	}
	first := w.claim("k", 10, 4)
	if len(first) != 3 {
		t.Fatalf("%d claimed, want the first of each subject and endpoint", len(first))
	}
	if again := w.claim("k", 10, 4); len(again) != 0 {
		t.Errorf("%d claimed twice", len(again))
	}
	var failing pipeline.WebhookSend
	for _, s := range first {
		var subject string
		if err := w.db.Pool.QueryRow(t.Context(), `select subject from ops.webhook_deliveries where delivery_id = $1`, s.DeliveryID).Scan(&subject); err != nil {
			t.Fatal(err)
		}
		if s.EndpointID == one.ID && subject == "a" {
			failing = s
			w.settle(s, false)
		} else {
			w.settle(s, true)
		}
	}
	if got := w.claim("k", 10, 4); len(got) != 0 {
		t.Errorf("%d claimed past the one that failed", len(got))
	}
	if next, err := w.db.NextWebhook(t.Context(), "k", w.db.Now()); err != nil || !next.Equal(w.db.Now().Add(time.Minute)) {
		t.Errorf("next is due at %v, %v", next, err)
	}
	w.at(2)
	if got := w.claim("k", 10, 4); len(got) != 1 || got[0].DeliveryID != failing.DeliveryID || got[0].Tries != 1 {
		t.Fatalf("claimed %+v, want the one that failed", got)
	}
	w.settle(failing, true)
	if got := w.claim("k", 10, 4); len(got) != 1 {
		t.Errorf("%d claimed, want the one that waited for its turn", len(got))
	}
	// A daemon that died gives its claim away with its lease.
	w.at(3)
	if got := w.claim("k", 10, 4); len(got) != 1 {
		t.Errorf("%d claimed after the lease ran out", len(got))
	}
}

func TestWebhookBreaker(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	e := w.endpoint("lead.created")
	var subjects []string
	for range 30 {
		subjects = append(subjects, uuid.NewString())
	}
	w.order(e.ID, subjects...)
	if got := w.claim("k", 100, 4); len(got) != 4 {
		t.Fatalf("%d under way at one endpoint, want 4", len(got))
	}
	mustExec(t, w.db, `update ops.webhook_deliveries set lease_until = null`)
	opened := 0
	for range 10 {
		if w.settle(w.claim("k", 1, 4)[0], false).Opened {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("the breaker opened %d times in ten failures", opened)
	}
	if got := w.claim("k", 10, 4); len(got) != 0 {
		t.Errorf("%d claimed through an open breaker", len(got))
	}
	w.at(2)
	probe := w.claim("k", 10, 4)
	if len(probe) != 1 {
		t.Fatalf("%d claimed to probe", len(probe))
	}
	w.settle(probe[0], false)
	w.at(4)
	probe = w.claim("k", 10, 4)
	w.settle(probe[0], true)
	// Those that failed wait no longer.
	if n := w.count(`select count(*) from ops.webhook_deliveries where state = 'pending' and next_at <= $1`, w.db.Now()); n != 29 {
		t.Errorf("%d are due after the endpoint came back, want 29", n)
	}
	if got := w.claim("k", 10, 4); len(got) != 4 {
		t.Errorf("%d claimed after the endpoint came back", len(got))
	}
	// Past the bound it is switched off, and says so.
	mustExec(t, w.db, `update ops.webhook_deliveries set lease_until = null`)
	mustExec(t, w.db, `update ops.webhook_endpoints set failures = 11`)
	if health := w.settle(w.claim("k", 1, 4)[0], false); !health.Disabled {
		t.Errorf("health %+v", health)
	}
	list, err := w.db.WebhookEndpoints(t.Context(), foldOrg)
	if err != nil || len(list) != 1 || list[0].IsActive || list[0].DisabledAt == nil || *list[0].DisabledReason != "failing" {
		t.Errorf("endpoint %+v, %v", list, err)
	}
	// A delivery that is sent again begins anew; one of an endpoint that is off is not.
	resend := func(id uuid.UUID) (n int, err error) {
		err = w.db.InTx(t.Context(), func(tx pgx.Tx) error { n, err = w.db.ResendWebhook(t.Context(), tx, id); return err })
		return n, err
	}
	if _, err := resend(probe[0].DeliveryID); !errors.Is(err, store.ErrInactive) {
		t.Errorf("sending again to an endpoint that is off: %v", err)
	}
	on := true
	if _, err := w.db.UpdateWebhookEndpoint(t.Context(), foldOrg, e.ID, store.WebhookPatch{IsActive: &on}); err != nil {
		t.Fatal(err)
	}
	if n, err := resend(probe[0].EventID); n != 1 || err != nil {
		t.Errorf("sending an event again: %d, %v", n, err)
	}
	if _, err := resend(uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("sending again what there is not: %v", err)
	}
}

func (w *hookWorld) count(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestUpkeepForgetsWebhooks(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	e := w.endpoint("lead.created")
	w.order(e.ID, "old")
	w.at(60)
	w.order(e.ID, "new")
	u := &store.Upkeeper{DB: w.db, Retention: store.Retention{History: time.Hour * 1e5, Inbox: time.Hour * 1e5, Webhooks: 30 * time.Minute}}
	if err := u.Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from ops.webhook_deliveries`); n != 1 {
		t.Errorf("%d deliveries are left", n)
	}
}
