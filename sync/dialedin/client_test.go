package dialedin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

const (
	token = "7d1f0e2a-44b1-4c55-9a10-5e1d2c3b4a59/+"
	accID = "brokerage-canary"
)

func lead() pipeline.LeadView {
	return pipeline.LeadView{
		ID: "5c0f8a52-8f0e-4f3a-9d7e-1f2a3b4c5d6e", Phone: "+13055550123", SecondPhone: "+12125550188",
		FirstName: "Zebulon", LastName: "Quackenbush", BusinessName: "Birch Hill Bakery LLC", Email: "zeb@birch.example",
		Address: "12 Canary Row", City: "Miami", State: "FL", PostalCode: "33101", Industry: "Food", MonthlyRevenue: "42000.50",
		RequestedAmount: "60000", Priority: "urgent", Source: "api", Timezone: "America/New_York",
		Custom: map[string]string{"loanPurpose": "second oven"}, Tags: []string{"hot", "web"},
	}
}

// vendor is a real server that answers as told and keeps what it was asked.
type vendor struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
}

type seen struct {
	method, uri, contentType string
	form                     url.Values
}

func newVendor(t *testing.T, answer http.HandlerFunc) *vendor {
	t.Helper()
	v := &vendor{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		v.mu.Lock()
		v.requests = append(v.requests, seen{r.Method, r.RequestURI, r.Header.Get("Content-Type"), form})
		v.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) seen() []seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]seen(nil), v.requests...)
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// gate counts what it is told.
type gate struct {
	mu                        sync.Mutex
	limited, denied, accepted int
	refuse                    error
}

func (*gate) Recheck(context.Context) error { return nil }

func (g *gate) Wait(context.Context, vendorapi.Lane) error { return g.refuse }

func (g *gate) Limited(context.Context, time.Duration) { g.count(&g.limited) }
func (g *gate) Denied(ctx context.Context) {
	if ctx.Err() == nil {
		g.count(&g.denied)
	}
}
func (g *gate) Accepted(context.Context, time.Time) { g.count(&g.accepted) }

func (g *gate) count(n *int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*n++
}

func (g *gate) wasDenied() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.denied > 0
}

func config(base string) dialedin.Config {
	c := dialedin.Defaults()
	c.BaseURL, c.Token, c.AccID, c.Campaign, c.Timeout = base+"/HttpImport", token, accID, "Spring", 5*time.Second
	return c
}

func base() vendorapi.Client {
	return vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

func newClient(t *testing.T, c dialedin.Config, b vendorapi.Client) *dialedin.Client {
	t.Helper()
	client, err := dialedin.NewClient(c, b)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func vendorError(t *testing.T, err error) *vendorapi.Error {
	t.Helper()
	v, ok := errors.AsType[*vendorapi.Error](err)
	if !ok {
		t.Fatalf("error %v (%T) is no vendorapi.Error", err, err)
	}
	return v
}

func form(t *testing.T, v *vendor) url.Values {
	t.Helper()
	requests := v.seen()
	if len(requests) != 1 {
		t.Fatalf("%d requests, want 1", len(requests))
	}
	r := requests[0]
	if r.method != http.MethodPost || r.contentType != "application/x-www-form-urlencoded" || strings.Contains(r.uri, "?") {
		t.Errorf("request %s %s (%s), want a POST form without query", r.method, r.uri, r.contentType)
	}
	return r.form
}

// Wrong credentials told by text pause the account like those told by status.
func TestCredentialTextDeniesTheAccount(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, *dialedin.Client) error{
		"insert": func(ctx context.Context, c *dialedin.Client) error {
			outcome, err := c.Insert(ctx, lead())
			if outcome.State != pipeline.OutcomeDenied {
				return fmt.Errorf("outcome %+v", outcome)
			}
			return err
		},
		"search": func(ctx context.Context, c *dialedin.Client) error {
			_, _, err := c.Search(ctx, "x")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, g := newVendor(t, answer(200, "<br>Result:  Invalid token or accid\n")), &gate{}
			b := base()
			b.Gate = g
			err := ask(t.Context(), newClient(t, config(v.URL), b))
			if vendorapi.KindOf(err) != vendorapi.Denied || !g.wasDenied() {
				t.Errorf("error %v, gate %+v", err, g)
			}
		})
	}
}
