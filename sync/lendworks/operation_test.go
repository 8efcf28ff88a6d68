package lendworks_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// TestCallEveryOperation runs each operation as an operator would, by the contract's names.
func TestCallEveryOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lead := w.AddLead(map[string]any{"businessName": "Typed In LLC", "email": "typed@in.example", "phone": "+12127370001"})
	run := map[string]struct {
		args map[string]string
		want string // in the answer
	}{
		"list_leads":       {map[string]string{"search": "typed", "page": "1"}, `"hasMore":false`},
		"get_lead":         {map[string]string{"id": lead}, `"Typed In LLC"`},
		"create_lead":      {map[string]string{"businessName": "New LLC", "tags": "a, b", "customFields": `{"note":"x"}`, "idempotencyKey": "once-1"}, `"confirmed"`},
		"update_lead":      {map[string]string{"id": lead, "contactFirstName": "Ana", "email": "null"}, `"confirmed"`},
		"post_event":       {map[string]string{"externalCallId": "c1", "userId": user, "leadId": lead, "eventType": "call_ended", "durationSeconds": "7", "metadata": `{"q":1}`, "occurredAt": "2026-03-02T10:00:00+01:00"}, `"confirmed"`},
		"post_presence":    {map[string]string{"userId": user, "status": "on_call", "currentCallId": "c1"}, `"confirmed"`},
		"post_disposition": {map[string]string{"externalCallId": "c1", "userId": user, "disposition": "interested", "notes": "second oven", "occurredAt": "2026-03-02T10:00:00Z"}, `"confirmed"`},
		"list_agents":      {nil, `"on_call"`},
	}
	for _, op := range lendworks.Described() {
		c, ok := run[op.Name]
		if !ok {
			t.Errorf("%s is not run", op.Name)
			continue
		}
		if op.Name == "list_agents" {
			continue // last: it tells what presence did
		}
		raw, err := w.client.Call(t.Context(), strings.ToUpper(op.Name), c.args)
		if err != nil || !strings.Contains(string(raw), c.want) {
			t.Errorf("%s: %s, %v", op.Name, raw, err)
		}
	}
	if raw, err := w.client.Call(t.Context(), "list agents", nil); err != nil || !strings.Contains(string(raw), "on_call") {
		t.Errorf("list_agents: %s, %v", raw, err)
	}
	for _, l := range w.Leads() {
		if a := l.Attributes; l.ID == lead && (a["contactFirstName"] != "Ana" || a["email"] != nil || a["businessName"] != "Typed In LLC") {
			t.Errorf("after the change: %v", a)
		}
	}
	told := w.Told()
	if len(told) != 2 || told[0].Body["occurredAt"] != "2026-03-02T09:00:00Z" || told[0].Body["durationSeconds"] != float64(7) || told[1].Body["notes"] != "second oven" {
		t.Errorf("told: %+v", told)
	}
	// The same key makes the same lead.
	var first, again vendorapi.Report
	for _, into := range []*vendorapi.Report{&first, &again} {
		raw, err := w.client.Call(t.Context(), "create_lead", map[string]string{"businessName": "Twice LLC", "idempotencyKey": "once-2"})
		if err != nil || json.Unmarshal(raw, into) != nil {
			t.Fatalf("%s, %v", raw, err)
		}
	}
	if first.ExternalID == "" || first.ExternalID != again.ExternalID || first.Reference != "once-2" {
		t.Errorf("with one key: %+v and %+v", first, again)
	}
	w.lawful()
}

// TestCheckCall finds what is wrong before anything is sent, and quotes no value.
func TestCheckCall(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		op   string
		args map[string]string
	}{
		"no operation":                 {"delete_lead", nil},
		"id: is missing":               {"get_lead", nil},
		"no field to change":           {"update_lead", map[string]string{"id": "1"}},
		"priority: must be":            {"create_lead", map[string]string{"priority": "Quackenbush"}},
		"customFields: is no JSON":     {"create_lead", map[string]string{"customFields": "[Quackenbush]"}},
		"occurredAt: is no RFC 3339":   {"post_disposition", map[string]string{"externalCallId": "c", "userId": user, "disposition": "x", "occurredAt": "Quackenbush"}},
		"durationSeconds: is no whole": {"post_event", map[string]string{"externalCallId": "c", "userId": user, "eventType": "hold", "durationSeconds": "-1", "occurredAt": "2026-03-02T10:00:00Z"}},
		"idempotencyKey: must be":      {"create_lead", map[string]string{"idempotencyKey": "a b"}},
		"no argument stageID":          {"update_lead", map[string]string{"id": "1", "stageID": "2"}},
	} {
		if err := lendworks.CheckCall(c.op, c.args); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Quackenbush") {
			t.Errorf("%s %v: %v, want %q", c.op, c.args, err, want)
		}
	}
}

// TestCallReportsWhatBecameOfIt: an unknown outcome is told beside an error that shows nothing secret.
func TestCallReportsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorLendWorks, Op: sandbox.OpUpdateLendWorksLead, Kind: sandbox.FaultStatus, Status: 500, Body: "Quackenbush said no"})
	raw, err := w.client.Call(t.Context(), "update_lead", map[string]string{"id": "1", "contactLastName": "Quackenbush"})
	var report vendorapi.Report
	if err == nil || json.Unmarshal(raw, &report) != nil || report.State == "confirmed" || report.Reference == "" {
		t.Errorf("%s, %v", raw, err)
	}
	if text := string(raw) + err.Error(); strings.Contains(text, "Quackenbush") {
		t.Errorf("shows a name: %s", text)
	}
}
