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
	// since is what became of the account after the turn was taken.
	since error
}

func (g *turnstile) Recheck(context.Context) error { return g.since }

func (g *turnstile) Wait(context.Context, Lane) error {
	g.waited.Add(1)
	return g.err
}

func (*turnstile) Limited(context.Context, time.Duration) {}
func (*turnstile) Denied(context.Context)                 {}
func (*turnstile) Accepted(context.Context, time.Time)    {}

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

// TestTurnIsWorthNothingOncePaused has the account paused, denied or unreadable between turn and request: nothing is sent, and
// the error says so.
func TestTurnIsWorthNothingOncePaused(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	for want, since := range map[Kind]error{
		Limited: &Error{Kind: Limited, After: MaxWait}, Denied: &Error{Kind: Denied, After: MaxWait}, Transient: errors.New("the database is away"),
	} {
		c, gate := testClient(t, server.URL), &turnstile{}
		c.Gate = gate
		ctx, err := c.Turn(t.Context(), Live)
		if err != nil {
			t.Fatal(err)
		}
		gate.since = since
		_, err = c.Do(ctx, Request{Op: "push", Method: http.MethodPost, Path: "/", Push: true, Lane: Live})
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != want || e.Sent {
			t.Errorf("%v: %v", want, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests left", n)
	}
}
