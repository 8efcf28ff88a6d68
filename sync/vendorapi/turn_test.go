package vendorapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// turnstile counts those who waited, and turns away all of them when it has an error.
type turnstile struct {
	waited atomic.Int64
	err    error
}

func (g *turnstile) Wait(context.Context, Lane) error {
	g.waited.Add(1)
	return g.err
}

func (*turnstile) Limited(context.Context, time.Duration) {}
func (*turnstile) Denied(context.Context)                 {}
func (*turnstile) Accepted(context.Context)               {}

func TestTurnIsForOneRequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	c, gate := testClient(t, server.URL), &turnstile{}
	c.Gate = gate
	ask := func(ctx context.Context, lane Lane) {
		if _, err := c.Do(ctx, Request{Op: "push", Method: http.MethodPost, Path: "/", Push: true, Lane: lane}); err != nil {
			t.Error(err)
		}
	}
	ctx, err := c.Turn(t.Context(), Live)
	if err != nil || gate.waited.Load() != 1 {
		t.Fatalf("waited %d times, %v", gate.waited.Load(), err)
	}
	ask(ctx, Backfill)
	if n := gate.waited.Load(); n != 2 {
		t.Errorf("a request in another lane: waited %d times, want 2", n)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { ask(ctx, Live) })
	}
	all.Wait()
	if n := gate.waited.Load(); n != 11 {
		t.Errorf("ten requests with one turn waited %d times, want 9", n-2)
	}
	other := *c
	other.Vendor = "other"
	ctx, err = c.Turn(t.Context(), Live)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Do(ctx, Request{Op: "push", Method: http.MethodPost, Path: "/", Push: true, Lane: Live}); err != nil || gate.waited.Load() != 13 {
		t.Errorf("another vendor's request: waited %d times, want 13, %v", gate.waited.Load(), err)
	}
}

func TestTurnFailsAsTheGateDoes(t *testing.T) {
	t.Parallel()
	c := testClient(t, "http://127.0.0.1:1")
	if ctx, err := c.Turn(t.Context(), Live); err != nil || ctx != t.Context() {
		t.Errorf("without a gate: %v", err)
	}
	c.Gate = &turnstile{err: &Error{Kind: Denied, After: MaxWait}}
	_, err := c.Turn(t.Context(), Live)
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Denied || e.After != MaxWait {
		t.Errorf("error = %v", err)
	}
}
