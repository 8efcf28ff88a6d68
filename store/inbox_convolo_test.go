package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	convoloCall  = "b7c1f0e2a4d84f6f9d3b5a6c7e8f9012"
	convoloStart = `{"type":"start_call","call_id":"` + convoloCall + `","widget_name":"MCA","is_delayed_call":false,"called_lead_phone":"+15034251234",
		"lead":{"lead_phone":"+15034251234","custom_params":{"lc_param_ref":"%s"}}}`
	convoloEnd = `{"type":"end_call","call_id":"` + convoloCall + `","widget_name":"MCA","call_status":"answered","called_lead_phone":"+15034251234",
		"time_started_iso_string":"2025-06-03T17:25:02.120Z","time_lead_answered_iso_string":"2025-06-03T17:25:20.000Z",
		"time_ended_iso_string":"2025-06-03T17:25:48.900Z","talk_duration_sec":28,"agent":{"id":771,"name":"Dana"},
		"lead":{"lead_phone":"+15034251234","custom_params":{"ref":"%s"}}}`
)

// newConvoloWorld is an inbox world that reads Convolo's posts, with a lead whose call at Convolo has an unknown outcome.
func newConvoloWorld(t *testing.T) (w *inboxWorld, fold *store.Reconciler, lead, delivery uuid.UUID) {
	t.Helper()
	w = newInboxWorld(t)
	w.source = "convolo"
	settings := convolo.Settings{Account: "default", Region: "US"}
	w.drain.Read = jobs.ReadPosts(jobs.PostReaders{pipeline.SourceConvolo: jobs.ReadConvolo(settings)})
	fold = &store.Reconciler{DB: w.DB, Facts: func(r *pipeline.Record) (pipeline.Facts, error) {
		if r.Source == pipeline.SourceConvolo {
			return settings.Facts(*r)
		}
		return pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{
			{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: r.ObjectID}, {Kind: pipeline.KeyPhone, Value: "+15034251234"},
		}}}}, nil
	}}
	// Two leads share the phone: only the delivery tells which of them was called.
	mustExec(t, w.DB, `insert into ops.records (org_id, account_id, source, stream, object_id, payload, content_hash, observed_at, first_seen_at)
		select $1, 'default', 'ipscape', 'leads', n::text, '{}', '', $2, $2 from generate_series(7001, 7005) n`, foldOrg, foldStart)
	mustExec(t, w.DB, `insert into ops.reconcile_queue (org_id, record_id) select org_id, record_id from ops.records`)
	if _, err := fold.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Pool.QueryRow(t.Context(), `select lead_id from pipeline.lead_keys where value = '7003'`).Scan(&lead); err != nil {
		t.Fatal(err)
	}
	delivery = uuid.New()
	mustExec(t, w.DB, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, phone, state, reason, hold, source_time,
		not_before, created_at, sending_at, dedupe) values ($1, $2, 'default', 'convolo', 'start_call', 'rings', $3, '+15034251234', 'unknown', 'answer_cut',
		'webhook', $4, $4, $4, $4, 'x')`, delivery, foldOrg, lead, foldStart)
	return w, fold, lead, delivery
}

// Whatever the order, and whether or not one of them comes at all, the webhooks settle the delivery and tell of one call.
func TestConvoloWebhooksSettleAndLink(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]string{
		"in order": {convoloStart, convoloEnd}, "reverse": {convoloEnd, convoloStart}, "end only": {convoloEnd},
		"twice": {convoloStart, convoloEnd, convoloEnd, convoloStart},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, fold, lead, delivery := newConvoloWorld(t)
			for i, body := range order {
				w.json(fmt.Sprintf(body, strings.ToUpper(delivery.String())))
				if n := w.run(); n != 1 {
					t.Fatalf("%d posts settled", n)
				}
				if i == 0 {
					w.count("delivery after the first word", 1, `select count(*) from ops.deliveries where state = 'confirmed' and reason is null and hold is null
						and external_id = $1 and settled_at is not null`, convoloCall)
				}
			}
			if _, err := fold.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.count("the call's row", 1, `select count(*) from convolo.calls where call_id = $1 and delivery_id = $2 and status = 'answered'
				and talk_s = 28 and agent_name = 'Dana' and phone = '+15034251234' and custom_params is not null
				and observed_at = (select max(received_at) from ops.inbox)`, convoloCall, delivery)
			w.count("the call", 1, `select count(*) from pipeline.calls where source = 'convolo' and external_call_id = $1 and lead_id = $2
				and lead_rule = 'ipscape_lead' and disposition = 'answered' and contacted and talk_s = 28 and direction = 'outbound'
				and started_at = '2025-06-03T17:25:02.12Z' and answered_at = '2025-06-03T17:25:20Z'`, convoloCall, lead)
			w.count("calls in all", 1, `select count(*) from pipeline.calls`)
			w.count("leads in all", 5, `select count(*) from pipeline.leads`)
			w.count("the lead's stage", 1, `select count(*) from pipeline.leads where lead_id = $1 and stage_key = 'contacted' and attempts = 1`, lead)
			want := len(slices.Compact(slices.Sorted(slices.Values(order))))
			w.count("records", want, `select count(*) from ops.records where source = 'convolo' and stream = 'calls'`)
			w.count("duplicates", len(order)-want, `select count(*) from ops.inbox where state = 'duplicate'`)
			w.count("bad posts", 0, `select count(*) from ops.inbox where state not in ('done', 'duplicate')`)
		})
	}
}

func TestConvoloReportsThatCountForNothing(t *testing.T) {
	t.Parallel()
	w, fold, _, delivery := newConvoloWorld(t)
	other, never := uuid.New(), uuid.New()
	mustExec(t, w.DB, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, state, source_time, not_before, created_at, sending_at, dedupe)
		values ($1, $2, 'default', 'dialedin', 'insert_lead', 'rings', 'unknown', $3, $3, $3, $3, 'y'),
		  ($4, $2, 'default', 'convolo', 'start_call', 'rings', 'ready', $3, $3, $3, null, 'z')`, other, foldOrg, foldStart, never)
	mustExec(t, w.DB, `update ops.deliveries set org_id = gen_random_uuid() where id = $1`, delivery)
	// Another destination's, another organisation's, one never sent, one nobody knows, and what is no delivery at all.
	for i, ref := range []string{other.String(), delivery.String(), never.String(), uuid.NewString(), "lead-48213377-1"} {
		w.json(strings.ReplaceAll(fmt.Sprintf(convoloEnd, ref), convoloCall, fmt.Sprint("call", i)))
	}
	w.json(`{"type":"ping"}`)
	w.json(`{"type":"brand_new","call_id":"call9","called_lead_phone":"+15034251299"}`)
	if n := w.run(); n != 7 {
		t.Fatalf("%d posts settled", n)
	}
	if _, err := fold.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.count("confirmed deliveries", 0, `select count(*) from ops.deliveries where state = 'confirmed'`)
	w.count("calls with a delivery", 0, `select count(*) from convolo.calls where delivery_id is not null`)
	w.count("calls", 6, `select count(*) from convolo.calls`)
	// The shared phone links none of its five leads.
	w.count("calls without a lead", 6, `select count(*) from pipeline.calls where source = 'convolo' and lead_id is null`)
	w.count("kept without a call", 1, `select count(*) from ops.records where source = 'convolo' and stream = 'other'`)
	w.count("quarantine", 0, `select count(*) from ops.quarantine`)
}

// A webhook that arrives later but was posted earlier changes nothing that a later one said.
func TestConvoloLateWebhook(t *testing.T) {
	t.Parallel()
	w, _, _, delivery := newConvoloWorld(t)
	w.posts = 10
	w.json(fmt.Sprintf(convoloEnd, delivery))
	w.run()
	w.posts = 0
	w.json(strings.ReplaceAll(fmt.Sprintf(convoloEnd, delivery), `"answered"`, `"missed"`))
	w.run()
	w.count("status by the later post", 1, `select count(*) from convolo.calls where status = 'answered' and observed_at = $1`, foldStart.Add(11*time.Second))
}
