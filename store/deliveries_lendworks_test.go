package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// lendworksWorld is a push world that reads LendWorks' records as the daemon does.
type lendworksWorld struct {
	*pushWorld
}

func newLendWorksWorld(t *testing.T) *lendworksWorld {
	t.Helper()
	w := &lendworksWorld{newPushWorld(t)}
	told := w.rec.Facts
	w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		if r.Source == pipeline.SourceLendWorks {
			return lendworks.Settings{Account: "default", Region: "US"}.Facts(*r)
		}
		return told(r)
	}
	w.routes("lendworks", "", "dialedin", "")
	w.at(10)
	return w
}

// listed lands a lead as LendWorks' list shows it.
func (w *lendworksWorld) listed(id, phone, ours string, minute int) {
	w.t.Helper()
	at := foldStart.Add(time.Duration(minute) * time.Minute)
	custom := "{}"
	if ours != "" {
		custom = fmt.Sprintf(`{"trunkline_lead_id":%q}`, ours)
	}
	payload := fmt.Sprintf(`{"id":%q,"attributes":{"phone":%q,"createdAt":%q,"customFields":%s}}`, id, phone, at.Format(time.RFC3339), custom)
	err := w.db.InTx(w.t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(w.t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceLendWorks, Stream: "leads"},
			[]store.LandRecord{{ObjectID: id, Payload: []byte(payload), SourceTime: at, ObservedAt: at}}, store.LandOptions{})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.drain()
}

func (w *lendworksWorld) count(what string, want int, sql string, args ...any) {
	w.t.Helper()
	if got := countRows(w.t, w.db, sql, args...); got != want {
		w.t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// What we pushed comes back as the same lead, even where its phone links nobody and the answer was lost; it is not pushed
// again.
func TestPushedLeadComesBack(t *testing.T) {
	t.Parallel()
	for _, answered := range []bool{true, false} {
		t.Run(fmt.Sprint("answered ", answered), func(t *testing.T) {
			t.Parallel()
			w := newLendWorksWorld(t)
			var five []foldRecord // more leads than a phone may link
			for i := range 5 {
				id := fmt.Sprint(i + 1)
				five = append(five, foldRecord{pipeline.SourceIPSCAPE, id, 5, pipeline.Facts{Leads: []pipeline.LeadFact{{
					Keys: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}, phone(phoneA)},
				}}}})
			}
			w.land(five...)
			w.drain()
			w.count("orders", 5, `select count(*) from ops.deliveries where destination = 'lendworks' and operation = 'insert_lead' and class = 'keyed'
				and state = 'ready' and expires_at is null and params -> 'lead' ->> 'ID' = lead_id::text`)
			w.count("kept on the order", 5, `select count(*) from ops.records where source = 'lendworks' and stream = 'pushed'`)
			var lead, delivery uuid.UUID
			err := w.db.Pool.QueryRow(t.Context(), `select d.lead_id, d.id from ops.deliveries d join pipeline.lead_keys k using (org_id, lead_id)
				where d.destination = 'lendworks' and k.kind = 'ipscape_lead' and k.value = '3'`).Scan(&lead, &delivery)
			if err != nil {
				t.Fatal(err)
			}
			if answered {
				w.confirm(delivery, lead, "LW3")
				w.drain()
				w.count("known by the answer", 1, `select count(*) from pipeline.leads where lead_id = $1 and external_ids ->> 'lendworks' = 'LW3'`, lead)
			}
			w.listed("LW3", phoneA, lead.String(), 9)
			w.listed("LW9", phoneA, "", 9) // another's, typed in there
			w.count("leads", 6, `select count(*) from pipeline.leads`)
			w.count("known when it comes back", 1, `select count(*) from pipeline.leads where lead_id = $1 and external_ids ->> 'lendworks' = 'LW3'
				and external_ids ->> 'ipscape' = '3'`, lead)
			w.count("pushed to LendWorks", 5, `select count(*) from ops.deliveries where destination = 'lendworks'`)
			w.count("pushed to DialedIn", 6, `select count(*) from ops.deliveries where destination = 'dialedin'`)
		})
	}
}

// confirm settles a delivery as the engine does.
func (w *lendworksWorld) confirm(delivery, lead uuid.UUID, id string) {
	w.t.Helper()
	w.confirmAs("insert_lead", delivery, lead, id)
}

func (w *lendworksWorld) confirmAs(operation string, delivery, lead uuid.UUID, id string) {
	w.t.Helper()
	at := w.db.Now()
	mustExec(w.t, w.db, `update ops.deliveries set state = 'sending', attempts = 1, sending_at = $2 where id = $1`, delivery, at)
	moved, err := w.db.SettleDeliveries(w.t.Context(), []pipeline.DeliverySettlement{{
		Kind: pipeline.AttemptSend, Attempt: 1, StartedAt: at, Now: at, Outcome: "confirmed",
		Delivery: pipeline.Delivery{ID: delivery, Org: foldOrg, Account: "default", Destination: "lendworks", Operation: operation, LeadID: lead, SendingAt: at},
		Change:   pipeline.DeliveryChange{State: pipeline.DeliveryConfirmed, Attempts: 1, ExternalID: id, NotBefore: at},
	}})
	if err != nil || !moved[0] {
		w.t.Fatal(moved, err)
	}
}

// A lead that LendWorks told of goes to the diallers, never back; one without a number goes to LendWorks alone.
func TestLoopGuard(t *testing.T) {
	t.Parallel()
	w := newLendWorksWorld(t)
	w.listed("LW1", phoneA, "", 9)
	w.count("pushed back", 0, `select count(*) from ops.deliveries where destination = 'lendworks'`)
	w.count("to the dialler", 1, `select count(*) from ops.deliveries where destination = 'dialedin'`)
	w.lead("2", 9, "Salem")
	w.count("without a number", 1, `select count(*) from ops.deliveries where destination = 'lendworks' and phone is null`)
	w.count("to the dialler", 1, `select count(*) from ops.deliveries where destination = 'dialedin'`)
	var params []byte
	if err := w.db.Pool.QueryRow(t.Context(), `select params from ops.deliveries where destination = 'lendworks'`).Scan(&params); err != nil {
		t.Fatal(err)
	}
	var order struct{ Lead pipeline.LeadView }
	if err := json.Unmarshal(params, &order); err != nil || order.Lead.City != "Salem" || order.Lead.ID == "" {
		t.Errorf("ordered as %+v, %v", order.Lead, err)
	}
	// What the lead becomes later changes nothing of the order: its key goes with one body.
	w.lead("2", 9, "Bend")
	w.count("frozen", 1, `select count(*) from ops.deliveries where destination = 'lendworks' and params -> 'lead' ->> 'City' = 'Salem'`)
}

// field returns a field of the one lead that has a phone, and who told it.
func (w *lendworksWorld) field(phone, name string) string {
	w.t.Helper()
	var value string
	err := w.db.Pool.QueryRow(w.t.Context(), `select coalesce(to_jsonb(l) ->> $2, '') || ' ' || coalesce(field_sources -> $2 ->> 'source', '')
		from pipeline.leads l where phone_e164 = $1 or $1 = any(phones)`, phone, columnOf(name)).Scan(&value)
	if err != nil {
		w.t.Fatal(err)
	}
	return value
}

func columnOf(name string) string {
	return map[string]string{"contactFirstName": "contact_first_name", "tags": "tags", "customFields": "custom_fields", "requestedAmount": "requested_amount"}[name]
}

// TestEchoRestampsNothing has LendWorks list a lead that we created, with its one time for all fields: what we told it does not
// beat what others told a moment before, what it changed itself does, in any order of arrival.
func TestEchoRestampsNothing(t *testing.T) {
	t.Parallel()
	lead := func(source pipeline.Source, object string, minute int, fields map[pipeline.Field]string) foldRecord {
		keys := []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "1"}, phone(phoneA)}
		return foldRecord{source, object, minute, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: keys, Fields: fields}}}}
	}
	first := lead(pipeline.SourceIPSCAPE, "1", 5, map[pipeline.Field]string{
		pipeline.FieldContactFirstName: "Ann", pipeline.FieldTags: `["warm"]`, pipeline.FieldCustom: `{"fleet":"3","sector":"food"}`,
		pipeline.FieldRequestedAmount: "5000",
	})
	// Told by another source before the echo, and heard of after it or before.
	other := lead(pipeline.SourceConvoso, "late", 7, map[pipeline.Field]string{
		pipeline.FieldContactFirstName: "Anna", pipeline.FieldTags: `["hot"]`, pipeline.FieldCustom: `{"fleet":"4"}`, pipeline.FieldRequestedAmount: "6000",
	})
	for _, before := range []bool{true, false} {
		w := newLendWorksWorld(t)
		w.land(first)
		w.drain()
		var id, delivery uuid.UUID
		if err := w.db.Pool.QueryRow(t.Context(), `select lead_id, id from ops.deliveries where destination = 'lendworks'`).Scan(&id, &delivery); err != nil {
			t.Fatal(err)
		}
		if before {
			w.land(other)
			w.drain()
		}
		w.at(10)
		w.confirm(delivery, id, "LW1")
		tell := func(minute int, first, sector string) {
			t.Helper()
			at := foldStart.Add(time.Duration(minute) * time.Minute)
			payload := fmt.Sprintf(`{"id":"LW1","attributes":{"phone":%q,"contactFirstName":%q,"tags":["warm"],"requestedAmount":"5000.00","priority":"normal",
				"createdAt":%q,"customFields":{"trunkline_lead_id":%q,"fleet":"3","sector":%q}}}`, phoneA, first, at.Format(time.RFC3339), id, sector)
			err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
				_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceLendWorks, Stream: "leads"},
					[]store.LandRecord{{ObjectID: "LW1", Payload: []byte(payload), SourceTime: at, ObservedAt: at}}, store.LandOptions{})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			w.drain()
		}
		tell(10, "Ann", "food")
		if !before {
			w.land(other)
			w.drain()
		}
		for name, want := range map[string]string{
			"contactFirstName": "Anna convoso", "tags": `["hot"] convoso`, "customFields": `{"fleet": "4", "sector": "food"} convoso`, "requestedAmount": "6000 convoso",
		} {
			if got := w.field(phoneA, name); got != want {
				t.Errorf("before %t: after the echo %s is %s, want %s", before, name, got, want)
			}
		}
		// Somebody changes the name there, and one custom field; we tell a third name; somebody takes up the first one again.
		tell(20, "Annie", "retail")
		if got := w.field(phoneA, "contactFirstName") + w.field(phoneA, "customFields"); got != `Annie lendworks{"fleet": "4", "sector": "retail"} lendworks` {
			t.Errorf("before %t: LendWorks' own words came to %s", before, got)
		}
		update := func(minute int, name string, left store.UpdateParams) {
			t.Helper()
			params, _ := json.Marshal(left)
			of := uuid.New()
			mustExec(t, w.db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, state, source_time, not_before, created_at, dedupe, params, told)
				select $1::uuid, org_id, account_id, destination, 'update_lead', 'keyed', lead_id, 'ready', source_time, not_before, created_at, $1::uuid::text, $3::jsonb,
					params -> 'lead' || jsonb_build_object('FirstName', $4::text, 'Tags', '["hot"]'::jsonb) from ops.deliveries where id = $2`, of, delivery, string(params), name)
			w.at(minute)
			w.confirmAs("update_lead", of, id, "")
		}
		// An update tells neither tags nor what is LendWorks' own: those are no echo.
		update(25, "Annie", store.UpdateParams{Theirs: []pipeline.Field{pipeline.FieldContactFirstName}})
		tell(25, "Annie", "retail")
		if got := w.field(phoneA, "contactFirstName") + w.field(phoneA, "tags"); got != `Annie lendworks["hot"] convoso` {
			t.Errorf("before %t: after an update of something else it is %s", before, got)
		}
		update(30, "Anna", store.UpdateParams{})
		tell(30, "Anna", "retail")
		if got := w.field(phoneA, "contactFirstName"); got != "Anna convoso" {
			t.Errorf("before %t: told again it is %s", before, got)
		}
		tell(50, "Ann", "retail")
		if got := w.field(phoneA, "contactFirstName"); got != "Ann lendworks" {
			t.Errorf("before %t: taken up again it is %s", before, got)
		}
		c, err := w.rec.Compare(t.Context(), foldOrg, store.CompareOptions{})
		if err != nil || c.Differing > 0 {
			t.Errorf("before %t: %d differ from a rebuild, %v", before, c.Differing, err)
		}
	}
}
