package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestErrorsComeInTheEnvelope(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	bearer := "Bearer " + w.key
	for _, c := range []struct {
		name, method, path, auth string
		status                   int
		code                     string
	}{
		{"unknown path", "GET", "/nothing/here", bearer, 404, codeNotFound},
		{"root", "GET", "/", "", 404, codeNotFound},
		{"no redirect", "POST", "//v1/leads", bearer, 404, codeNotFound},
		{"dots", "GET", "/v1/../v1/leads", bearer, 404, codeNotFound},
		{"wrong method", "DELETE", "/v1/leads", bearer, 405, codeMethodNotAllowed},
		{"wrong method on a receiver", "PUT", "/v1/dialer/convoso/" + w.token, "", 405, codeMethodNotAllowed},
		{"a look at a receiver", "HEAD", "/v1/dialer/convoso/" + w.token, "", 405, ""},
		{"odd method", "BREW", "/healthz", "", 405, codeMethodNotAllowed},
		{"no key", "GET", "/v1/leads", "", 401, codeKeyRequired},
		{"no key for one lead", "GET", "/v1/leads/" + uuid.NewString(), "", 401, codeKeyRequired},
		{"not bearer", "GET", "/v1/leads", "Basic abc", 401, codeKeyInvalid},
		{"empty bearer", "GET", "/v1/leads", "Bearer ", 401, codeKeyInvalid},
		{"no key's form", "GET", "/v1/leads", "Bearer something", 401, codeKeyInvalid},
		{"unknown key", "GET", "/v1/leads", "Bearer lw_abcdef_ghijkl", 401, codeKeyInvalid},
		{"wrong secret", "GET", "/v1/leads", bearer + "x", 401, codeKeyInvalid},
		{"unknown lead", "GET", "/v1/leads/" + uuid.NewString(), bearer, 404, codeNotFound},
		{"no uuid", "GET", "/v1/leads/7001", bearer, 404, codeNotFound},
		{"braces", "GET", "/v1/leads/%7B" + uuid.NewString() + "%7D", bearer, 404, codeNotFound},
		{"injection as id", "GET", "/v1/leads/'%20or%201=1--%00%FF", bearer, 404, codeNotFound},
		{"page 0", "GET", "/v1/leads?page=0", bearer, 422, codeValidation},
		{"page text", "GET", "/v1/leads?page=one", bearer, 422, codeValidation},
		{"negative limit", "GET", "/v1/leads?limit=-1", bearer, 422, codeValidation},
		{"long search", "GET", "/v1/leads?search=" + strings.Repeat("x", 256), bearer, 422, codeValidation},
		{"bad escape", "GET", "/v1/leads?search=%zz", bearer, 400, codeBadRequest},
		{"semicolon", "GET", "/v1/leads?a=1;b=2", bearer, 400, codeBadRequest},
	} {
		got := w.call(c.method, c.path, "", "Authorization", c.auth)
		if got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %d %q, want %d %q", c.name, got.status, got.code(), c.status, c.code)
			continue
		}
		var f failure
		if c.method != http.MethodHead {
			got.decode(t, &f)
			if f.Meta == nil || f.Meta.RequestID == "" || f.Meta.RequestID != got.header.Get("X-Request-Id") || f.Errors[0].Message == "" {
				t.Errorf("%s: incomplete envelope %s", c.name, got.body)
			}
		}
		if got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: content type %q", c.name, got.header.Get("Content-Type"))
		}
		if (c.status == 405) != (got.header.Get("Allow") != "") {
			t.Errorf("%s: Allow is %q", c.name, got.header.Get("Allow"))
		}
	}
	two := w.get("/v1/leads?page=x&limit=y")
	var f failure
	two.decode(t, &f)
	if len(f.Errors) != 2 || f.Errors[0].Detail["field"] != "page" || f.Errors[1].Detail["field"] != "limit" {
		t.Errorf("two fields at fault: %s", two.body)
	}
}

func TestPanicInHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.handle("GET /panic", public, func(http.ResponseWriter, *http.Request) error {
		panic("+15035550142 is in the text")
	})
	w.server.handle("GET /late", public, func(rw http.ResponseWriter, _ *http.Request) error {
		rw.WriteHeader(http.StatusOK)
		_, _ = rw.Write([]byte(`{"data":`))
		panic(errors.New("half an answer"))
	})
	w.start()
	got := w.call("GET", "/panic", "")
	if got.status != 500 || got.code() != codeInternal || strings.Contains(string(got.body), "555") {
		t.Errorf("a panic is answered %d %s", got.status, got.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/late", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("half an answer was taken for a whole one")
	}
	if got := w.call("GET", "/healthz", ""); got.status != 200 {
		t.Errorf("after the panics: %d", got.status)
	}
	log := w.log.String()
	if strings.Contains(log, "15035550142") || !strings.Contains(log, "server_test.go") || !strings.Contains(log, `"status":500`) {
		t.Errorf("the log shows the panic's text, or not where it was: %s", log)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var schema atomic.Pointer[error]
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	w := newWorld(t, func(c *Config) {
		c.Checks = append(c.Checks, Check{Name: "schema", Run: func(context.Context) error {
			if err := schema.Load(); err != nil {
				return *err
			}
			return nil
		}}, Check{Name: "replica", Optional: true, Run: func(context.Context) error { return errors.New("it is away") }})
	}).start()
	if got := w.call("GET", "/readyz", ""); got.status != 200 || !strings.Contains(string(got.body), `"replica":"failed"`) {
		t.Errorf("ready, without what it can do without: %d %s", got.status, got.body)
	}
	if got := w.call("GET", "/v1/status", ""); got.status != 200 || !strings.Contains(string(got.body), `"operational"`) {
		t.Errorf("status: %d %s", got.status, got.body)
	}
	old := errors.New("schema is at 6, canary-77 wanted")
	schema.Store(&old)
	got := w.call("GET", "/readyz", "")
	var answer healthAnswer
	got.decode(t, &answer)
	if got.status != 503 || answer.Checks["schema"] != checkFailed || answer.Checks["database"] != checkOK {
		t.Errorf("old schema: %d %s", got.status, got.body)
	}
	if strings.Contains(string(got.body), "canary") || !strings.Contains(w.log.String(), "schema is at 6") {
		t.Error("the reason belongs in the log and not in the answer")
	}
	if got := w.call("GET", "/v1/status", ""); got.status != 200 || !strings.Contains(string(got.body), `"degraded"`) {
		t.Errorf("status: %d %s", got.status, got.body)
	}
	schema.Store(nil)
	w.server.health.checks = append(w.server.health.checks, Check{Name: "hanging", Run: func(context.Context) error { <-hang; return nil }})
	started := time.Now()
	if got := w.call("GET", "/readyz", ""); got.status != 503 || time.Since(started) > time.Minute {
		t.Errorf("a check that hangs: %d after %s", got.status, time.Since(started))
	}
	w.server.health.checks = w.server.health.checks[:3]
	w.server.SetDraining()
	if got := w.call("GET", "/readyz", ""); got.status != 503 || !strings.Contains(string(got.body), `"serving":"failed"`) {
		t.Errorf("draining: %d %s", got.status, got.body)
	}
	if got := w.call("GET", "/healthz", ""); got.status != 200 {
		t.Errorf("healthz while draining: %d", got.status)
	}
}

func TestReadyzOfReadOnlyServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	w.exec("alter database " + w.db.Pool.Config().ConnConfig.Database + " set default_transaction_read_only = on")
	w.db.Pool.Reset()
	if got := w.call("GET", "/readyz", ""); got.status != 503 {
		t.Errorf("read-only: %d %s", got.status, got.body)
	}
	if got := w.post("", `{"call_log_id":"1","status":"CB"}`); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("a post to a read-only database: %d %s", got.status, got.body)
	}
	if got := w.get("/v1/leads"); got.status != 200 {
		t.Errorf("reading from a read-only database: %d", got.status)
	}
}

func TestOpsRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"on this machine", nil, 200},
		{"localhost", []string{"Host", "localhost:8080"}, 200},
		{"IPv6", []string{"Host", "[::1]:8080"}, 200},
		{"other host name", []string{"Host", "evil.example"}, 403},
		{"looks like loopback", []string{"Host", "127.0.0.1.evil.example"}, 403},
		{"proxied", []string{"X-Forwarded-For", "10.0.0.1"}, 403},
		{"proxied otherwise", []string{"Forwarded", "for=10.0.0.1"}, 403},
		{"proxied host", []string{"X-Forwarded-Host", "x"}, 403},
		{"admin through a proxy", []string{"Forwarded", "for=10.0.0.1", "Authorization", "Bearer " + adminToken}, 200},
		{"wrong token", []string{"Forwarded", "for=10.0.0.1", "Authorization", "Bearer " + adminToken + "x"}, 403},
		{"API key", []string{"Forwarded", "for=10.0.0.1", "Authorization", "Bearer " + w.key}, 403},
	} {
		if got := w.call("GET", "/metrics", "", c.headers...); got.status != c.status {
			t.Errorf("%s: %d, want %d", c.name, got.status, c.status)
		}
	}
	body := string(w.call("GET", "/metrics", "").body)
	for _, want := range []string{
		`trunkline_build_info{go_version="go`, `trunkline_ingest_posts_total{result="accepted"} 0`,
		`trunkline_http_requests_total{code="403",method="GET",route="/metrics"} 7`,
		"trunkline_http_request_duration_seconds_bucket",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestMetricLabelsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	for i := range 50 {
		w.call("GET", fmt.Sprintf("/v1/leads/%d", i), "", "Authorization", "Bearer "+w.key)
		w.call(fmt.Sprintf("M%d", i), fmt.Sprintf("/x%d", i), "")
		w.call("POST", fmt.Sprintf("/v1/dialer/convoso/wrong%d/event%d", i, i), "{}")
	}
	var series int
	for line := range strings.Lines(string(w.call("GET", "/metrics", "").body)) {
		if strings.HasPrefix(line, "trunkline_http_requests_total") {
			series++
		}
	}
	if series != 3 {
		t.Errorf("%d series of requests, want 3", series)
	}
}

func TestSlowBodyAndLargeBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.BodyTimeout = 300 * time.Millisecond }).start()
	path := "/v1/dialer/convoso/" + w.token
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"a\":", path); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	text, err := io.ReadAll(conn) // until the server closes
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 408 ") || !strings.Contains(string(text), codeTimeout) {
		t.Errorf("a body that never ends: %v %q", err, text)
	}

	// What is too large is so before it is late.
	w = newWorld(t, func(c *Config) { c.BodyTimeout = time.Minute }).start()
	path = "/v1/dialer/convoso/" + w.token
	for name, size := range map[string]int{"one byte over": 256<<10 + 1, "10 MB": 10 << 20} {
		got := w.call("POST", path, strings.Repeat("x", size))
		if got.status != 413 || got.code() != codeTooLarge {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	// Without a length, the server learns only on the way.
	endless, writer := io.Pipe()
	go func() {
		for err := error(nil); err == nil; {
			_, err = writer.Write(make([]byte, 32<<10))
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.base+path, endless)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := w.client.Do(req); err != nil || resp.StatusCode != 413 || !resp.Close {
		t.Errorf("endless body: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	_ = endless.Close()
	if n := w.count("select count(*) from ops.inbox"); n != 0 {
		t.Errorf("%d posts were kept", n)
	}
	if got := w.post("", strings.Repeat(" ", 256<<10-40)+`{"call_log_id":"1","status":"CB"}`); got.status != 200 {
		t.Errorf("a body just within the limit: %d %s", got.status, got.body)
	}
}

// A body's time limit must not end the context of the handler that works on it.
func TestBodyTimeoutEndsWithTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.BodyTimeout = time.Second })
	w.server.handle("POST /slow", public, func(rw http.ResponseWriter, r *http.Request) error {
		if _, err := w.server.readBody(rw, r, 1024); err != nil {
			return err
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(2 * time.Second):
			return writeJSON(rw, http.StatusOK, "fine")
		}
	})
	w.start()
	if got := w.call("POST", "/slow", "{}"); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestStopDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.server.handle("GET /held", public, func(rw http.ResponseWriter, _ *http.Request) error {
		close(entered)
		<-leave
		return writeJSON(rw, http.StatusOK, "done")
	})
	w.start()
	result := make(chan int, 1)
	go func() { result <- w.call("GET", "/held", "").status }()
	<-entered
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- w.server.Stop(t.Context()) }()
	<-short.Done()
	select {
	case err := <-stopped:
		t.Fatalf("stopped (%v) while a request was under way", err)
	default:
	}
	close(leave)
	if got := <-result; got != 200 {
		t.Errorf("the request under way got %d", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	select {
	case err := <-w.server.Failed():
		t.Errorf("a stop is told as a failure: %v", err)
	default:
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Config{APIKey: "x"})
	if err == nil {
		t.Fatal("an empty configuration was taken")
	}
	for _, name := range []string{"Log", "Now", "Reads", "Keys", "Intake", "Metrics", "DefaultOrg"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}
