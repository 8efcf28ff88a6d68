package otlp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/sync/tracing"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

const canary = "canary-header-0f1e2d3c4b5a"

// begin starts to export to an address.
func begin(t *testing.T, endpoint string) (*Exporter, *lines) {
	t.Helper()
	log := &lines{}
	e, err := Start(t.Context(), Config{
		Endpoint: endpoint, Headers: map[string]string{"x-key": canary}, Service: "trunkline", Version: "v1", Instance: "one",
		Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e, log
}

// TestSpansArrive sends spans to a real receiver and reads what came.
func TestSpansArrive(t *testing.T) {
	t.Parallel()
	requests := make(chan *coltrace.ExportTraceServiceRequest, 16)
	var key, path string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var got coltrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		key, path = r.Header.Get("X-Key"), r.URL.Path
		requests <- &got
	}))
	defer server.Close()
	e, log := begin(t, server.URL+"/in/v1/traces")
	id := uuid.New()
	ctx, walk := e.Tracer().Start(t.Context(), tracing.Walk)
	walk.ID(tracing.WalkID, id)
	_, page := e.Tracer().Start(ctx, tracing.WalkPage)
	page.Count(tracing.Records, 7)
	page.End()
	walk.End()
	e.Stop(t.Context())
	close(requests)
	spans, resource := map[string]string{}, map[string]string{}
	for r := range requests {
		for _, of := range r.GetResourceSpans() {
			for _, a := range of.GetResource().GetAttributes() {
				resource[a.GetKey()] = a.GetValue().GetStringValue()
			}
			for _, scope := range of.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					spans[s.GetName()] = s.String()
				}
			}
		}
	}
	if len(spans) != 2 || !strings.Contains(spans["walk"], id.String()) || !strings.Contains(spans["walk.page"], "trunkline.records") {
		t.Errorf("there came %v", spans)
	}
	if key != canary || path != "/in/v1/traces" {
		t.Errorf("came to %s with key %q", path, key)
	}
	if resource["service.name"] != "trunkline" || resource["service.version"] != "v1" || resource["service.instance.id"] != "one" || resource["host.name"] != "" {
		t.Errorf("the collector is told %v", resource)
	}
	if log.all() != "" {
		t.Errorf("the log has %s", log.all())
	}
}

// TestCollectorHangs: a collector that takes everything and answers nothing holds up neither who makes spans nor a stop, and the
// log has neither its address nor our key.
func TestCollectorHangs(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	e, log := begin(t, server.URL+"/secret-path/v1/traces")
	// Ten times what may wait to be sent.
	for range 20_000 {
		_, span := e.Tracer().Start(t.Context(), tracing.WalkPage)
		span.End()
	}
	stop, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	e.Stop(stop)
	if text := log.all(); !strings.Contains(text, "it took too long") || strings.Contains(text, canary) || strings.Contains(text, "secret-path") {
		t.Errorf("the log has %s", text)
	}
}

// failing is an exporter that does as it is told.
type failing struct{ err error }

func (f *failing) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return f.err }

func (f *failing) Shutdown(context.Context) error { return nil }

// TestComplaintsAreBounded has a collector fail and come back all the time, for an hour: the log hears of it once a minute.
func TestComplaintsAreBounded(t *testing.T) {
	t.Parallel()
	log, now := &lines{}, time.Unix(1_700_000_000, 0)
	inner := &failing{}
	b := &bounded{SpanExporter: inner, log: slog.New(slog.NewTextHandler(log, nil)), now: func() time.Time { return now }}
	away := &url.Error{Op: "Post", URL: "https://collector.example/secret-path", Err: errors.New("connection refused")}
	for i := range 3600 {
		now = now.Add(time.Second)
		if inner.err = nil; i%3 > 0 {
			inner.err = away
		}
		if err := b.ExportSpans(t.Context(), make([]sdk.ReadOnlySpan, 2)); err != nil {
			t.Fatal(err)
		}
	}
	text := log.all()
	warned, again := strings.Count(text, "level=WARN"), strings.Count(text, "level=INFO")
	if warned < 55 || warned > 61 || again > warned || again < 55 {
		t.Errorf("%d warnings and %d ends of them in an hour", warned, again)
	}
	if strings.Contains(text, "secret-path") || !strings.Contains(text, "connection refused") || !strings.Contains(text, "spans_lost=") {
		t.Errorf("the log has %.400s", text)
	}
}

// TestLibrarysWords: what OpenTelemetry's library says of its environment goes to the log without what it quotes.
func TestLibrarysWords(t *testing.T) {
	t.Parallel()
	log := &lines{}
	h := slog.New(wordsOnly{slog.NewTextHandler(log, nil)})
	h.With("input", canary).WithGroup("g").Error("parse headers", "input", canary)
	h.Info("of no interest")
	if text := log.all(); strings.Contains(text, canary) || strings.Contains(text, "of no interest") || !strings.Contains(text, "parse headers") {
		t.Errorf("the log has %s", text)
	}
}
