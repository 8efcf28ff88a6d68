package main

import (
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestTraces runs a whole daemon with a collector: the four ways come out as spans that hang together, with ids that exist, and
// nothing secret or personal is among their bytes.
func TestTraces(t *testing.T) {
	t.Parallel()
	const apiKey, collectorKey = "env-api-key-3f9c1b7de2a84650", "collector-key-9b1c4d2e8f70"
	c := newCollector(t)
	r := newRig(t, sandbox.Options{Seed: 41, Activities: 20, Leads: 12, Posts: 12}, map[string]string{
		"TRUNKLINE_API_KEY": apiKey, "OTEL_EXPORTER_OTLP_ENDPOINT": c.url, "OTEL_BSP_SCHEDULE_DELAY": "200",
		"OTEL_EXPORTER_OTLP_HEADERS": "x-collector-key=" + collectorKey,
	})
	d := r.serve(nil)
	r.post(d)
	r.box.IPSCAPE().AddLeads(youngLeads(1, 4)...)
	r.settled(2 * time.Minute)
	h := haul{}
	for _, path := range []string{"/v1/leads?search=Ostrovander00001", "/v1/leads/" + apiKey, "/healthz", "/readyz", "/v1/dialer/convoso/" + r.env["CONVOSO_ORG_TOKEN"] + "x"} {
		h.get(t, "GET", d.url()+path, apiKey, "")
	}
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitDone {
		t.Fatalf("the daemon ended with %d", code)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keys) != 1 || !c.keys[collectorKey] {
		t.Errorf("requests came with the keys %v", c.keys)
	}
	c.polls(r)
	c.posts(r)
	c.deliveries(r)
	c.under("reconcile.batch", "job reconcile")
	folded := 0
	for _, s := range c.named("reconcile.batch") {
		var n int
		_, _ = fmt.Sscan(attribute(s, "trunkline.records"), &n)
		folded += n
	}
	if folded == 0 {
		t.Error("batches of the fold have no records")
	}
	for _, s := range c.spans {
		if strings.Contains(s.GetName(), "healthz") || strings.Contains(s.GetName(), "readyz") {
			t.Errorf("there is a span %s", s.GetName())
		}
	}
	c.clean(r, apiKey, collectorKey)
	t.Logf("%d spans in %d bytes", len(c.spans), c.raw.Len())
}

func (c *collector) polls(r *rig) {
	c.Helper()
	c.under("walk", "job walk")
	c.under("walk.page", "walk")
	c.under("walk.fetch", "walk.page")
	c.under("walk.decode", "walk.page")
	c.under("walk.commit", "walk")
	c.known(r, "walk", "trunkline.walk_id", `select id::text from ops.walks`)
	c.known(r, "walk.commit", "trunkline.walk_id", `select id::text from ops.walks`)
	pages := map[string]bool{}
	for _, s := range c.named("walk.page") {
		pages[string(s.GetSpanId())] = true
		if attribute(s, "trunkline.source") == "" || attribute(s, "trunkline.stream") == "" {
			c.Errorf("a page tells %v", s.GetAttributes())
		}
	}
	for _, s := range c.named("walk.commit") {
		if len(s.GetLinks()) == 0 || !pages[string(s.GetLinks()[0].GetSpanId())] {
			c.Error("a commit links to no page")
		}
	}
}

func (c *collector) posts(r *rig) {
	c.Helper()
	c.known(r, "post.commit", "trunkline.inbox_id", `select id::text from ops.inbox`)
	traces := map[string]bool{}
	for _, s := range c.named("post.commit") {
		if p := c.parent(s); !strings.HasPrefix(p, "POST /v1/dialer/convoso/{orgToken}") {
			c.Errorf("a post is under %q", p)
		}
		if attribute(s, "trunkline.outcome") != "accepted" || attribute(s, "trunkline.source") != "convoso" {
			c.Errorf("a post tells %v", s.GetAttributes())
		}
		traces[string(s.GetTraceId())] = true
	}
	for _, job := range []string{"job inbox", "job reconcile"} {
		// The drain goes on in the trace of the post that woke it, and the fold in that of the drain.
		if !slices.ContainsFunc(c.named(job), func(s *tracepb.Span) bool { return traces[string(s.GetTraceId())] }) {
			c.Errorf("no %s is in the trace of a post", job)
		}
	}
}

func (c *collector) deliveries(r *rig) {
	c.Helper()
	c.known(r, "delivery", "trunkline.delivery_id", `select id::text from ops.deliveries`)
	for _, part := range []string{"delivery.decide", "delivery.send", "delivery.settle"} {
		c.under(part, "delivery")
	}
	c.under("vendor.request", "walk.fetch", "delivery.send", "delivery.search", "job deliver", "job refetch", "job campaign_stats", "job drift", "job walk")
	confirmed := map[string]bool{}
	for _, s := range c.named("delivery") {
		if attribute(s, "trunkline.state") == "confirmed" {
			confirmed[attribute(s, "trunkline.destination")] = true
		}
	}
	if !confirmed["dialedin"] || !confirmed["convolo"] {
		c.Errorf("confirmed deliveries went to %v", confirmed)
	}
}

// clean looks for secrets, in every spelling, and for people's data in all that the collector got.
func (c *collector) clean(r *rig, more ...string) {
	c.Helper()
	raw := c.raw.String()
	hidden := slices.Clone(more)
	for _, name := range []string{
		"IPSCAPE_TOKEN", "DIALEDIN_TOKEN", "DIALEDIN_ACCID", "CONVOLO_API_KEY", "CONVOLO_WIDGET_KEY", "CONVOSO_ORG_TOKEN", "LENDWORKS_API_KEY", "LENDWORKS_WEBHOOK_SECRET",
	} {
		hidden = append(hidden, r.env[name])
	}
	// Addresses, with what stands in their paths and queries.
	hidden = append(hidden, strings.TrimPrefix(r.server.URL(), "http://"), "Ostrovander", "HttpImport", "search=", "select ", "SELECT ")
	for i := 1; i <= 4; i++ {
		hidden = append(hidden, strings.TrimPrefix(youngPhone(i), "+1"))
	}
	for _, l := range r.box.IPSCAPE().Leads() {
		for _, phone := range l.Phones {
			hidden = append(hidden, strings.TrimPrefix(strings.TrimPrefix(phone, "+1"), "+"))
		}
		if l.DataFields != nil {
			hidden = append(hidden, fmt.Sprint(l.DataFields["firstName"], " ", l.DataFields["lastName"]), fmt.Sprint(l.DataFields["email"]), fmt.Sprint(l.DataFields["businessName"]))
		}
	}
	for _, text := range hidden {
		if len(text) < 7 {
			c.Fatalf("%q is too short to be looked for", text)
		}
		if form, ok := found(raw, text); ok {
			at := strings.Index(raw, form)
			c.Errorf("%q shows in the traces: …%q[here]", text, raw[max(0, at-80):at])
		}
	}
	// The search would find what is there, as an id of a walk is, and what came is text that can be searched.
	id := attribute(c.named("walk")[0], "trunkline.walk_id")
	if _, ok := found(raw, id); !ok {
		c.Error("the search finds nothing at all")
	}
}

// TestTracesAreOff: without OpenTelemetry's variables, or with those that switch it off, nothing is begun.
func TestTracesAreOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		on      bool
		to      string
	}{
		"nothing set":        {},
		"a name alone":       {environ: []string{"OTEL_SERVICE_NAME=x", "OTEL_EXPORTER_OTLP_HEADERS=a=b"}},
		"none":               {environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_TRACES_EXPORTER=none"}},
		"disabled":           {environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_SDK_DISABLED=true"}},
		"an endpoint":        {environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1/in/"}, on: true, to: "http://127.0.0.1:1/in/v1/traces"},
		"a whole address":    {environ: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://c.example/in", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}, on: true, to: "https://c.example/in"},
		"the exporter alone": {environ: []string{"OTEL_TRACES_EXPORTER=otlp"}, on: true, to: "http://localhost:4318/v1/traces"},
	} {
		got, err := loadConfig(c.environ)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Tracing.on() != c.on || c.on && got.Tracing.collector() != c.to {
			t.Errorf("%s: on %t, to %s", name, got.Tracing.on(), got.Tracing.collector())
		}
		if c.on {
			continue
		}
		d := &daemon{cfg: got}
		if err := d.buildTraces(t.Context()); err != nil || d.trace.On() || d.traces != nil {
			t.Errorf("%s: %v, a tracer %t", name, err, d.trace.On())
		}
		d.stopTraces(t.Context())
	}
	var goroutines strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&goroutines, 1); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(goroutines.String(), "go.opentelemetry.io") {
		t.Error("OpenTelemetry's library is at work")
	}
	for _, c := range []struct{ variable, value string }{
		{"OTEL_TRACES_EXPORTER", "zipkin"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:word@c.example"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "canary-without-a-name"},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "canary-without-a-name"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"},
	} {
		_, err := loadConfig([]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1", c.variable + "=" + c.value})
		if err == nil || !faulty(err)[c.variable] || strings.Contains(err.Error(), c.value) && c.value != "grpc" {
			t.Errorf("%s=%s: %v", c.variable, c.value, err)
		}
	}
}
