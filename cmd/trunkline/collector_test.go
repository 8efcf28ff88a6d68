package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is a receiver of traces.
type collector struct {
	testing.TB
	url string

	mu    sync.Mutex
	raw   strings.Builder
	keys  map[string]bool
	spans []*tracepb.Span
}

func newCollector(t testing.TB) *collector {
	c := &collector{TB: t, keys: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got coltrace.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("the collector got something at %s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		c.keys[r.Header.Get("X-Collector-Key")] = true
		for _, of := range got.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// named returns the spans whose name begins so.
func (c *collector) named(prefix string) (list []*tracepb.Span) {
	for _, s := range c.spans {
		if s.GetName() == prefix || strings.HasSuffix(prefix, " ") && strings.HasPrefix(s.GetName(), prefix) {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		c.Errorf("no span %q came", prefix)
	}
	return list
}

// parent is the name of the span that a span is under.
func (c *collector) parent(s *tracepb.Span) string {
	for _, p := range c.spans {
		if string(p.GetSpanId()) == string(s.GetParentSpanId()) && string(p.GetTraceId()) == string(s.GetTraceId()) {
			return p.GetName()
		}
	}
	return ""
}

func attribute(s *tracepb.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			if v := a.GetValue().GetStringValue(); v != "" {
				return v
			}
			return fmt.Sprint(a.GetValue().GetIntValue())
		}
	}
	return ""
}

// under checks that every span of a name is under one of another.
func (c *collector) under(name string, parents ...string) {
	c.Helper()
	for _, s := range c.named(name) {
		if p := c.parent(s); !slices.Contains(parents, p) {
			c.Errorf("%s is under %q, not under %q", name, p, parents)
			return
		}
	}
}

// known checks that the ids that spans tell are rows of a table.
func (c *collector) known(r *rig, name, key, ids string) {
	c.Helper()
	rows := list[string](r, ids)
	for _, s := range c.named(name) {
		if id := attribute(s, key); !slices.Contains(rows, id) {
			c.Errorf("%s has %s %q, which is not among the %d there are", name, key, id, len(rows))
			return
		}
	}
}
