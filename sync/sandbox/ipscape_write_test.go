package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// write sends one ipSCAPE write; an empty body is sent as none.
func (r *rig) write(method, path, body string) (int, []byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.env["IPSCAPE_BASE_URL"]+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.env["IPSCAPE_TOKEN"])
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	status, answer, err := r.send(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, answer
}

func (r *rig) lead(id int64) (sandbox.Lead, bool) {
	for _, l := range r.IPSCAPE().Leads() {
		if l.ID == id {
			return l, true
		}
	}
	return sandbox.Lead{}, false
}

func TestIPSCAPELeadWrites(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 3})
	before := r.Truth().IPSCAPE["leads"]
	status, answer := r.write(http.MethodPost, "/v3.0/leads", `{"listId":120,"customerKey":"007","phone1":"+61400111222","phone3":"+61400111223",
		"leadData":{"n":9007199254740993},"nextAttemptTimestamp":"2026-03-12T09:00:00Z","statusCode":null,"agentId":301,"timezone":"Australia/Perth"}`)
	made := decode(t, answer)
	if status != http.StatusCreated || made["inDialler"] != true {
		t.Fatalf("%d %s", status, answer)
	}
	id, err := made["leadId"].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	l, found := r.lead(id)
	if !found || l.CampaignID != 12 || l.CustomerKey != "007" || len(l.Phones) != 2 || l.AgentName == "" || l.Timezone != "Australia/Perth" ||
		!l.Created.Equal(r.clock.Now().Truncate(time.Second)) || l.NextAttempt.IsZero() || fmt.Sprint(l.DataFields["n"]) != "9007199254740993" {
		t.Errorf("stored %+v", l)
	}
	r.clock.Advance(time.Hour)
	path := fmt.Sprintf("/v3.0/leads/%d", id)
	status, answer = r.write(http.MethodPut, path, `{"listId":110,"phone1":null,"agentId":null,"statusCode":3,"isCompleted":true,"leadData":{"a":1}}`)
	if status != http.StatusNoContent || len(answer) != 0 {
		t.Errorf("update: %d %s", status, answer)
	}
	if l, _ = r.lead(id); l.ListID != 110 || l.CampaignID != 11 || !slices.Equal(l.Phones, []string{"+61400111223"}) || l.AgentID != 0 || l.LastStatusCode != 3 ||
		!l.Completed || len(l.DataFields) != 1 || l.CustomerKey != "007" || !l.Modified.After(l.Created) {
		t.Errorf("changed to %+v", l)
	}
	if status, _ = r.write(http.MethodPut, path, `{"customerKey":null,"timezone":null,"statusCode":null,"nextAttemptTimestamp":null,"leadData":null}`); status != http.StatusNoContent {
		t.Errorf("clear: %d", status)
	}
	if l, _ = r.lead(id); l.CustomerKey != "" || l.Timezone != "" || l.LastStatusCode != 0 || !l.NextAttempt.IsZero() || l.DataFields != nil || !l.Completed {
		t.Errorf("cleared to %+v", l)
	}
	if status, _ = r.write(http.MethodPut, "/v3.0/leads/1", `{"phone1":"+61400111222"}`); status != http.StatusNotFound {
		t.Errorf("a lead that is not there: %d", status)
	}
	r.wantNoViolations()
	// Nothing stops a second lead of one key: that is what a client has to see to.
	for range 2 {
		r.write(http.MethodPost, "/v3.0/leads", `{"listId":120,"customerKey":"twice"}`)
	}
	if after := r.Truth().IPSCAPE["leads"]; after != before+3 {
		t.Errorf("%d leads, want %d", after, before+3)
	}
}

func TestIPSCAPECreateTakesEffectAndIsNotAnswered(t *testing.T) {
	t.Parallel()
	for kind, effect := range map[sandbox.FaultKind]bool{sandbox.FaultHang: true, sandbox.FaultCutAfter: true, sandbox.FaultCutBefore: false} {
		r := start(t, sandbox.Options{Seed: 3})
		r.client.Timeout = 300 * time.Millisecond
		r.Faults().Add(sandbox.Fault{Op: sandbox.OpCreateLead, Kind: kind})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.env["IPSCAPE_BASE_URL"]+"/v3.0/leads", strings.NewReader(`{"listId":120,"customerKey":"k"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.env["IPSCAPE_TOKEN"])
		req.Header.Set("Content-Type", "application/json")
		if status, _, err := r.send(req); err == nil {
			t.Errorf("%s: answered %d", kind, status)
		}
		if made := slices.ContainsFunc(r.IPSCAPE().Leads(), func(l sandbox.Lead) bool { return l.CustomerKey == "k" }); made != effect {
			t.Errorf("%s: created is %v", kind, made)
		}
	}
}

func TestIPSCAPEOtherWrites(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 3})
	v := r.IPSCAPE()
	status, answer := r.write(http.MethodPost, "/v3.0/leads/lists", `{"listName":"August","campaignId":12}`)
	if made := decode(t, answer); status != http.StatusCreated || made["listId"] == nil || made["listName"] != "August" {
		t.Errorf("list: %d %s", status, answer)
	}
	if lists := v.LeadLists(); lists[len(lists)-1].Name != "August" || lists[len(lists)-1].InDialler {
		t.Errorf("lists %+v", lists)
	}
	for path, body := range map[string]string{"/v3.0/agents/presence": `{"agentId":301,"available":false}`, "/v3.0/calls/recording": `{"agentId":302,"recording":true}`} {
		if status, answer = r.write(http.MethodPut, path, body); status != http.StatusOK || string(answer) != body {
			t.Errorf("%s: %d %s", path, status, answer)
		}
		if status, _ = r.write(http.MethodPut, path, strings.Replace(body, "30", "99", 1)); status != http.StatusNotFound {
			t.Errorf("%s for nobody: %d", path, status)
		}
	}
	if on, set := v.Presence()[301]; on || !set || !v.Recording()[302] {
		t.Errorf("presence %v, recording %v", v.Presence(), v.Recording())
	}
	v.HoldBulkJobs(true)
	status, answer = r.write(http.MethodPost, "/v3.0/leads/bulk", `{"leads":[{"listId":120,"customerKey":"b1"},{"listId":1,"customerKey":"b2"}]}`)
	if job := decode(t, answer); status != http.StatusAccepted || job["uuid"] == "" || job["status"] != "queued" {
		t.Errorf("bulk: %d %s", status, answer)
	}
	if jobs := v.BulkJobs(); len(jobs) != 1 || jobs[0].Leads != 2 || jobs[0].Created != 0 {
		t.Errorf("held: %+v", jobs)
	}
	v.HoldBulkJobs(false)
	if jobs := v.BulkJobs(); jobs[0].Created != 1 {
		t.Errorf("done: %+v", jobs)
	}
	r.wantNoViolations()
}

func TestIPSCAPERemovalOfPersonalData(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Activities: -1, Leads: -1, Posts: -1})
	v, phone := r.IPSCAPE(), "+61400111222"
	v.AddLeads(sandbox.Lead{ID: 1, Phones: []string{"+61400999888", phone}}, sandbox.Lead{ID: 2, DataFields: map[string]any{"email": "pat@example.com"}}, sandbox.Lead{ID: 3})
	v.AddActivities(sandbox.Activity{ID: 1, Source: phone, Recording: &sandbox.Recording{MediaID: 5}}, sandbox.Activity{ID: 2, Source: "+61290001111"})
	v.AddDialAttempts(sandbox.DialAttempt{ID: 1, Phone: phone}, sandbox.DialAttempt{ID: 2})
	status, answer := r.write(http.MethodDelete, "/v3.0/personal-data?phoneNumber=%2B61400111222&emailAddress=PAT@example.com", "")
	text := string(answer)
	for _, want := range []string{`"leadsDeleted":2`, `"activitiesOverwritten":1`, `"callResultsOverwritten":1`, `"voiceRecordingsDeleted":1`, `"emailData":{`} {
		if status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%d %s, want %s", status, text, want)
		}
	}
	if leads := v.Leads(); len(leads) != 1 || leads[0].ID != 3 {
		t.Errorf("left %+v", leads)
	}
	if a := v.Activities()[0]; a.Source == phone || !a.Recording.Deleted || v.DialAttempts()[0].Phone == phone {
		t.Errorf("left %+v", a)
	}
	r.wantNoViolations()
	for _, req := range r.Requests() {
		if strings.Contains(fmt.Sprint(req.Filters), "61400111222") || strings.Contains(fmt.Sprint(req.Filters), "example.com") {
			t.Error("personal data in the request log")
		}
	}
}

func TestIPSCAPEWriteViolations(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 6})
	lead := fmt.Sprintf("/v3.0/leads/%d", r.IPSCAPE().Leads()[0].ID)
	for _, c := range []struct{ method, path, body, text string }{
		{http.MethodPost, "/v3.0/leads", `{"customerKey":"k"}`, "missing required parameter listId"},
		{http.MethodPost, "/v3.0/leads", `{"listId":1}`, "no such list"},
		{http.MethodPost, "/v3.0/leads", `{"listId":"120"}`, "cannot be read"},
		{http.MethodPost, "/v3.0/leads", `{"listId":120,"phone4":"x"}`, "unknown field"},
		{http.MethodPost, "/v3.0/leads", `[]`, "not a JSON object"},
		{http.MethodPost, "/v3.0/leads", ``, "application/json"},
		{http.MethodPost, "/v3.0/leads", `{"listId":120,"agentId":1}`, "no such agent"},
		{http.MethodPost, "/v3.0/leads", `{"listId":120,"nextAttemptTimestamp":"soon"}`, "nextAttemptTimestamp"},
		{http.MethodPut, lead, `{"isCompleted":false}`, "un-completed"},
		{http.MethodPut, lead, `{"listId":1}`, "no such list"},
		{http.MethodPut, lead, `{}`, "without anything to change"},
		{http.MethodPost, "/v3.0/leads/lists", `{"campaignId":12}`, "list without a name"},
		{http.MethodPost, "/v3.0/leads/lists", `{"listName":"x","campaignId":1}`, "unknown campaign"},
		{http.MethodPut, "/v3.0/agents/presence", `{"agentId":301}`, "missing required parameter"},
		{http.MethodPut, "/v3.0/calls/recording", `{"recording":true}`, "missing required parameter"},
		{http.MethodDelete, "/v3.0/personal-data", ``, "neither a phone number"},
		{http.MethodDelete, "/v3.0/personal-data?name=x&emailAddress=y", ``, "unknown parameter name"},
	} {
		before := len(r.Violations())
		if status, _ := r.write(c.method, c.path, c.body); status >= 400 && status != http.StatusBadRequest {
			t.Errorf("%s %s: %d", c.path, c.body, status)
		}
		if after := r.Violations(); len(after) != before+1 || !strings.Contains(after[before], c.text) {
			t.Errorf("%s %s: %q, want %q", c.path, c.body, after[before:], c.text)
		}
	}
	if before := len(r.IPSCAPE().Leads()); before != 120 {
		t.Errorf("%d leads after nothing but refusals", before)
	}
}
