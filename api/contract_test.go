package api

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/store"
)

// The attributes of contracts/lendworks.md sections 7.3, 8.1 and 8.4.
var (
	leadNames = []string{
		"businessName", "contactFirstName", "contactLastName", "email", "phone", "industry", "monthlyRevenue", "requestedAmount",
		"source", "priority", "isDoNotCall", "tags", "customFields", "externalIds", "leadScore", "stage", "primaryAdvisorId",
		"primaryAdvisorName", "lastContactedAt", "stageChangedAt", "createdAt", "updatedAt", "dncReason", "dncAt", "convertedAt",
		"convertedAccountId", "convertedContactId", "importJobId", "createdBy",
	}
	eventNames = []string{
		"externalCallId", "userId", "leadId", "eventType", "direction", "durationSeconds", "disposition", "metadata", "occurredAt",
		"createdAt", "updatedAt",
	}
	agentNames = []string{
		"userId", "firstName", "lastName", "email", "status", "currentCallId", "currentLeadId", "currentLeadName", "callStartedAt",
		"statusChangedAt", "callsToday", "dispositionCount", "campaignName", "statusTimeSec",
	}
)

// TestContract sends each request that the two LendWorks chapters document, as a client of LendWorks' would, and expects the
// documented status, envelope and attributes. $LEAD and $STAGE stand for ids of ours.
func TestContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	_, readOnly, err := w.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: w.org, Name: "reader", Level: store.LevelRead})
	if err != nil {
		t.Fatal(err)
	}
	var stage string
	if err := w.db.Pool.QueryRow(t.Context(), "select stage_id::text from pipeline.stages where org_id = $1 and stage_key = 'contacted'", w.org).Scan(&stage); err != nil {
		t.Fatal(err)
	}
	lead := w.want(http.StatusCreated, "POST", "/v1/leads", `{"businessName": "First"}`).Data.ID
	fill := strings.NewReplacer("$LEAD", lead, "$STAGE", stage, "$NOW", time.Now().UTC().Format(time.RFC3339)).Replace
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		kind                     string
		names                    []string
	}{
		{"list of leads", "GET", "/v1/leads?page=1&limit=10&search=first", "", 200, "lead", leadNames},
		{"one lead", "GET", "/v1/leads/$LEAD", "", 200, "lead", leadNames},
		{"create", "POST", "/v1/leads", `{"businessName": "Birch Hill Bakery LLC", "contactFirstName": "Ana", "contactLastName": "Ruiz",
			"email": "ana@birchhill.example", "phone": "+15035550142", "monthlyRevenue": "42000", "requestedAmount": "60000", "source": "dialer",
			"priority": "high", "tags": ["convoso"], "customFields": {"convoso_lead_id": "48213377"}}`, 201, "lead", leadNames},
		{"create with everything", "POST", "/v1/leads", `{"businessName": "Acme Corp", "contactFirstName": "Jane", "contactLastName": "Doe",
			"email": "jane@acme.example", "phone": "555-0100", "industry": "Retail", "monthlyRevenue": "85000", "requestedAmount": "150000.00",
			"source": "api", "priority": "normal", "stageId": "$STAGE", "tags": ["hot", "q1"], "customFields": {"k": "v"},
			"assignToAdvisorId": "e5f6g7h8-a1b2-c3d4-e5f6-a1b2c3d4e5f6", "contactId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890"}`, 201, "lead", leadNames},
		{"create with nothing", "POST", "/v1/leads", `{}`, 201, "lead", leadNames},
		{"update", "PATCH", "/v1/leads/$LEAD", `{"priority": "urgent", "tags": ["hot"], "requestedAmount": "75000"}`, 200, "lead", leadNames},
		{"event", "POST", "/v1/dialer/events", `{"externalCallId": "call-123", "userId": "e5f6g7h8-a1b2-c3d4-e5f6-a1b2c3d4e5f6", "leadId": "$LEAD",
			"eventType": "call_started", "direction": "outbound", "occurredAt": "$NOW"}`, 201, "call_event", eventNames},
		{"event in snake case", "POST", "/v1/dialer/events", `{"call_id": "call-123", "user_id": "e5f6g7h8-a1b2-c3d4-e5f6-a1b2c3d4e5f6", "lead_id": "$LEAD",
			"event_type": "call_ended", "direction": "outbound", "duration_seconds": 185, "disposition": "interested", "metadata": {"campaign": "Q1"},
			"occurred_at": "$NOW"}`, 201, "call_event", eventNames},
		{"presence", "POST", "/v1/dialer/presence", `{"userId": "e5f6g7h8-a1b2-c3d4-e5f6-a1b2c3d4e5f6", "status": "on_call", "currentCallId": "call-123",
			"currentLeadId": "$LEAD", "metadata": {"campaignName": "Q1"}}`, 200, "agent_presence", agentNames},
		{"disposition", "POST", "/v1/dialer/disposition", `{"externalCallId": "call-123", "userId": "e5f6g7h8-a1b2-c3d4-e5f6-a1b2c3d4e5f6", "leadId": "$LEAD",
			"disposition": "callback", "notes": "Call back on Tuesday", "occurredAt": "$NOW"}`, 201, "call_event", eventNames},
		{"agents", "GET", "/v1/dialer/agents", "", 200, "agent_presence", agentNames},
		{"malformed", "POST", "/v1/leads", `{"businessName": `, 400, codeBadRequest, nil},
		{"malformed event", "POST", "/v1/dialer/events", `call_started`, 400, codeBadRequest, nil},
		{"invalid", "POST", "/v1/leads", `{"email": "x", "priority": "y"}`, 422, codeValidation, nil},
		{"invalid event", "POST", "/v1/dialer/events", `{"externalCallId": "call-123"}`, 422, codeValidation, nil},
		{"nobody", "GET", "/v1/leads/a1b2c3d4-e5f6-7890-abcd-ef1234567890", "", 404, codeNotFound, nil},
		{"update of nobody", "PATCH", "/v1/leads/a1b2c3d4-e5f6-7890-abcd-ef1234567890", `{}`, 404, codeNotFound, nil},
		{"no such path", "GET", "/v1/nothing", "", 404, codeNotFound, nil},
		{"no such method", "DELETE", "/v1/leads/$LEAD", "", 405, codeMethodNotAllowed, nil},
	} {
		a := w.send(c.method, fill(c.path), fill(c.body), "Idempotency-Key", "contract-"+strings.ReplaceAll(c.name, " ", "-"))
		if a.status != c.status || a.header.Get("Content-Type") != "application/json" || a.header.Get("LW-API-Version") == "" {
			t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.status)
			continue
		}
		w.checkEnvelope(c.name, a, c.kind, c.names)
	}
	for name, c := range map[string]struct{ method, key, code string }{
		"no key": {"GET", "", codeKeyRequired}, "wrong key": {"GET", "Bearer lw_abc12_wrong", codeKeyInvalid}, "level": {"POST", "Bearer " + readOnly, codeForbidden},
	} {
		a := w.call(c.method, "/v1/leads", "{}", "Authorization", c.key)
		if a.code() != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		w.checkEnvelope(name, a, c.code, nil)
	}
}

// checkEnvelope holds an answer to section 3 of the contract; names are the attributes of each of its objects, nil for an error.
func (w *world) checkEnvelope(name string, a answer, kind string, names []string) {
	w.t.Helper()
	var e struct {
		Data   json.RawMessage
		Errors []errorItem
		Meta   map[string]any
	}
	a.decode(w.t, &e)
	id := fmt.Sprint(e.Meta["requestId"])
	// A long answer may be here before its line is in the log.
	for deadline := time.Now().Add(time.Minute); !strings.Contains(w.log.String(), id) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if !strings.HasPrefix(id, "req_") || !strings.Contains(w.log.String(), id) {
		w.t.Errorf("%s: request id %s is not in the log", name, id)
	}
	if names == nil {
		if e.Data != nil || len(e.Errors) == 0 || e.Errors[0].Code != kind || e.Errors[0].Message == "" {
			w.t.Errorf("%s: error %s", name, a.body)
		}
		return
	}
	type object struct {
		ID, Type   string
		Attributes map[string]any
	}
	var list []object
	if strings.HasPrefix(string(e.Data), "[") {
		for _, key := range []string{"total", "page", "limit", "hasMore"} {
			if _, ok := e.Meta[key]; !ok {
				w.t.Errorf("%s: meta has no %s: %v", name, key, e.Meta)
			}
		}
	} else {
		e.Data = json.RawMessage("[" + string(e.Data) + "]")
	}
	if err := json.Unmarshal(e.Data, &list); err != nil || len(list) == 0 {
		w.t.Errorf("%s: %s", name, a.body)
	}
	for _, o := range list {
		if o.ID == "" || o.Type != kind {
			w.t.Errorf("%s: id %q, type %q", name, o.ID, o.Type)
		}
		for _, n := range names {
			if _, ok := o.Attributes[n]; !ok {
				w.t.Errorf("%s: no attribute %s in %v", name, n, o.Attributes)
			}
		}
		if kind == "lead" && len(o.Attributes) != len(names) {
			w.t.Errorf("%s: more attributes than documented: %v", name, sortedKeys(o.Attributes))
		}
	}
}

// TestConditionalReads asks again for what it has.
func TestConditionalReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	path := "/v1/leads/" + w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead).Data.ID
	auth := []string{"Authorization", "Bearer " + w.key}
	ask := func(tag string) answer { return w.call("GET", path, "", append(auth, "If-None-Match", tag)...) }
	first := w.get(path)
	tag := first.header.Get("ETag")
	if tag == "" || first.status != http.StatusOK {
		t.Fatalf("%d, tag %q", first.status, tag)
	}
	for _, given := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if a := ask(given); a.status != http.StatusNotModified || len(a.body) != 0 || a.header.Get("ETag") != tag {
			t.Errorf("%s: %d %q", given, a.status, a.body)
		}
	}
	w.want(http.StatusOK, "PATCH", path, `{"businessName": "Oak"}`)
	if a := ask(tag); a.status != http.StatusOK || a.header.Get("ETag") == tag {
		t.Errorf("after a change: %d, tag %s", a.status, a.header.Get("ETag"))
	}
	if a := w.get("/v1/leads"); a.header.Get("ETag") != "" {
		t.Error("a list has a tag")
	}
}

// TestCompression takes the same answer plain and compressed.
func TestCompression(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	for i := range 10 {
		w.lead(w.org, fmt.Sprint("Lead ", i), time.Now())
	}
	get := func(path, encoding string) (*http.Response, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.key)
		req.Header.Set("Accept-Encoding", encoding)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body := io.Reader(resp.Body)
		if resp.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, text
	}
	data := func(text []byte) any {
		var c struct{ Data any }
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		return c.Data
	}
	_, plain := get("/v1/leads", "identity")
	for encoding, want := range map[string]string{"gzip": "gzip", "br, GZIP;q=0.5": "gzip", "*": "gzip", "gzip;q=0": "", "br": "", "*;q=0": "", "": ""} {
		resp, text := get("/v1/leads", encoding)
		if resp.Header.Get("Content-Encoding") != want || resp.Header.Get("Vary") != "Accept-Encoding" || !cmp.Equal(data(text), data(plain)) {
			t.Errorf("%q: encoding %q, vary %q", encoding, resp.Header.Get("Content-Encoding"), resp.Header.Get("Vary"))
		}
	}
	if resp, _ := get("/v1/leads/"+w.t.Name(), "gzip"); resp.Header.Get("Content-Encoding") != "" || resp.StatusCode != http.StatusNotFound {
		t.Errorf("a small answer: %d %v", resp.StatusCode, resp.Header)
	}
}
