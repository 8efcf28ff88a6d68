package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

func TestCreateLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	made := w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead)
	a := made.Data.Attributes
	for field, want := range map[string]any{
		"businessName": "Birch Hill Bakery LLC", "contactFirstName": "Ana", "contactLastName": "Ruiz", "email": "ana@birchhill.example",
		"phone": "(503) 555-0142", "industry": "Food", "monthlyRevenue": "42000.10",
		"requestedAmount": "123456789012345678901234567890.0123456789", "source": "dialer", "priority": "high",
		"tags": []any{"convoso", "x"}, "customFields": map[string]any{"convoso_lead_id": "48213377", "deep": map[string]any{"n": 1.5}},
		"externalIds": map[string]any{}, "isDoNotCall": false, "leadScore": nil,
		"primaryAdvisorId": "e5f6g7h8-0000-4000-8000-000000000001", "primaryAdvisorName": nil, "lastContactedAt": nil,
		"dncReason": nil, "dncAt": nil, "convertedAt": nil, "convertedAccountId": nil, "convertedContactId": nil, "importJobId": nil,
		"createdBy": nil,
	} {
		if diff := cmp.Diff(want, a[field]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", field, diff)
		}
	}
	stage, _ := a["stage"].(map[string]any)
	if stage["stageKey"] != "new_lead" || stage["id"] == nil || stage["semanticSlot"] != "new" || a["createdAt"] == nil || a["stageChangedAt"] == nil {
		t.Errorf("stage %v of %v", stage, a)
	}
	if got := w.want(http.StatusOK, "GET", "/v1/leads/"+made.Data.ID, ""); !cmp.Equal(got.Data, made.Data) || made.Data.Type != "lead" {
		t.Errorf("read again: %s", cmp.Diff(made.Data, got.Data))
	}
	var e164, kept string
	if err := w.db.Pool.QueryRow(t.Context(), "select phone from analytics.leads").Scan(&e164); err != nil || e164 != "+15035550142" {
		t.Errorf("analysts see phone %q, %v", e164, err)
	}
	if err := w.db.Pool.QueryRow(t.Context(), "select payload #>> '{rest,novel}' from ops.records where stream = 'leads'").Scan(&kept); err != nil || kept != "7" {
		t.Errorf("the unknown field was kept as %q, %v", kept, err)
	}
	if n := w.count("select count(*) from ops.reconcile_queue"); n != 0 {
		t.Errorf("%d records wait to be folded again", n)
	}
	empty := w.want(http.StatusCreated, "POST", "/v1/leads", `{"phone": null}`)
	if a := empty.Data.Attributes; a["source"] != "manual" || a["priority"] != "normal" || a["businessName"] != nil || !cmp.Equal(a["tags"], []any{}) {
		t.Errorf("an empty lead: %v", a)
	}
}

func TestLeadFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	id := w.want(http.StatusCreated, "POST", "/v1/leads", `{"businessName": "Oak"}`).Data.ID
	long := strings.Repeat("é", 256)
	for _, test := range []struct {
		body   string
		fields []string
	}{
		{
			`{"businessName": "", "contactFirstName": "` + long[:202] + `", "contactLastName": 7, "email": "ana@", "industry": "` + long + `"}`,
			[]string{"businessName", "contactFirstName", "contactLastName", "email", "industry"},
		},
		{`{"businessName": "` + long + `"}`, []string{"businessName"}},
		{`{"businessName": "<b>Birch</b>"}`, []string{"businessName"}},
		{`{"businessName": "Birch <script"}`, []string{"businessName"}},
		{`{"businessName": "<!-- x"}`, []string{"businessName"}},
		{`{"phone": "012345678901234567890"}`, []string{"phone"}},
		{`{"monthlyRevenue": 42000, "requestedAmount": "1,000"}`, []string{"monthlyRevenue", "requestedAmount"}},
		{`{"monthlyRevenue": "1e5", "requestedAmount": "."}`, []string{"monthlyRevenue", "requestedAmount"}},
		{`{"priority": "HIGH", "tags": ["a", 1], "customFields": []}`, []string{"customFields", "priority", "tags"}},
		{`{"tags": [null]}`, []string{"tags"}},
		{`{"source": "web"}`, []string{"source"}},
		{`{"stageId": "nowhere"}`, []string{"stageId"}},
		{`{"stageId": "0f4f3d1e-8c1b-4a2e-9d3f-5a6b7c8d9e0f"}`, []string{"stageId"}},
		{`{"assignToAdvisorId": "x", "contactId": 1}`, []string{"assignToAdvisorId", "contactId"}},
		{`{"isDoNotCall": false}`, []string{"isDoNotCall"}},
		{`{"email": "Ana <ana@birch.example>"}`, []string{"email"}},
		{`{"email": "ana@localhost"}`, []string{"email"}},
		{`[]`, []string{"body"}},
	} {
		if got := w.want(http.StatusUnprocessableEntity, "POST", "/v1/leads", test.body); !cmp.Equal(got.fields(), test.fields) || got.Errors[0].Code != codeValidation {
			t.Errorf("POST %.80s: %v, want %v", test.body, got.Errors, test.fields)
		}
		if got := w.want(http.StatusUnprocessableEntity, "PATCH", "/v1/leads/"+id, test.body); !cmp.Equal(got.fields(), test.fields) {
			t.Errorf("PATCH %.80s: %v, want %v", test.body, got.Errors, test.fields)
		}
	}
	for _, field := range []string{"source", "stageId", "assignToAdvisorId", "contactId", "externalIds", "id", "leadScore", "novel"} {
		if got := w.want(http.StatusUnprocessableEntity, "PATCH", "/v1/leads/"+id, `{"`+field+`": "api"}`); !cmp.Equal(got.fields(), []string{field}) {
			t.Errorf("PATCH %s: %v", field, got.Errors)
		}
	}
	for _, body := range []string{
		``, `{`, `nope`, `{"businessName": "a\u0000"}`, `{"businessName": "\ud800"}`, "{\"businessName\": \"\xff\"}",
		`{"customFields":` + strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000) + `}`, `{} {}`, `{"a": 1e9999999}`,
	} {
		if got := w.want(http.StatusBadRequest, "POST", "/v1/leads", body); got.Errors[0].Code != codeBadRequest {
			t.Errorf("%.40q: %v", body, got.Errors)
		}
	}
	if a := w.send("POST", "/v1/leads", `{"businessName": "`+strings.Repeat("x", 10<<20)+`"}`); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("10 MB: %d", a.status)
	}
	for _, path := range []string{"/v1/leads/" + uuid.NewString(), "/v1/leads/none"} {
		if got := w.want(http.StatusNotFound, "PATCH", path, `{}`); got.Errors[0].Code != codeNotFound {
			t.Errorf("PATCH %s: %v", path, got.Errors)
		}
	}
	if n := w.count("select count(*) from pipeline.leads"); n != 1 {
		t.Errorf("%d leads, want the first one alone", n)
	}
}

func TestPatchLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	made := w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead)
	path := "/v1/leads/" + made.Data.ID
	got := w.want(http.StatusOK, "PATCH", path, `{"businessName": "Oak", "email": null, "phone": "+1 212 555 0123", "tags": ["new"],
		"customFields": {"only": true}, "priority": "urgent", "monthlyRevenue": null}`).Data
	a := got.Attributes
	for field, want := range map[string]any{
		"businessName": "Oak", "email": nil, "phone": "+1 212 555 0123", "tags": []any{"new"}, "customFields": map[string]any{"only": true},
		"priority": "urgent", "monthlyRevenue": nil, "contactFirstName": "Ana", "source": "dialer", "industry": "Food",
	} {
		if diff := cmp.Diff(want, a[field]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", field, diff)
		}
	}
	if got.ID != made.Data.ID || a["createdAt"] != made.Data.Attributes["createdAt"] {
		t.Errorf("the lead became another: %v", got)
	}
	var phones []string
	if err := w.db.Pool.QueryRow(t.Context(), "select phones from pipeline.leads").Scan(&phones); err != nil || !cmp.Equal(phones, []string{"+12125550123"}) {
		t.Errorf("phones %v, %v: the old number must be gone", phones, err)
	}
	cleared := w.want(http.StatusOK, "PATCH", path, `{"tags": null, "customFields": null, "priority": null, "phone": null}`).Data.Attributes
	if !cmp.Equal(cleared["tags"], []any{}) || !cmp.Equal(cleared["customFields"], map[string]any{}) || cleared["priority"] != "normal" || cleared["phone"] != nil {
		t.Errorf("cleared: %v", cleared)
	}
	// Said again after another word in between, a value counts.
	for _, name := range []string{"Ash", "Elm", "Ash"} {
		if got := w.want(http.StatusOK, "PATCH", path, `{"businessName": "`+name+`"}`).Data.Attributes["businessName"]; got != name {
			t.Errorf("business name %v, want %s", got, name)
		}
	}
	if again := w.want(http.StatusOK, "PATCH", path, `{}`).Data; again.ID != made.Data.ID {
		t.Errorf("an empty patch: %v", again)
	}
}

// TestPatchAnyOrder folds the records of patches that were made side by side, in other orders and other batches.
func TestPatchAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	id := w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead).Data.ID
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			body := fmt.Sprintf(`{"industry": "I%d"}`, i)
			if i%2 == 0 {
				body = fmt.Sprintf(`{"priority": "urgent", "customFields": {"i": %d}}`, i)
			}
			if a := w.send("PATCH", "/v1/leads/"+id, body); a.status != http.StatusOK {
				t.Errorf("patch: %d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	before := w.want(http.StatusOK, "GET", "/v1/leads/"+id, "").Data.Attributes
	for range 3 {
		w.exec("delete from pipeline.leads")
		w.exec("delete from pipeline.lead_keys")
		w.exec("insert into ops.reconcile_queue (org_id, record_id) select org_id, record_id from ops.records order by random()")
		if _, err := w.fold.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := w.want(http.StatusOK, "GET", "/v1/leads/"+id, "").Data.Attributes
		delete(before, "updatedAt")
		delete(after, "updatedAt")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("refolded (-before +after):\n%s", diff)
		}
	}
}

// TestPatchVendorsLead patches a lead that Convoso told: it stays that lead, and what Convoso says later counts.
func TestPatchVendorsLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	w.convoso("lead_update", `{"lead_id":"48213377","first_name":"Ana","phone_number":"5035550142","city":"Salem"}`)
	var p page
	w.get("/v1/leads?externalId=convoso:48213377").decode(t, &p)
	if len(p.Data) != 1 {
		t.Fatalf("leads %v", p.Data)
	}
	id := p.Data[0].ID
	got := w.want(http.StatusOK, "PATCH", "/v1/leads/"+id, `{"contactFirstName": "Anna", "isDoNotCall": true}`).Data
	if got.ID != id || got.Attributes["contactFirstName"] != "Anna" || got.Attributes["isDoNotCall"] != true || got.Attributes["dncAt"] == nil {
		t.Errorf("patched %v", got)
	}
	if n := w.count("select count(*) from pipeline.leads"); n != 1 {
		t.Errorf("%d leads", n)
	}
	if n := w.count("select count(*) from pipeline.do_not_call where phone = '+15035550142' and lifted_at is null and source = 'api'"); n != 1 {
		t.Error("the number is not on the list")
	}
	if n := w.count("select count(*) from ops.deliveries where operation = 'dnc_add' and phone = '+15035550142'"); n != 1 {
		t.Error("the dialler was not told")
	}
	if n := w.count("select count(*) from ops.suppressions where folded_at is null"); n != 0 {
		t.Errorf("%d suppressions are open", n)
	}
	w.convoso("lead_update", `{"lead_id":"48213377","first_name":"Hannah","phone_number":"5035550142"}`)
	if got := w.want(http.StatusOK, "GET", "/v1/leads/"+id, "").Data.Attributes; got["contactFirstName"] != "Hannah" || got["isDoNotCall"] != true {
		t.Errorf("after Convoso's later word: %v", got)
	}
}

// TestNewLeadIsPushed makes leads beside a route: one that may be called gets its delivery in the same transaction, one that
// is made do-not-call has none that is ready.
func TestNewLeadIsPushed(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	if _, err := w.db.SetEnvironmentRoutes(t.Context(), w.org, []store.Route{{Destination: "dialedin"}}); err != nil {
		t.Fatal(err)
	}
	id := w.want(http.StatusCreated, "POST", "/v1/leads", `{"phone": "5035550142"}`).Data.ID
	if n := w.count("select count(*) from ops.deliveries where lead_id = $1 and operation = 'insert_lead' and state = 'ready'", id); n != 1 {
		t.Errorf("%d deliveries are ready", n)
	}
	w.want(http.StatusOK, "PATCH", "/v1/leads/"+id, `{"isDoNotCall": true}`)
	w.want(http.StatusCreated, "POST", "/v1/leads", `{"phone": "2125550123", "isDoNotCall": true}`)
	if n := w.count("select count(*) from ops.deliveries where operation = 'insert_lead' and state <> 'cancelled'"); n != 0 {
		t.Errorf("%d deliveries to who opted out may ring", n)
	}
	if n := w.count("select count(*) from ops.deliveries where operation = 'dnc_add'"); n != 2 {
		t.Errorf("%d obligations, want 2", n)
	}
}

// TestLeadsOfOthers keeps what belongs to another organisation out of reach.
func TestLeadsOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	other, err := w.db.CreateOrganisation(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	theirs := w.lead(other.ID, "Theirs", time.Now()).String()
	var stage string
	if err := w.db.Pool.QueryRow(t.Context(), "select stage_id::text from pipeline.stages where org_id = $1 limit 1", other.ID).Scan(&stage); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/timeline"} {
		w.want(http.StatusNotFound, "GET", "/v1/leads/"+theirs+path, "")
	}
	w.want(http.StatusNotFound, "PATCH", "/v1/leads/"+theirs, `{"businessName": "Mine"}`)
	w.want(http.StatusUnprocessableEntity, "POST", "/v1/leads", `{"stageId": "`+stage+`"}`)
	w.want(http.StatusUnprocessableEntity, "POST", "/v1/dialer/disposition",
		`{"externalCallId":"1","userId":"`+user+`","leadId":"`+theirs+`","disposition":"dnc","occurredAt":"2026-03-02T09:00:00Z"}`)
	if n := w.count("select count(*) from ops.records"); n != 0 {
		t.Errorf("%d records were kept", n)
	}
}
