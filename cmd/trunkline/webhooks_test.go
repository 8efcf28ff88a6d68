package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/webhook"
)

// hooked keeps the events of webhooks by lead, in the order in which they came, and fails while down.
type hooked struct {
	t  *testing.T
	mu sync.Mutex
	// events are names by subject, down refuses them all.
	events map[string][]string
	ids    map[string]int
	down   bool
}

func (h *hooked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var e struct {
		ID, Event string
		Data      struct{ LeadID string }
	}
	if err := json.Unmarshal(body, &e); err != nil {
		h.t.Error(err)
	}
	var stamp int64
	_, _ = fmt.Sscan(r.Header.Get("X-Webhook-Timestamp"), &stamp)
	if age := time.Since(time.Unix(stamp, 0)); age > 5*time.Minute || r.Header.Get("X-Webhook-Signature") != webhook.Sign("whsec_test", stamp, body) {
		h.t.Errorf("signature of a delivery %v old: %v", age, r.Header)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if h.ids[e.ID]++; h.ids[e.ID] == 1 {
		h.events[e.Data.LeadID] = append(h.events[e.Data.LeadID], e.Event)
	}
}

// TestWebhooksOut subscribes over the API, lets vendors bring about leads and calls, and kills the daemon in between: each lead
// is told of once, first that it came to be and then what became of it.
func TestWebhooksOut(t *testing.T) {
	t.Parallel()
	h := &hooked{t: t, events: map[string][]string{}, ids: map[string]int{}, down: true}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	r := newRig(t, emptied(19), map[string]string{"TRUNKLINE_WEBHOOK_ALLOW_CIDRS": "127.0.0.0/8", "TRUNKLINE_API_KEY": "the key of this test"})
	d := r.serve(nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url()+"/v1/app-webhooks",
		strings.NewReader(`{"url": "`+server.URL+`", "events": ["lead.created", "lead.status_changed"], "secret": "whsec_test"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer the key of this test")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("subscribing: %v, %v", resp, err)
	}
	_ = resp.Body.Close()

	r.box.IPSCAPE().AddLeads(youngLeads(1, 5)...)
	eventually(t, 3*time.Minute, func() string {
		if one[int](r, `select count(*) from ops.webhook_attempts`) == 0 {
			return "a webhook to fail"
		}
		return ""
	})
	d.kill()
	h.mu.Lock()
	h.down = false
	h.mu.Unlock()
	r.serve(nil)
	r.box.IPSCAPE().AddLeads(youngLeads(6, 3)...)
	eventually(t, 3*time.Minute, func() string {
		h.mu.Lock()
		defer h.mu.Unlock()
		if n := one[int](r, `select count(*) from ops.webhook_deliveries where state = 'pending'`); n > 0 || len(h.events) < 8 {
			return fmt.Sprintf("8 leads to be told of, not %d; %d deliveries are pending", len(h.events), n)
		}
		return ""
	})
	h.mu.Lock()
	for lead, events := range h.events {
		if events[0] != "lead.created" || strings.Count(strings.Join(events, " "), "lead.created") != 1 {
			t.Errorf("lead %s was told of as %v", lead, events)
		}
	}
	h.mu.Unlock()

	// By command: what there is, one once more, and all of them.
	var endpoints []endpointRow
	list := r.command("webhooks", "list", "--json")
	if err := json.Unmarshal([]byte(list.stdout), &endpoints); err != nil || len(endpoints) != 1 || endpoints[0].State != "active" || len(endpoints[0].Deliveries) < 8 {
		t.Fatalf("%v: %v", err, list)
	}
	if strings.Contains(list.stdout, "whsec_test") {
		t.Error("the list shows the secret")
	}
	again := endpoints[0].Deliveries[0]
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"webhooks", "resend", again.DeliveryID.String()}, 0, "1 delivery ordered\n"},
		{[]string{"webhooks", "resend", again.EventID}, 0, "1 delivery ordered\n"},
		{[]string{"webhooks", "resend", "evt_0191f3a0-0000-7000-8000-000000000001"}, 1, ""},
		{[]string{"webhooks", "resend", "x"}, 2, ""},
		{[]string{"webhooks", "recover", endpoints[0].EndpointID}, 2, ""},
		{[]string{"webhooks", "recover", endpoints[0].EndpointID, "--since", "2026-01-01"}, 0, "0 deliveries ordered\n"},
	} {
		if got := r.command(c.args...); got.code != c.code || got.code == 0 && got.stdout != c.out {
			t.Errorf("%v: %v", c.args, got)
		}
	}
	eventually(t, 3*time.Minute, func() string {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.ids[again.EventID] < 2 {
			return "the event to come once more"
		}
		return ""
	})
	// The event that was sent again keeps its id; whoever remembers ids takes it once.
	if status := r.command("status"); !bytes.Contains([]byte(status.stdout), []byte("webhooks: endpoints 1, failing 0, switched off 0; ")) {
		t.Errorf("status: %v", status)
	}
}
