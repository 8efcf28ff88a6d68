package ipscape

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

const testToken = "tok/en+s3cret=value~x"

// rig is a client, the server it speaks to, and what it logged.
type rig struct {
	*Client
	mu  sync.Mutex
	log bytes.Buffer
	// asked are the requests' URIs.
	asked []string
}

// Write collects the log.
func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *rig) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.asked...)
}

// newRig starts a server; change may alter the client's settings.
func newRig(t *testing.T, handler http.HandlerFunc, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, req.URL.RequestURI())
		r.mu.Unlock()
		handler(w, req)
	}))
	// Requests that hang must not hold up the end of the test.
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	r.Client = newTestClient(t, srv.URL, r, change...)
	return r
}

func newTestClient(t *testing.T, base string, log io.Writer, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: base + "/platform-api", Token: testToken, AuthPrefix: "Bearer ", Timeout: time.Minute, IdleTimeout: time.Minute}
	for _, f := range change {
		f(&cfg)
	}
	client, err := NewClient(cfg, vendorapi.Client{
		HTTP: vendorapi.NewHTTP(),
		Now:  time.Now,
		Log:  slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.api.HTTP.CloseIdleConnections)
	return client
}

func answerJSON(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}
}

// collect is an Emit that keeps the items.
func collect(items *[]string) Emit {
	return func(raw json.RawMessage, bad *ItemError) error {
		if bad != nil {
			*items = append(*items, bad.Reason)
			return nil
		}
		*items = append(*items, string(raw))
		return nil
	}
}

func discard(json.RawMessage, *ItemError) error { return nil }
