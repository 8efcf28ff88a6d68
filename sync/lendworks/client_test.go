package lendworks_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

const (
	apiKey = "lw_abc12_Se/cret+Canary77"
	user   = "e5f6g7h8-0000-4000-a000-000000000001"
)

func view() pipeline.LeadView {
	return pipeline.LeadView{
		ID: "0197a1c2-5b1e-7c3a-9d5e-111213141516", Phone: "+13055550123", FirstName: "Ana", LastName: "Quackenbush", BusinessName: "Birch <b>Hill</b> Bakery",
		Email: "ana@birchhill.example", Industry: "Food", MonthlyRevenue: "42000", RequestedAmount: "60000.50", Priority: "high", Source: "dialer",
		Tags: []string{"convoso"}, Custom: map[string]string{"note": "second oven"},
	}
}

// gate remembers what it was told.
type gate struct {
	mu      sync.Mutex
	limited []time.Duration
	denied  int
}

func (*gate) Recheck(context.Context) error { return nil }

func (g *gate) Wait(context.Context, vendorapi.Lane) error { return nil }

func (g *gate) Limited(_ context.Context, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limited = append(g.limited, wait)
}

func (g *gate) Denied(context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denied++
}

func (g *gate) Accepted(context.Context, time.Time) {}

func newClient(t *testing.T, url, key string, g vendorapi.Gate, log *slog.Logger) *lendworks.Client {
	t.Helper()
	c := lendworks.Defaults()
	c.BaseURL, c.Key, c.Timeout = url, vendorapi.Secret(key), 5*time.Second
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	client, err := lendworks.NewClient(c, vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: log, Gate: g})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func body() map[string]any {
	b, _ := lendworks.LeadBody(view(), true)
	return b
}

// world is the client against the simulator that the whole program is tested with.
type world struct {
	*sandbox.LendWorks
	t      *testing.T
	box    *sandbox.Sandbox
	client *lendworks.Client
	gate   *gate
	clock  time.Time
	mu     sync.Mutex
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, gate: &gate{}, clock: time.Now()}
	w.box = sandbox.New(sandbox.Options{Seed: 7, Activities: -1, Leads: -1, Posts: -1, Now: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.clock
	}})
	w.LendWorks = w.box.LendWorks()
	server := httptest.NewServer(w.box.Handler())
	t.Cleanup(server.Close)
	env := w.box.Env(server.URL)
	w.client = newClient(t, env["LENDWORKS_BASE_URL"], env["LENDWORKS_API_KEY"], w.gate, nil)
	return w
}

func (w *world) expect(step string, o pipeline.Outcome, err error, state pipeline.OutcomeState, reason string) {
	w.t.Helper()
	if o.State != state || o.Reason != reason || (err == nil) != (state == pipeline.OutcomeConfirmed) {
		w.t.Errorf("%s: outcome %+v, error %v; want %s %q", step, o, err, state, reason)
	}
}

func (w *world) lawful() {
	w.t.Helper()
	if wrong := w.box.Violations(); len(wrong) > 0 {
		w.t.Errorf("the contract was broken: %q", wrong)
	}
}

// Whatever becomes of an answer, a request that is repeated with its key makes one lead, and its id is told.
func TestLeadIsCreatedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, fault := range []sandbox.Fault{
		{Kind: sandbox.FaultCutBefore},
		{Kind: sandbox.FaultCutAfter},
		{Kind: sandbox.FaultHang},
		{Kind: sandbox.FaultStatus},
		{Kind: sandbox.FaultStatus, Status: 503, Effect: true},
		{Kind: sandbox.FaultBadGateway, Effect: true},
		{Kind: sandbox.FaultLoginPage},
		{Kind: sandbox.FaultEmpty, Effect: true},
		{Kind: sandbox.FaultTruncated},
		{Kind: sandbox.FaultWrongLength},
		{Kind: sandbox.FaultErrorJSON},
	} {
		fault.Vendor, fault.Op = sandbox.VendorLendWorks, sandbox.OpCreateLendWorksLead
		w.box.Faults().Add(fault)
		key := lendworks.KeyOf("insert_lead", fmt.Sprint(i))
		o, err := w.client.CreateLead(t.Context(), key, body())
		// A cut on a connection that was used before is repeated at once by net/http, which knows the key for what it is.
		repeated := fault.Kind == sandbox.FaultCutBefore || fault.Kind == sandbox.FaultCutAfter
		if o.State != pipeline.OutcomeUnknown && !repeated || (err == nil) != (o.State == pipeline.OutcomeConfirmed) || vendorapi.KindOf(err) == vendorapi.Unknown {
			t.Errorf("%s: outcome %+v, error %v", fault.Kind, o, err)
		}
		o, err = w.client.CreateLead(t.Context(), key, body())
		w.expect(string(fault.Kind)+", again", o, err, pipeline.OutcomeConfirmed, "")
		if leads := w.Leads(); len(leads) != i+1 || leads[i].ID != o.ExternalID {
			t.Fatalf("%s: %d leads of %d, told %q", fault.Kind, len(leads), i+1, o.ExternalID)
		}
	}
	if n := w.Replayed(); n < 7 {
		t.Errorf("%d answers told again, want 7 or more", n)
	}
	w.lawful()
}

func TestOperations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	o, err := w.client.CreateLead(ctx, "lead-1", body())
	w.expect("create", o, err, pipeline.OutcomeConfirmed, "")
	got, err := w.client.GetLead(ctx, o.ExternalID, vendorapi.Live)
	var attributes map[string]any
	if err != nil || got.ID != o.ExternalID || json.Unmarshal(got.Attributes, &attributes) != nil || attributes["businessName"] != "Birch Hill Bakery" ||
		attributes["source"] != "dialer" || attributes["customFields"].(map[string]any)[lendworks.CustomLeadID] != view().ID {
		t.Errorf("get: %s %s %v", got.ID, got.Attributes, err)
	}
	change, _ := lendworks.LeadBody(pipeline.LeadView{ID: view().ID, FirstName: "Anna"}, false)
	u, err := w.client.UpdateLead(ctx, "update-1", o.ExternalID, change)
	w.expect("update", u, err, pipeline.OutcomeConfirmed, "")
	u, err = w.client.UpdateLead(ctx, "update-2", "absent/../x", change)
	w.expect("update of nobody", u, err, pipeline.OutcomeRejected, lendworks.ReasonNotFound)
	if _, err := w.client.GetLead(ctx, "absent", vendorapi.Live); vendorapi.KindOf(err) != vendorapi.Refused {
		t.Errorf("get of nobody: %v", err)
	}
	at := time.Date(2025, 6, 3, 10, 0, 0, 0, time.FixedZone("", 3600))
	o, err = w.client.PostEvent(ctx, "evt-1", lendworks.CallEvent{ExternalCallID: "c1", UserID: user, LeadID: o.ExternalID, EventType: "call_ended", OccurredAt: at})
	w.expect("event", o, err, pipeline.OutcomeConfirmed, "")
	o, err = w.client.PostDisposition(ctx, "disp-1", lendworks.Disposition{ExternalCallID: "c1", UserID: user, Disposition: "callback", OccurredAt: at})
	w.expect("disposition", o, err, pipeline.OutcomeConfirmed, "")
	if told := w.Told(); len(told) != 2 || told[0].Body["occurredAt"] != "2025-06-03T09:00:00Z" {
		t.Errorf("told %v", told)
	}
	o, err = w.client.SetPresence(ctx, lendworks.Presence{UserID: user, Status: "on_call"})
	w.expect("presence", o, err, pipeline.OutcomeConfirmed, "")
	agents, err := w.client.ListAgents(ctx, "", 1, vendorapi.Live)
	if err != nil || len(agents.Data) != 2 || !strings.Contains(string(agents.Data[0]), `"status":"on_call"`) {
		t.Errorf("agents %s %v", agents.Data, err)
	}
	list, err := w.client.ListLeads(ctx, 1, "birch", vendorapi.Live)
	if err != nil || len(list.Data) != 1 || list.Meta.HasMore || list.AskedAt.IsZero() || list.VendorTime.IsZero() {
		t.Errorf("list %+v %v", list, err)
	}
	w.lawful()
	// Ours to prevent, theirs to refuse.
	o, err = w.client.CreateLead(ctx, "has a blank", body())
	w.expect("bad key", o, err, pipeline.OutcomeRejected, "bad_request")
	o, err = w.client.CreateLead(ctx, "bad-1", map[string]any{"email": "x", "priority": "huge"})
	w.expect("bad fields", o, err, pipeline.OutcomeRejected, lendworks.ReasonInvalid)
	o, err = w.client.SetPresence(ctx, lendworks.Presence{UserID: user, Status: "asleep"})
	w.expect("bad presence", o, err, pipeline.OutcomeRejected, lendworks.ReasonInvalid)
}

func TestLimitsAndKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.SetLimits(0, -1)
	o, err := w.client.CreateLead(ctx, "k1", body())
	w.expect("rate", o, err, pipeline.OutcomeLimited, "limited")
	w.SetLimits(100, 0)
	o, err = w.client.CreateLead(ctx, "k1", body())
	w.expect("quota", o, err, pipeline.OutcomeLimited, lendworks.ReasonQuota)
	if v, ok := errors.AsType[*vendorapi.Error](err); !ok || v.After != 24*time.Hour {
		t.Errorf("quota: %v", err)
	}
	w.SetLimits(100, -1)
	if len(w.gate.limited) != 2 || w.gate.limited[1] != 24*time.Hour || w.gate.limited[0] > time.Hour {
		t.Errorf("the account was told to wait %v", w.gate.limited)
	}
	w.SetLevel("read")
	o, err = w.client.CreateLead(ctx, "k1", body())
	w.expect("level", o, err, pipeline.OutcomeDenied, lendworks.ReasonForbidden)
	if w.gate.denied != 0 {
		t.Error("a key that may only read was taken for a wrong one: reads would stop")
	}
	w.SetLevel("full")
	for i, code := range []string{"API_KEY_REVOKED", "API_KEY_EXPIRED"} {
		w.Refuse(code)
		o, err = w.client.CreateLead(ctx, "k1", body())
		w.expect(code, o, err, pipeline.OutcomeDenied, "credentials")
		if w.gate.denied != i+1 {
			t.Errorf("%s: the account is not denied", code)
		}
	}
	w.Refuse("")
	// A day later the key is new again: that is why nothing is repeated for longer.
	for range 2 {
		o, err = w.client.CreateLead(ctx, "k1", body())
		w.expect("create", o, err, pipeline.OutcomeConfirmed, "")
		w.mu.Lock()
		w.clock = w.clock.Add(25 * time.Hour)
		w.mu.Unlock()
	}
	if n := len(w.Leads()); n != 2 {
		t.Errorf("%d leads", n)
	}
	// The same key at the same time: one of them waits.
	conflict := sandbox.Fault{Vendor: sandbox.VendorLendWorks, Kind: sandbox.FaultStatus, Status: 409, Body: `{"errors":[{"code":"IDEMPOTENCY_CONFLICT"}]}`}
	w.box.Faults().Add(conflict)
	o, err = w.client.CreateLead(ctx, "k2", body())
	w.expect("conflict", o, err, pipeline.OutcomeLimited, lendworks.ReasonProcessing)
	w.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorLendWorks, Kind: sandbox.FaultStatus, Status: 409, Body: `{"errors":[{"code":"CONFLICT"}]}`})
	o, err = w.client.CreateLead(ctx, "k2", body())
	w.expect("exists", o, err, pipeline.OutcomeRejected, lendworks.ReasonExists)
}

// Every status has one meaning, and nothing secret or personal comes out of any.
func TestEveryStatusAndNoSecret(t *testing.T) {
	t.Parallel()
	var status int
	var echo string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://[::1/?k="+apiKey)
		w.WriteHeader(status)
		fmt.Fprint(w, echo)
	}))
	t.Cleanup(server.Close)
	v := view()
	canaries := []string{
		apiKey, hex.EncodeToString([]byte(apiKey)), base64.StdEncoding.EncodeToString([]byte(apiKey)), v.Phone, "3055550123", v.LastName, "QUACKENBUSH",
		v.Email, "Birch Hill Bakery", "second oven", v.ID,
	}
	for i := range canaries {
		echo = strings.Join(append(canaries[i:len(canaries):len(canaries)], canaries[:i]...), " | ")
		for status = 200; status < 600; status++ {
			if i > 0 && status%100 > 30 {
				continue
			}
			var log bytes.Buffer
			client := newClient(t, server.URL, apiKey, nil, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			o, err := client.CreateLead(t.Context(), "k", body())
			getErr := errors.New("not asked")
			if status < 500 && status != 408 && status/100 != 3 { // those are asked again after a pause
				_, getErr = client.ListLeads(t.Context(), 1, "", vendorapi.Live)
			}
			want := pipeline.OutcomeRejected
			switch {
			case status == 301 || status == 302 || status == 303 || status == 307 || status == 308:
				want = pipeline.OutcomeUnknown // where to cannot be read, and with it what the answer was
			case status/100 == 2 || status >= 500 || status == 408:
				want = pipeline.OutcomeUnknown
			case status == 429:
				want = pipeline.OutcomeLimited
			case status/100 == 3 || status == 401 || status == 403 || status == 404 || status == 405 || status == 410:
				want = pipeline.OutcomeDenied
			}
			if o.State != want || err == nil || getErr == nil {
				t.Fatalf("status %d: outcome %+v, errors %v, %v; want %s", status, o, err, getErr, want)
			}
			out := fmt.Sprintf("%+v %v %+v %s", o, err, err, log.String())
			for _, c := range canaries {
				if strings.Contains(out, c) {
					t.Fatalf("status %d: %q came out: %s", status, c, out)
				}
			}
			for _, c := range canaries[:3] {
				if strings.Contains(fmt.Sprint(getErr), c) {
					t.Fatalf("status %d: %q came out of a read: %v", status, c, getErr)
				}
			}
			if i > 0 && status%100 > 5 {
				status += 20
			}
		}
	}
	rendered := fmt.Sprint(newClient(t, server.URL, apiKey, nil, nil).RenderCreate("key-1", body()))
	if strings.Contains(rendered, apiKey) || strings.Contains(rendered, v.Phone) || !strings.Contains(rendered, "key-1") {
		t.Errorf("rendered: %s", rendered)
	}
}

func TestLeadBody(t *testing.T) {
	t.Parallel()
	long := view()
	long.BusinessName, long.Email, long.MonthlyRevenue, long.Priority, long.Source = strings.Repeat("é", 300), "not an address", "1,000", "huge", "convoso"
	got, notes := lendworks.LeadBody(long, true)
	if n := len([]rune(got["businessName"].(string))); n != 255 || got["email"] != nil || got["monthlyRevenue"] != nil || got["priority"] != nil || got["source"] != "api" {
		t.Errorf("body %v", got)
	}
	if len(notes) != 4 || strings.Contains(fmt.Sprint(notes), "not an address") {
		t.Errorf("notes %q", notes)
	}
	if got, _ := lendworks.LeadBody(pipeline.LeadView{ID: "x"}, false); len(got) != 1 || got["source"] != nil {
		t.Errorf("an update of nothing: %v", got)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]lendworks.Config{
		"LENDWORKS_BASE_URL": {BaseURL: "ftp://hidden", Key: "k", Timeout: 1}, "LENDWORKS_API_KEY": {BaseURL: "https://x", Key: "hid\nden", Timeout: 1},
		"LENDWORKS_TIMEOUT": {BaseURL: "https://x", Key: "k"},
	} {
		_, err := lendworks.NewClient(c, vendorapi.Client{})
		if err == nil || !strings.HasPrefix(err.Error(), name+": ") || strings.Contains(err.Error(), "hid") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
