package api

import (
	"fmt"
	"net/http"
	"slices"
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
