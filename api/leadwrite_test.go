package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// send makes a request with the world's key and a JSON body.
func (w *world) send(method, path, body string, headers ...string) answer {
	w.t.Helper()
	return w.call(method, path, body, append([]string{"Authorization", "Bearer " + w.key, "Content-Type", "application/json"}, headers...)...)
}

// sent is a single as a client reads it.
type sent struct {
	Data struct {
		ID         string         `json:"id"`
		Type       string         `json:"type"`
		Attributes map[string]any `json:"attributes"`
	} `json:"data"`
	Meta   map[string]any `json:"meta"`
	Errors []struct {
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Detail  map[string]any `json:"detail"`
	} `json:"errors"`
}

// fields are the fields at fault, sorted.
func (s *sent) fields() []string {
	var names []string
	for _, e := range s.Errors {
		names = append(names, fmt.Sprint(e.Detail["field"]))
	}
	slices.Sort(names)
	return names
}

// want makes a request and expects a status.
func (w *world) want(status int, method, path, body string, headers ...string) sent {
	w.t.Helper()
	a := w.send(method, path, body, headers...)
	if a.status != status {
		w.t.Fatalf("%s %s %.200s: %d %s, want %d", method, path, body, a.status, a.body, status)
	}
	var out sent
	a.decode(w.t, &out)
	if out.Meta["requestId"] == "" || out.Meta["requestId"] == nil {
		w.t.Errorf("%s %s: no request id in %s", method, path, a.body)
	}
	return out
}

const wholeLead = `{"businessName": "Birch Hill Bakery LLC", "contactFirstName": "Ana", "contactLastName": "Ruiz",
 "email": "ana@birchhill.example", "phone": "(503) 555-0142", "industry": "Food", "monthlyRevenue": "42000.10",
 "requestedAmount": "123456789012345678901234567890.0123456789", "source": "dialer", "priority": "high", "tags": ["convoso", "x"],
 "customFields": {"convoso_lead_id": "48213377", "deep": {"n": 1.50}},
 "assignToAdvisorId": "e5f6g7h8-0000-4000-8000-000000000001", "contactId": "0f4f3d1e-8c1b-4a2e-9d3f-5a6b7c8d9e0f", "novel": 7}`

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

// convoso posts to the receiver and has the post folded.
func (w *world) convoso(event, payload string) {
	w.t.Helper()
	if a := w.post("/"+event, payload); a.status != http.StatusOK {
		w.t.Fatalf("convoso's post: %d %s", a.status, a.body)
	}
	if _, err := w.drain.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.fold.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if n := w.count("select count(*) from ops.quarantine where state = 'open'"); n > 0 {
		w.t.Fatal("Convoso's record is in quarantine")
	}
}

func TestLeadStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	stages := map[string]string{}
	for _, key := range []string{"qualified", "lost", "new_lead"} {
		var id string
		if err := w.db.Pool.QueryRow(t.Context(), "select stage_id::text from pipeline.stages where org_id = $1 and stage_key = $2", w.org, key).Scan(&id); err != nil {
			t.Fatal(err)
		}
		stages[key] = id
	}
	made := w.want(http.StatusCreated, "POST", "/v1/leads", `{"stageId": "`+stages["qualified"]+`"}`).Data
	if stage, _ := made.Attributes["stage"].(map[string]any); stage["id"] != stages["qualified"] {
		t.Errorf("made in stage %v", stage)
	}
	path := "/v1/leads/" + made.ID
	for _, key := range []string{"lost", "new_lead", "lost"} {
		got := w.want(http.StatusOK, "POST", path+"/stage", `{"stageId": "`+stages[key]+`"}`).Data.Attributes
		if stage, _ := got["stage"].(map[string]any); stage["stageKey"] != key {
			t.Errorf("stage %v, want %s", stage, key)
		}
	}
	for body, field := range map[string]string{`{}`: "stageId", `{"stageId": "` + uuid.NewString() + `"}`: "stageId", `{"stageId": 7}`: "stageId"} {
		if got := w.want(http.StatusUnprocessableEntity, "POST", path+"/stage", body); !cmp.Equal(got.fields(), []string{field}) {
			t.Errorf("%s: %v", body, got.Errors)
		}
	}
	w.want(http.StatusNotFound, "POST", "/v1/leads/"+uuid.NewString()+"/stage", `{"stageId": "`+stages["lost"]+`"}`)
	var line page
	w.get(path+"/timeline").decode(t, &line)
	var kinds []string
	for _, e := range line.Data {
		kinds = append(kinds, fmt.Sprint(e.Attributes["kind"]))
		if details, _ := e.Attributes["details"].(map[string]any); e.Attributes["kind"] == "stage_changed" && details["changedBy"] != "api" {
			t.Errorf("a stage set over the API: %v", details)
		}
	}
	slices.Sort(kinds)
	if want := []string{"lead_created", "stage_changed", "stage_changed", "stage_changed", "stage_changed"}; !cmp.Equal(kinds, want) {
		t.Errorf("timeline %v", kinds)
	}
}

// TestLeadFilters narrows the list by each filter, pages it by cursor, and looks for an index in each plan.
func TestLeadFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	w.exec(`insert into pipeline.leads (org_id, lead_id, business_name, phone, source, priority, stage_key, is_do_not_call, content_hash,
		first_source_time, created_at, updated_at)
		select $1, gen_random_uuid(), 'Filler ' || n, 'p' || n, 'api', 'normal', 'new_lead', false, '', at, at, at
		from (select n, timestamptz '2026-01-01' + n * interval '1 s' as at from generate_series(1, 30000) n) t`, w.org)
	id := w.want(http.StatusCreated, "POST", "/v1/leads", `{"businessName": "Needle", "phone": "503-555-0142", "priority": "urgent", "source": "referral", "isDoNotCall": true}`).Data.ID
	var stage string
	if err := w.db.Pool.QueryRow(t.Context(), "select stage_id::text from pipeline.stages where org_id = $1 and stage_key = 'lost'", w.org).Scan(&stage); err != nil {
		t.Fatal(err)
	}
	w.want(http.StatusOK, "POST", "/v1/leads/"+id+"/stage", `{"stageId": "`+stage+`"}`)
	w.exec("insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', '48213377', $2, 'identity', 'test', now())", w.org, id)
	w.exec(`insert into pipeline.lead_keys (org_id, kind, account_id, value, lead_id, rule, evidence, linked_at)
		select org_id, 'convoso_lead', 'default', business_name, lead_id, 'identity', 'test', now() from pipeline.leads where source = 'api'`)
	w.exec("analyze pipeline.leads, pipeline.lead_keys")
	for _, filter := range []string{
		"stage=lost", "stage=" + stage, "priority=urgent", "source=referral", "isDoNotCall=true", "phone=%2B15035550142", "phone=+1(503)5550142",
		"phone=503-555-0142", "externalId=48213377", "externalId=convoso:48213377", "updatedSince=2026-06-01", "search=needle&priority=urgent",
	} {
		var p page
		a := w.get("/v1/leads?" + filter)
		a.decode(t, &p)
		if a.status != http.StatusOK || p.Meta.Total != 1 || len(p.Data) != 1 || p.Data[0].ID != id {
			t.Errorf("%s: %d, %d leads of %d", filter, a.status, len(p.Data), p.Meta.Total)
		}
	}
	for _, filter := range []string{"stage=won", "externalId=ipscape:48213377", "isDoNotCall=true&priority=low", "phone=nobody"} {
		var p page
		if w.get("/v1/leads?"+filter).decode(t, &p); p.Meta.Total != 0 || len(p.Data) != 0 {
			t.Errorf("%s: %d leads", filter, p.Meta.Total)
		}
	}
	for _, wrong := range []string{"priority=x", "source=x", "isDoNotCall=1", "updatedSince=yesterday", "cursor=x", "phone=%00", "cursor=AAAA&page=2"} {
		if a := w.get("/v1/leads?" + wrong); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", wrong, a.status)
		}
	}
	seen := map[string]bool{}
	for cursor, rounds := "", 0; rounds == 0 || cursor != ""; rounds++ {
		var p page
		w.get("/v1/leads?source=api&limit=100&updatedSince=2026-01-01T08:00:00Z&cursor="+cursor).decode(t, &p)
		for _, l := range p.Data {
			if seen[l.ID] {
				t.Fatalf("lead %s came twice", l.ID)
			}
			seen[l.ID] = true
		}
		if cursor = p.Meta.NextCursor; (cursor == "") != !p.Meta.HasMore {
			t.Fatalf("meta %+v", p.Meta)
		}
	}
	if len(seen) != 1201 {
		t.Errorf("%d leads by cursor, want 1,201", len(seen))
	}
	yes := true
	for name, f := range map[string]store.LeadFilter{
		"leads_stage": {Stage: "lost"}, "leads_priority": {Priority: "urgent"}, "leads_source": {Source: "referral"}, "leads_do_not_call": {DNC: &yes},
		"leads_phone_given": {PhoneGiven: "503-555-0142", Phone: "+15035550142"}, "lead_keys_value": {ExternalID: "48213377", ExternalKinds: []pipeline.KeyKind{pipeline.KeyConvosoLead}},
		"leads_updated": {UpdatedSince: time.Now().Add(-time.Hour)},
	} {
		plan, err := w.db.ExplainLeads(t.Context(), w.org, store.LeadQuery{LeadFilter: f, Limit: 20})
		if err != nil || !strings.Contains(plan, name) || strings.Contains(plan, "Seq Scan on leads") {
			t.Errorf("filter of %s, %v:\n%s", name, err, plan)
		}
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	const key = "lead-0123_ABC"
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	ids := map[string]bool{}
	replays := 0
	for range 50 {
		wg.Go(func() {
			a := w.send("POST", "/v1/leads", wholeLead, "Idempotency-Key", key)
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
			switch a.status {
			case http.StatusCreated:
				var s sent
				if json.Unmarshal(a.body, &s) == nil {
					ids[s.Data.ID] = true
				}
				if a.header.Get("Idempotency-Key-Replay") == "true" {
					replays++
				}
			case http.StatusConflict:
				if a.code() != codeIdempotencyConflict || a.header.Get("Retry-After") == "" {
					t.Errorf("conflict: %s", a.body)
				}
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || seen[http.StatusCreated]-replays != 1 {
		t.Errorf("fifty requests: statuses %v, leads %v, %d replays", seen, ids, replays)
	}
	if n := w.count("select count(*) from pipeline.leads"); n != 1 {
		t.Errorf("%d leads", n)
	}
	first := w.send("POST", "/v1/leads", wholeLead, "Idempotency-Key", key)
	if again := w.send("POST", "/v1/leads", strings.Replace(wholeLead, ",", " ,\n", 1), "Idempotency-Key", key); !cmp.Equal(again.body, first.body) ||
		again.header.Get("Idempotency-Key-Replay") != "true" || again.status != http.StatusCreated {
		t.Errorf("replay %d %s", again.status, again.body)
	}
	if a := w.send("POST", "/v1/leads", `{}`, "Idempotency-Key", key); a.status != http.StatusUnprocessableEntity || a.code() != codeIdempotencyReused {
		t.Errorf("another body: %d %s", a.status, a.body)
	}
	for _, bad := range []string{"", "a b", "a/b", "a:b", "a.b", strings.Repeat("a", 257), "é"} {
		if a := w.send("POST", "/v1/leads", `{}`, "Idempotency-Key", bad); a.status != http.StatusUnprocessableEntity || a.code() != codeIdempotencyInvalid {
			t.Errorf("key %q: %d %s", bad, a.status, a.body)
		}
	}
	// An error is not kept: the key may be tried again. It is ignored on GET.
	if a := w.send("POST", "/v1/leads", `{"priority": 1}`, "Idempotency-Key", "later"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", a.status)
	}
	if a := w.send("POST", "/v1/leads", `{"priority": "low"}`, "Idempotency-Key", "later"); a.status != http.StatusCreated || a.header.Get("Idempotency-Key-Replay") != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.send("GET", "/v1/leads", "", "Idempotency-Key", "a b"); a.status != http.StatusOK {
		t.Errorf("GET: %d", a.status)
	}
	// A day later it is another request.
	w.exec("update ops.idempotency set expires_at = now() where key = $1", "later")
	if a := w.send("POST", "/v1/leads", `{"priority": "low"}`, "Idempotency-Key", "later"); a.header.Get("Idempotency-Key-Replay") != "" {
		t.Error("an answer was repeated after its time")
	}
	w.exec("update ops.idempotency set expires_at = now()")
	if err := (&store.Upkeeper{DB: w.db, Retention: store.Retention{History: time.Hour, Inbox: time.Hour}}).Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count("select count(*) from ops.idempotency"); n != 0 {
		t.Errorf("%d keys are left", n)
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
