package jobs

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/tracing"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/webhook"
)

// hookReceiver takes webhooks as an owner's server does, answers with what a test says, and keeps those whose signature is good.
type hookReceiver struct {
	*httptest.Server
	t      *testing.T
	secret vendorapi.Secret

	mu     sync.Mutex
	status map[string]int // by a word in the body; 200 otherwise
	got    []string       // bodies that were taken
	asked  int
}

func newHookReceiver(t *testing.T) *hookReceiver {
	t.Helper()
	h := &hookReceiver{t: t, secret: webhook.NewSecret(), status: map[string]int{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hookReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if r.Header.Get("X-Webhook-Signature") != webhook.Sign(h.secret, jobMadeUnix(r), body) || !strings.Contains(string(body), r.Header.Get("X-Webhook-Id")) {
		h.t.Errorf("headers %v of %s", r.Header, body)
	}
	for word, status := range h.status {
		if strings.Contains(string(body), `"`+word+`"`) {
			w.WriteHeader(status)
			return
		}
	}
	h.got = append(h.got, string(body))
}

func jobMadeUnix(r *http.Request) (n int64) {
	for _, c := range r.Header.Get("X-Webhook-Timestamp") {
		n = n*10 + int64(c-'0')
	}
	return n
}

func (h *hookReceiver) answer(word string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.status[word] = status; status == 0 {
		delete(h.status, word)
	}
}

// words returns which of a, b and c came, in order.
func (h *hookReceiver) words() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, body := range h.got {
		_, rest, _ := strings.Cut(body, `"word":"`)
		word, _, _ := strings.Cut(rest, `"`)
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

func (h *hookReceiver) requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

// hookRig is an outbox, its engine and one endpoint.
type hookRig struct {
	*hookReceiver
	db     *store.DB
	clock  *clock
	engine *webhook.Engine
	org    uuid.UUID
	id     uuid.UUID
}

func newHookRig(t *testing.T, edit ...func(*webhook.Config)) *hookRig {
	t.Helper()
	db, c := newTestDB(t)
	org, err := db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &hookRig{hookReceiver: newHookReceiver(t), db: db, clock: c, org: org.ID, id: uuid.New()}
	keys := webhook.NewKeyring(filepath.Join(t.TempDir(), "webhook.key"))
	sealed, keyID, err := keys.Seal(r.secret, r.id[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CreateWebhookEndpoint(t.Context(), org.ID, r.id, r.URL, []string{"lead.created"}, store.SealedSecret{Sealed: sealed, KeyID: keyID}); err != nil {
		t.Fatal(err)
	}
	config := webhook.Config{
		Store: db, Keys: keys, Owner: uuid.New(), Now: c.Now, Log: quiet(),
		Sender: webhook.NewSender(webhook.SenderConfig{
			Guard: &webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Now: c.Now, Timeout: 5 * time.Second,
		}),
		// The clock stands still, so nothing comes due by waiting.
		Settings: webhook.Settings{Linger: time.Nanosecond},
	}
	for _, e := range edit {
		e(&config)
	}
	if r.engine, err = webhook.New(config); err != nil {
		t.Fatal(err)
	}
	return r
}

// order orders a webhook of a subject that holds a word.
func (r *hookRig) order(subject, word string) {
	r.t.Helper()
	_, err := r.db.Pool.Exec(r.t.Context(), `
with event as (
  insert into ops.webhook_events (event_id, org_id, event, subject, data, occurred_at, created_at, dedupe)
  values (gen_random_uuid(), $1, 'lead.created', $3, json_build_object('word', $4::text), $5, $5, gen_random_uuid())
  returning *
)
insert into ops.webhook_deliveries (delivery_id, org_id, endpoint_id, event_id, event, subject, position, next_at, created_at)
select gen_random_uuid(), org_id, $2, event_id, event, subject, position, $5, $5 from event`, r.org, r.id, subject, word, r.clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *hookRig) drain() int {
	r.t.Helper()
	n, err := r.engine.Drain(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestWebhooksAreSentInOrderAndTriedAgain(t *testing.T) {
	t.Parallel()
	r := newHookRig(t)
	r.answer("a1", 500)
	r.order("a", "a1")
	r.order("a", "a2")
	r.order("b", "b1")
	if n := r.drain(); n != 2 || r.words() != "b1" {
		t.Fatalf("%d requests, %q taken: one lead's failure held up another, or let the next of its own pass", n, r.words())
	}
	if n := r.drain(); n != 0 {
		t.Errorf("%d requests before their time", n)
	}
	for _, wait := range []time.Duration{1100 * time.Millisecond, 5500 * time.Millisecond, 33 * time.Second} {
		r.clock.Advance(wait)
		if n := r.drain(); n != 1 {
			t.Errorf("%d requests %v later", n, wait)
		}
	}
	r.answer("a1", 0)
	r.clock.Advance(3 * time.Minute)
	if n := r.drain(); n != 2 || r.words() != "b1 a1 a2" {
		t.Errorf("%d requests, taken %q", n, r.words())
	}
	if n := countOf(t, r.db.Pool, `select count(*) from ops.webhook_attempts where outcome = 'status_5xx' and status = 500`); n != 4 {
		t.Errorf("%d failures in the log", n)
	}
	if n := countOf(t, r.db.Pool, `select count(*) from ops.webhook_deliveries where state <> 'delivered'`); n != 0 {
		t.Errorf("%d not delivered", n)
	}
}

// TestWebhooksAreTraced: each request is a span of ids and words, under what drains; nothing in it says where it went or what it told.
func TestWebhooksAreTraced(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(kept), sdk.WithSampler(sdk.AlwaysSample()))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	tracer := tracing.New(provider)
	r := newHookRig(t, func(c *webhook.Config) { c.Trace = tracer })
	r.answer("Ostrovander", 500)
	r.order("+12127360001", "Ostrovander")
	ctx, job := tracer.Start(t.Context(), "job webhook")
	if n, err := r.engine.Drain(ctx); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	job.End()
	r.answer("Ostrovander", 0)
	r.clock.Advance(time.Minute)
	if n := r.drain(); n != 1 {
		t.Fatal(n)
	}
	var delivery, event string
	if err := r.db.Pool.QueryRow(t.Context(), `select delivery_id::text, event_id::text from ops.webhook_deliveries`).Scan(&delivery, &event); err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	for _, s := range kept.GetSpans() {
		if s.Name != "webhook.send" {
			continue
		}
		told := map[string]string{"status": s.Status.Code.String() + " " + s.Status.Description, "under": fmt.Sprint(s.Parent.IsValid())}
		for _, a := range s.Attributes {
			told[string(a.Key)] = a.Value.String()
		}
		got = append(got, told)
	}
	want := func(attempt, status, outcome, word, under string) map[string]string {
		return map[string]string{
			"trunkline.delivery_id": delivery, "trunkline.event_id": event, "trunkline.endpoint_id": r.id.String(), "trunkline.event": "lead.created",
			"trunkline.attempt": attempt, "http.response.status_code": status, "trunkline.outcome": outcome, "status": word, "under": under,
		}
	}
	if diff := cmp.Diff([]map[string]string{want("1", "500", "status_5xx", "Error status_5xx", "true"), want("2", "200", "ok", "Unset ", "false")}, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// A drain that finds one at work leaves its work to that one.
func TestManyWakeUpsAreOneDrain(t *testing.T) {
	t.Parallel()
	r := newHookRig(t)
	for i := range 40 {
		r.order(string(rune('A'+i)), "x")
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 8 {
		wg.Go(func() {
			n, err := r.engine.Drain(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	wg.Wait()
	if total != 40 || r.requests() != 40 {
		t.Errorf("%d requests counted, %d made", total, r.requests())
	}
}

// What a dead daemon was sending is sent again by the sweeper's wake-up; a stop takes up nothing.
func TestSweeperWakesWebhooks(t *testing.T) {
	t.Parallel()
	w := newSweepWorld(t)
	w.sweep()
	if n := w.jobs("webhook"); n != 0 {
		t.Fatalf("%d jobs for nothing", n)
	}
	org, err := w.DB.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.DB.CreateWebhookEndpoint(t.Context(), org.ID, uuid.New(), "https://hooks.example.com/", []string{"lead.created"}, store.SealedSecret{Sealed: []byte{1}, KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	(&hookRig{hookReceiver: &hookReceiver{t: t}, db: w.DB, clock: w.clock, org: org.ID, id: e.ID}).order("a", "x")
	w.exec(`update ops.webhook_deliveries set lease_until = $1`, w.clock.Now().Add(time.Second))
	w.sweep()
	if n := w.jobs("webhook"); n != 0 {
		t.Errorf("%d jobs for a webhook that is being sent", n)
	}
	w.clock.Advance(2 * time.Second)
	w.sweep()
	w.sweep()
	if n := w.jobs("webhook"); n != 1 {
		t.Errorf("%d jobs for a webhook whose daemon died, want one however often is swept", n)
	}
}

func TestQuiescedEngineSendsNothing(t *testing.T) {
	t.Parallel()
	r := newHookRig(t)
	r.order("a", "a1")
	r.engine.Quiesce()
	if n := r.drain(); n != 0 || r.requests() != 0 {
		t.Errorf("%d requests after the stop", n)
	}
}
