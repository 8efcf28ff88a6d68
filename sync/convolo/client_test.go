package convolo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

const (
	widgetKey = "38a7f82ff7f9934294af18b05ae2df38"
	apiKey    = "canary+api/key=42"
	path      = "/rest/v1/ext/add_call_api/"
	ref       = "0f9c7a52-1111-4222-8333-444455556666"
)

func lead() pipeline.LeadView {
	return pipeline.LeadView{
		ID: "lead-1", Phone: "+15035550142", SecondPhone: "+15035550190", FirstName: "Zebulon", LastName: "Quackenbush",
		Email: "zeb@birch.example", BusinessName: "Birch Hill Bakery LLC",
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
	body                     map[string]any
}

func newVendor(t *testing.T, answer http.HandlerFunc) *vendor {
	t.Helper()
	v := &vendor{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body map[string]any
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Errorf("body is no JSON object: %v", err)
		}
		v.mu.Lock()
		v.requests = append(v.requests, seen{r.Method, r.RequestURI, r.Header.Get("Content-Type"), body})
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

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func config(base string) convolo.Config {
	c := convolo.Defaults()
	c.URL, c.WidgetKey, c.APIKey, c.Timeout = base+path, widgetKey, apiKey, 5*time.Second
	return c
}

func base() vendorapi.Client {
	return vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

func newClient(t *testing.T, c convolo.Config, b vendorapi.Client) *convolo.Client {
	t.Helper()
	client, err := convolo.NewClient(c, b)
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

func TestTransport(t *testing.T) {
	t.Parallel()
	hang := newVendor(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cut := newVendor(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	half := newVendor(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"success":true}`)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	for name, tc := range map[string]struct {
		url  string
		sent *vendor
	}{
		"accepted, then silent": {hang.URL, hang}, "accepted, then cut": {cut.URL, cut}, "good status, then cut": {half.URL, half},
		"refused": {"http://" + listener.Addr().String(), nil},
	} {
		c := config(tc.url)
		c.Timeout = 3 * time.Second
		outcome, err := newClient(t, c, base()).StartCall(t.Context(), ref, lead(), nil)
		e := vendorError(t, err)
		if tc.sent == nil {
			if outcome.State != pipeline.OutcomeNotSent || e.Sent || e.Kind != vendorapi.Transient {
				t.Errorf("%s: outcome %+v, error %+v", name, outcome, e)
			}
			continue
		}
		if outcome.State != pipeline.OutcomeUnknown || outcome.Reason != "answer_cut" || !e.Sent || e.Kind != vendorapi.Unknown {
			t.Errorf("%s: outcome %+v, error %+v", name, outcome, e)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: an unknown outcome wraps a context error", name)
		}
		if n := len(tc.sent.seen()); n != 1 {
			t.Errorf("%s: sent %d times", name, n)
		}
	}
}

func TestStoppedBeforeSending(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "application/json", `{}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	outcome, err := newClient(t, config(v.URL), base()).StartCall(ctx, ref, lead(), nil)
	if outcome.State != pipeline.OutcomeNotSent || !errors.Is(err, context.Canceled) || len(v.seen()) != 0 {
		t.Errorf("outcome %+v, error %v", outcome, err)
	}
}
