package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// readLimit bounds what a test reads of one answer.
const readLimit = 16 << 20

// clock is a settable clock.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 10, 15, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is one served sandbox with what a client of it needs.
type rig struct {
	*sandbox.Sandbox
	t      *testing.T
	clock  *clock
	server *sandbox.Server
	env    map[string]string
	client *http.Client
}

func start(t *testing.T, opt sandbox.Options) *rig {
	t.Helper()
	c := newClock()
	opt.Now = c.Now
	box := sandbox.New(opt)
	server, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{
		Sandbox: box, t: t, clock: c, server: server, env: box.Env(server.URL()),
		client: &http.Client{
			Transport: transport, Timeout: 10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// try sends one ipSCAPE read and gives status, body and the error of reading it.
func (r *rig) try(path string, query url.Values) (int, []byte, error) {
	address := r.env["IPSCAPE_BASE_URL"] + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.env["IPSCAPE_TOKEN"])
	return r.send(req)
}

func (r *rig) send(req *http.Request) (int, []byte, error) {
	res, err := r.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, readLimit))
	return res.StatusCode, body, err
}

// get wants a 200 with JSON.
func (r *rig) get(path string, query url.Values) map[string]any {
	r.t.Helper()
	status, body, err := r.try(path, query)
	if err != nil || status != http.StatusOK {
		r.t.Fatalf("GET %s: status %d, error %v, body %.200s", path, status, err, body)
	}
	return decode(r.t, body)
}

func decode(t *testing.T, body []byte) map[string]any {
	t.Helper()
	out := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("not a JSON object: %v in %.200s", err, body)
	}
	return out
}

// cursorOf takes the cursor out of a page's nextUri, "" at the end of a walk.
func cursorOf(t *testing.T, page map[string]any) string {
	t.Helper()
	metadata, _ := page["metadata"].(map[string]any)
	next, _ := metadata["nextUri"].(string)
	if next == "" {
		return ""
	}
	u, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("cursor")
}

// walk reads a list to its end.
func (r *rig) walk(path string, query url.Values) []any {
	r.t.Helper()
	var out []any
	cursor := ""
	for range 10_000 {
		q := url.Values{}
		for k, v := range query {
			q[k] = v
		}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		page := r.get(path, q)
		out = append(out, page["items"].([]any)...)
		if cursor = cursorOf(r.t, page); cursor == "" {
			return out
		}
	}
	r.t.Fatal("walk without end")
	return nil
}

func (r *rig) wantViolation(text string) {
	r.t.Helper()
	for _, v := range r.Violations() {
		if strings.Contains(v, text) {
			return
		}
	}
	r.t.Errorf("no violation %q among %q", text, r.Violations())
}

func (r *rig) wantNoViolations() {
	r.t.Helper()
	if got := r.Violations(); len(got) > 0 {
		r.t.Errorf("violations: %q", got)
	}
}
