package webhook

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

var (
	sentAt  = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	aSecret = NewSecret()
)

func message(url string) Message {
	return Message{
		URL: url, Secret: aSecret, EventID: uuid.MustParse("0191f3a0-0000-7000-8000-000000000009"), Event: "lead.created",
		OccurredAt: sentAt.Add(-time.Minute), Data: json.RawMessage(`{"leadId":"x","businessName":"A & B <c>"}`),
	}
}

func newTestSender(g *Guard, roots *x509.CertPool, timeout time.Duration) *Sender {
	return NewSender(SenderConfig{Guard: g, Now: func() time.Time { return sentAt }, Timeout: timeout, Agent: "test", Roots: roots})
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestSend(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	if result := newTestSender(&Guard{Allow: loopback}, roots, 0).Send(t.Context(), message(server.URL+"/hook")); !result.Delivered() || result.Status != 200 {
		t.Fatalf("result %+v", result)
	}
	if got.Method != http.MethodPost || got.URL.Path != "/hook" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s %v", got.Method, got.URL, got.Header)
	}
	if id := got.Header.Get("X-Webhook-Id"); id != "evt_0191f3a0-0000-7000-8000-000000000009" {
		t.Errorf("id %q", id)
	}
	stamp := strconv.FormatInt(sentAt.Unix(), 10)
	if got.Header.Get("X-Webhook-Timestamp") != stamp || got.Header.Get("X-Webhook-Signature") != Sign(aSecret, sentAt.Unix(), body) {
		t.Errorf("timestamp or signature: %v", got.Header)
	}
	want := `{"id":"evt_0191f3a0-0000-7000-8000-000000000009","event":"lead.created","timestamp":"2026-03-02T08:59:00.000Z",` +
		`"data":{"leadId":"x","businessName":"A \u0026 B \u003cc\u003e"}}`
	if string(body) != want {
		t.Errorf("body %s", body)
	}
}

// What an endpoint can do to us, each with what it counts as.
func TestSendFails(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch what := strings.TrimPrefix(r.URL.Path, "/"); what {
		case "elsewhere":
			elsewhere.Add(1)
		case "slow":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "drip":
			w.Header().Set("Content-Length", "100000")
			w.WriteHeader(200)
			_, _ = w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "cut":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		case "later":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(503)
		default:
			status, _ := strconv.Atoi(what)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}
	}))
	defer server.Close()
	defer close(release)
	s := newTestSender(&Guard{Allow: loopback}, nil, 5*time.Second)
	for path, want := range map[string]Result{
		"301": {OutcomeRedirect, 301, 0}, "307": {OutcomeRedirect, 307, 0}, "308": {OutcomeRedirect, 308, 0},
		"400": {Outcome4xx, 400, 0}, "410": {Outcome4xx, 410, 0}, "500": {Outcome5xx, 500, 0}, "later": {Outcome5xx, 503, 2 * time.Minute},
		"slow": {OutcomeTimeout, 0, 0}, "cut": {OutcomeCut, 0, 0}, "204": {OutcomeOK, 204, 0}, "drip": {OutcomeOK, 200, 0},
	} {
		if got := s.Send(t.Context(), message(server.URL+"/"+path)); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
	for name, c := range map[string]struct {
		guard *Guard
		url   string
		want  string
	}{
		"private address":          {&Guard{}, server.URL, OutcomeAddress},
		"private over TLS":         {&Guard{}, strings.Replace(server.URL, "http:", "https:", 1), OutcomeAddress},
		"a name that points there": {&Guard{}, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), OutcomeAddress},
		"no TLS there":             {&Guard{Allow: loopback}, strings.Replace(server.URL, "http:", "https:", 1), OutcomeTLS},
		"nobody listens":           {&Guard{Allow: loopback}, "http://127.0.0.1:" + freePort(t), OutcomeConnect},
	} {
		if got := newTestSender(c.guard, nil, 5*time.Second).Send(t.Context(), message(c.url)); got.Outcome != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// An endpoint with a certificate that nobody vouches for is no endpoint.
func TestSendChecksCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	if got := newTestSender(&Guard{Allow: loopback}, x509.NewCertPool(), 0).Send(t.Context(), message(server.URL)); got.Outcome != OutcomeTLS {
		t.Errorf("result %+v", got)
	}
}
