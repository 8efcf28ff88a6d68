package ipscape

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestListRequest(t *testing.T) {
	t.Parallel()
	brisbane := time.FixedZone("", 10*3600)
	from := time.Date(2024, 3, 2, 10, 0, 0, 999, brisbane)
	to := time.Date(2024, 3, 2, 11, 0, 0, 1, brisbane)
	tests := []struct {
		name  string
		ask   ListRequest
		alone bool
		want  url.Values
	}{
		{"nothing", ListRequest{}, false, url.Values{}},
		{"bounds", ListRequest{From: from, To: to}, false, url.Values{
			"uploadedTimestampFrom": {"2024-03-02T00:00:00Z"}, "uploadedTimestampTo": {"2024-03-02T01:00:01Z"},
		}},
		{"whole seconds", ListRequest{To: to.Truncate(time.Second)}, false, url.Values{"uploadedTimestampTo": {"2024-03-02T01:00:00Z"}}},
		{"filters", ListRequest{Filters: map[string]string{"campaignId": "12", "listId": "", "cursor": "x"}}, false, url.Values{"campaignId": {"12"}}},
		{"cursor", ListRequest{From: from, Cursor: "a+b/c=&d"}, false, url.Values{"uploadedTimestampFrom": {"2024-03-02T00:00:00Z"}, "cursor": {"a+b/c=&d"}}},
		{"cursor alone", ListRequest{From: from, Cursor: "c", Filters: map[string]string{"a": "b"}}, true, url.Values{"cursor": {"c"}}},
		{"no cursor, alone", ListRequest{From: from}, true, url.Values{"uploadedTimestampFrom": {"2024-03-02T00:00:00Z"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var header http.Header
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				header = req.Header
				answerJSON(`{"items":[]}`)(w, req)
			}, func(c *Config) {
				c.CursorAlone = tt.alone
				c.ExtraHeaders = map[string]string{"x-organisation": "Acme Finance"}
			})
			page, err := r.ListLeads(t.Context(), tt.ask, nil, discard)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(r.requests()[0])
			if err != nil || u.Path != "/platform-api/v3.0/leads" {
				t.Errorf("path %q, %v", u.Path, err)
			}
			if diff := cmp.Diff(tt.want, u.Query()); diff != "" {
				t.Error(diff)
			}
			if header.Get("Authorization") != "Bearer "+testToken || header.Get("X-Organisation") != "Acme Finance" || header.Get("Accept") != "application/json" {
				t.Errorf("headers %v", header)
			}
			if page.AskedAt.IsZero() || page.AskedAt.Location() != time.UTC || page.VendorTime.IsZero() {
				t.Errorf("page %+v", page)
			}
		})
	}
}

func TestListWalk(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"":   `{"metadata":{"nextUri":"/v3.0/activities?cursor=p2"},"items":[{"n":1},{"n":2}]}`,
		"p2": `{"items":[],"metadata":{"nextUri":"/platform-api/v3.0/activities?cursor=p3"}}`,
		"p3": `{"metadata":{"nextUri":null},"items":[{"n":3}]}`,
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header()["Date"] = nil
		answerJSON(pages[req.URL.Query().Get("cursor")])(w, req)
	})
	var items, nexts []string
	ask := ListRequest{From: time.Unix(1709337600, 0)}
	for {
		page, err := r.ListActivities(t.Context(), ask, func(cursor string) { nexts = append(nexts, cursor) }, collect(&items))
		if err != nil {
			t.Fatal(err)
		}
		if !page.VendorTime.IsZero() {
			t.Errorf("a vendor time without a Date header: %v", page.VendorTime)
		}
		if page.Next == "" {
			break
		}
		ask.Cursor = page.Next
	}
	if want := []string{`{"n":1}`, `{"n":2}`, `{"n":3}`}; !cmp.Equal(items, want) {
		t.Errorf("items %v", items)
	}
	if !cmp.Equal(nexts, []string{"p2", "p3"}) {
		t.Errorf("cursors %v", nexts)
	}
	for i, uri := range r.requests() {
		if !strings.Contains(uri, "createdTimestampFrom=2024-03-02T00%3A00%3A00Z") || strings.Contains(uri, "cursor=&") || (i == 0) == strings.Contains(uri, "cursor") {
			t.Errorf("request %d was %s", i, uri)
		}
	}
}

// The next page must be known while this one is still being sent.
func TestNextIsToldEarly(t *testing.T) {
	t.Parallel()
	known := make(chan string, 1)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		answerJSON(`{"metadata":{"nextUri":"/v3.0/activities?cursor=p2"},"items":[{"n":1}`)(w, req)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-known:
		case <-req.Context().Done():
		}
		_, _ = io.WriteString(w, `]}`)
	})
	page, err := r.ListActivities(t.Context(), ListRequest{}, func(cursor string) { known <- cursor }, discard)
	if err != nil || page.Next != "p2" || page.Items != 1 {
		t.Errorf("page %+v, %v", page, err)
	}
}

// Every status has one verdict, with and without a cursor. Of those that are tried again, which takes a while, there are a few.
func TestEveryStatus(t *testing.T) {
	t.Parallel()
	verdicts := map[int]vendorapi.Kind{
		204: vendorapi.Malformed, // a list that answers nothing is no empty list
		401: vendorapi.Denied, 403: vendorapi.Denied, 429: vendorapi.Limited,
	}
	for status := 200; status < 500; status++ {
		if _, ok := verdicts[status]; !ok && status >= 300 {
			verdicts[status] = vendorapi.Refused
		} else if !ok {
			verdicts[status] = 0
		}
	}
	for _, status := range []int{408, 500, 501, 502, 503, 504, 507, 529, 599} {
		verdicts[status] = vendorapi.Transient
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		status, _ := strconv.Atoi(req.URL.Query().Get("status"))
		if id, ok := strings.CutPrefix(req.URL.Path, "/platform-api/v3.0/leads/"); ok {
			status, _ = strconv.Atoi(id)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"items":[],"leadId":%d}`, status)
	})
	for status, want := range verdicts {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			filters := map[string]string{"status": strconv.Itoa(status)}
			_, err := r.ListActivities(t.Context(), ListRequest{Cursor: "c", Filters: filters}, nil, discard)
			if vendorapi.KindOf(err) != want || (want == 0) != (err == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
			if refused := status == 400 || status == 410 || status == 422; errors.Is(err, ErrCursorRefused) != refused {
				t.Errorf("cursor refused is %v", !refused)
			}
			if e, ok := errors.AsType[*vendorapi.Error](err); ok && want != vendorapi.Malformed && e.Status != status {
				t.Errorf("status %d in %v", e.Status, err)
			}
			if e, ok := errors.AsType[*vendorapi.Error](err); ok && want == vendorapi.Limited && e.After != 7*time.Second {
				t.Errorf("told to wait %v", e.After)
			}
			if want == vendorapi.Transient {
				return
			}
			if _, err = r.ListActivities(t.Context(), ListRequest{Filters: filters}, nil, discard); vendorapi.KindOf(err) != want || errors.Is(err, ErrCursorRefused) {
				t.Errorf("without a cursor: %v", err)
			}
			_, _, err = r.GetLead(t.Context(), strconv.Itoa(status), "")
			if gone := status == 404 || status == 410; vendorapi.KindOf(err) != want || errors.Is(err, ErrNotFound) != gone {
				t.Errorf("get: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		if strings.Contains(strings.Join(r.requests(), " "), "elsewhere") {
			t.Error("a redirect was followed")
		}
	})
}

// Informational answers come before the real one and change nothing.
func TestInformationalStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{100, 102, 103, 199} {
		r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(status)
			answerJSON(`{"items":[1]}`)(w, req)
		})
		if page, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard); err != nil || page.Items != 1 {
			t.Errorf("%d: %+v, %v", status, page, err)
		}
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	login := `<!DOCTYPE html><html><body>Please log in, ` + testToken + `, call +61 400 111 222 or pat@example.com. ` + strings.Repeat("padding ", 100) + `</body></html>`
	send := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    vendorapi.Kind
		text    string
	}{
		{"login page", send("text/html; charset=utf-8", login), vendorapi.Malformed, "Please log in"},
		{"login page that says it is JSON", send("application/json", login), vendorapi.Malformed, "Please log in"},
		{"JSON that says it is HTML", send("text/html", `{"items":[]}`), vendorapi.Malformed, "content type"},
		{"a list without its envelope", send("application/json", `[]`), vendorapi.Malformed, "JSON object"},
		{"nothing", send("application/json", ``), vendorapi.Malformed, "empty"},
		{"an error in JSON", send("application/json", `{"error":"Maintenance for Pat Ng","code":5}`), vendorapi.Malformed, `"error code"`},
		{"broken JSON", send("application/json", `{"items":[}]`), vendorapi.Malformed, "missing"},
		{"truncated", send("application/json", `{"items":[{"a":1},{"b"`), vendorapi.Transient, "broke off"},
		{"foreign host", send("application/json", `{"metadata":{"nextUri":"https://evil.example/v3.0/leads?cursor=c"},"items":[]}`), vendorapi.Refused, "another host"},
		{"fewer bytes than promised", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answerJSON(`{"items":[]}`)(w, req)
		}, vendorapi.Transient, "broke off"},
		{"cut", func(w http.ResponseWriter, req *http.Request) {
			answerJSON(`{"items":[{"a":1},`)(w, req)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, vendorapi.Transient, "broke off"},
		{"not the gzip it says", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			answerJSON(`{"items":[]}`)(w, req)
		}, vendorapi.Transient, "broke off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.handler)
			_, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard)
			e, ok := errors.AsType[*vendorapi.Error](err)
			if !ok || e.Kind != tt.kind || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v, want %v with %q", err, tt.kind, tt.text)
			}
			if e.Vendor != "ipscape" || e.Op != OpListLeads || e.Status != http.StatusOK || len(e.Detail) > 200 {
				t.Errorf("error %#v", e)
			}
			for _, private := range []string{"400 111", "pat@", "Pat", testToken} {
				if strings.Contains(err.Error(), private) {
					t.Errorf("%q is in %v", private, err)
				}
			}
		})
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	pack := func(write func(io.Writer)) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
				http.Error(w, "no gzip", http.StatusNotAcceptable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			write(z)
			_ = z.Close()
		}
	}
	r := newRig(t, pack(func(w io.Writer) { _, _ = io.WriteString(w, `{"items":[1,2]}`) }))
	if page, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard); err != nil || page.Items != 2 {
		t.Errorf("%+v, %v", page, err)
	}
	bomb := newRig(t, pack(func(w io.Writer) {
		_, _ = io.WriteString(w, `{"x":"`)
		blanks := bytes.Repeat([]byte(" "), 1<<16)
		for range 1 << 8 {
			_, _ = w.Write(blanks)
		}
		_, _ = io.WriteString(w, `","items":[]}`)
	}))
	bomb.limits.page = 1 << 20
	_, err := bomb.ListLeads(t.Context(), ListRequest{}, nil, discard)
	if vendorapi.KindOf(err) != vendorapi.Malformed || !errors.Is(err, errPageTooLarge) {
		t.Errorf("bomb: %v", err)
	}
}

func TestHugeItem(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		answerJSON(`{"items":[{"n":1},{"x":"`)(w, req)
		for range maxItemBytes >> 16 {
			_, _ = io.WriteString(w, strings.Repeat("y", 1<<16))
		}
		_, _ = io.WriteString(w, `"},{"n":3}]}`)
	})
	var good, bad []string
	page, err := r.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, e *ItemError) error {
		if e == nil {
			good = append(good, string(raw))
			return nil
		}
		if e.Reason != ReasonTooLarge || len(raw) != maxItemHead || !bytes.HasPrefix(raw, []byte(`{"x":"yyy`)) {
			t.Errorf("%v with %d bytes", e, len(raw))
		}
		bad = append(bad, e.Error())
		return nil
	})
	if err != nil || page.Items != 3 || len(bad) != 1 || !cmp.Equal(good, []string{`{"n":1}`, `{"n":3}`}) {
		t.Errorf("page %+v, good %v, bad %v, %v", page, good, bad, err)
	}
}

func TestEmitError(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"items":[1,2,3]}`))
	full := errors.New("disk full")
	page, err := r.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, _ *ItemError) error {
		if string(raw) == "2" {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || vendorapi.KindOf(err) != 0 || page.Items != 2 {
		t.Errorf("page %+v, %v", page, err)
	}
}

// drip sends one byte every interval, for ever.
func drip(interval time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		answerJSON(`{"items":[`)(w, req)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-ticker.C:
			case <-req.Context().Done():
				return
			}
		}
	}
}

func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	stall := drip(time.Hour)
	tests := []struct {
		name          string
		handler       http.HandlerFunc
		timeout, idle time.Duration
		cause         error
	}{
		{"stalls", stall, time.Minute, 50 * time.Millisecond, errIdle},
		{"drips past the deadline", drip(5 * time.Millisecond), 150 * time.Millisecond, time.Minute, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.handler, func(c *Config) { c.Timeout, c.IdleTimeout = tt.timeout, tt.idle })
			_, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard)
			if vendorapi.KindOf(err) != vendorapi.Transient || !errors.Is(err, tt.cause) || errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Time spent on the items is not time the vendor was silent.
func TestSlowEmitIsNotIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"items":[1`+strings.Repeat(" ", 3*scanBuffer)+`,2]}`), func(c *Config) { c.IdleTimeout = time.Second })
	page, err := r.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, _ *ItemError) error {
		if string(raw) == "1" {
			<-time.After(1500 * time.Millisecond)
		}
		return nil
	})
	if err != nil || page.Items != 2 {
		t.Errorf("page %+v, %v", page, err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, drip(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	if _, err := r.ListLeads(ctx, ListRequest{}, nil, discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"/platform-api/v3.0/activities/9001": `{"type":"call.inbound","data":{"activityId":9001}}`,
		"/platform-api/v3.0/leads/7001":      "\uFEFF{\"leadId\":\"7001\"} \n",
		"/platform-api/v3.0/leads/7002":      `{"leadId":7001}`,
		"/platform-api/v3.0/leads/7003":      `{"error":"down"}`,
		"/platform-api/v3.0/leads/7004":      `{"leadId":7004`,
		"/platform-api/v3.0/leads/7005":      `<html>`,
		"/platform-api/v3.0/leads/7006":      `{"leadId":7006}{}`,
		"/platform-api/v3.0/leads/7007":      `{"leadId":7007,"x":"` + strings.Repeat("y", 2000) + `"}`,
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		body, ok := bodies[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		answerJSON(body)(w, req)
	})
	r.limits.item = 1000
	raw, at, err := r.GetActivity(t.Context(), "9001", vendorapi.Reread)
	if err != nil || at.IsZero() || string(raw) != bodies["/platform-api/v3.0/activities/9001"] {
		t.Errorf("got %s, %v, %v", raw, at, err)
	}
	if raw, _, err := r.GetLead(t.Context(), "7001", ""); err != nil || string(raw) != `{"leadId":"7001"}` {
		t.Errorf("got %s, %v", raw, err)
	}
	for id, kind := range map[string]vendorapi.Kind{
		"7002": vendorapi.Malformed, "7003": vendorapi.Malformed, "7004": vendorapi.Transient, "7005": vendorapi.Malformed,
		"7006": vendorapi.Malformed, "7007": vendorapi.Malformed, "7099": vendorapi.Refused,
	} {
		raw, _, err := r.GetLead(t.Context(), id, "")
		if raw != nil || vendorapi.KindOf(err) != kind || errors.Is(err, ErrNotFound) != (id == "7099") {
			t.Errorf("%s: got %s, %v, want %v", id, raw, err, kind)
		}
	}
	before := len(r.requests())
	for _, id := range []string{"", "../lists", "1?x", "-1", "1e3"} {
		if _, _, err := r.GetLead(t.Context(), id, ""); err == nil {
			t.Errorf("id %q was asked for", id)
		}
	}
	if len(r.requests()) != before {
		t.Error("requests were sent for ids that are none")
	}
}

func TestPathOverrides(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"items":[],"leadId":5}`), func(c *Config) {
		c.BaseURL += "///"
		c.Paths = map[string]string{OpListLeads: "/v4/lead", OpGetLead: "/v4/lead/{id}/full"}
		c.AuthHeader, c.AuthPrefix = "X-Authorization", ""
	})
	if _, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard); err != nil {
		t.Error(err)
	}
	if _, _, err := r.GetLead(t.Context(), "5", ""); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"/platform-api/v4/lead", "/platform-api/v4/lead/5/full"}, r.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{BaseURL: "https://tenant.example/platform-api", Token: testToken, AuthPrefix: "Bearer "}
	}
	template := vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if _, err := NewClient(good(), template); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Config){
		"base url":                func(c *Config) { c.BaseURL = "" },
		"base url cannot":         func(c *Config) { c.BaseURL = "https://%zz" + testToken },
		"absolute":                func(c *Config) { c.BaseURL = "tenant.example/" + testToken },
		"http or https":           func(c *Config) { c.BaseURL = "ftp://tenant.example" },
		"no user":                 func(c *Config) { c.BaseURL = "https://me:pass@tenant.example" },
		"query":                   func(c *Config) { c.BaseURL = "https://tenant.example?token=" + testToken },
		"token is missing":        func(c *Config) { c.Token = " \n" },
		"token has":               func(c *Config) { c.Token = testToken + "\r\nX: y" },
		"auth header":             func(c *Config) { c.AuthHeader = "X Y" },
		"or prefix":               func(c *Config) { c.AuthPrefix = "Bearer\n" },
		"extra header":            func(c *Config) { c.ExtraHeaders = map[string]string{"X-Y": testToken + "\n"} },
		"no such operation":       func(c *Config) { c.Paths = map[string]string{"list_all": "/x"} },
		"begin with a slash":      func(c *Config) { c.Paths = map[string]string{OpListLeads: "x"} },
		"have no query":           func(c *Config) { c.Paths = map[string]string{OpListLeads: "/x?y"} },
		"name the id's place":     func(c *Config) { c.Paths = map[string]string{OpGetLead: "/x"} },
		"once if the operation":   func(c *Config) { c.Paths = map[string]string{OpListLeads: "/x/{id}"} },
		"HTTP client, clock and":  nil,
		"path of get_lead must n": func(c *Config) { c.Paths = map[string]string{OpGetLead: "/{a}/{b}"} },
	}
	for want, change := range tests {
		cfg, tmpl := good(), template
		if change == nil {
			tmpl = vendorapi.Client{}
		} else {
			change(&cfg)
		}
		client, err := NewClient(cfg, tmpl)
		if err == nil || client != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), testToken) {
			t.Errorf("the token is in %v", err)
		}
	}
	_, err := NewClient(Config{}, vendorapi.Client{})
	for _, want := range []string{"base url", "token", "clock"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported at once: %v", want, err)
		}
	}
}

// Nothing that goes wrong may show the token, in any of its forms.
func TestNoSecret(t *testing.T) {
	t.Parallel()
	forms := []string{
		testToken, url.QueryEscape(testToken), url.PathEscape(testToken),
		base64.StdEncoding.EncodeToString([]byte(testToken)), base64.URLEncoding.EncodeToString([]byte(testToken)), hex.EncodeToString([]byte(testToken)),
		"extra-header-value",
	}
	echo := strings.Join(forms, " ")
	handlers := map[string]http.HandlerFunc{
		"closed": nil,
		"cut": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"html": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, "<html>%s", echo) },
		"member names": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"%s":1,"%s":2}`, forms[0], forms[5])
		},
		"foreign":       answerJSON(`{"metadata":{"nextUri":"https://evil.example/` + testToken + `?cursor=c"},"items":[]}`),
		"bad next":      answerJSON(`{"metadata":{"nextUri":"/x?y=` + url.QueryEscape(testToken) + `"},"items":[]}`),
		"redirect":      func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "/"+forms[2], http.StatusFound) },
		"not an object": answerJSON(`"` + echo + `"`),
		"wrong encoding": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, echo)
		},
	}
	for _, status := range []int{400, 401, 403, 404, 410, 422, 429, 500, 503} {
		handlers[strconv.Itoa(status)] = func(w http.ResponseWriter, req *http.Request) {
			http.Error(w, req.Header.Get("Authorization")+" "+echo, status)
		}
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			extra := func(c *Config) { c.ExtraHeaders = map[string]string{"X-Key": "extra-header-value"} }
			var r *rig
			if handler == nil {
				r = &rig{}
				r.Client = newTestClient(t, "http://127.0.0.1:1", r, extra)
			} else {
				r = newRig(t, handler, extra)
			}
			_, err1 := r.ListActivities(t.Context(), ListRequest{Cursor: "c"}, nil, discard)
			_, _, err2 := r.GetLead(t.Context(), "7001", "")
			if err1 == nil || err2 == nil {
				t.Fatal("no error")
			}
			shown := fmt.Sprintf("%v %+v %#v %v %+v %#v %s", err1, err1, err1, err2, err2, err2, r.logged())
			for _, form := range forms {
				if strings.Contains(shown, form) {
					t.Errorf("%q shows in %s", form, shown)
				}
			}
			if strings.Contains(shown, "127.0.0.1") {
				t.Errorf("a URL shows in %s", shown)
			}
		})
	}
	if text := fmt.Sprintf("%v %+v %#v", Config{Token: testToken}, Config{Token: testToken}, Config{Token: testToken}); strings.Contains(text, testToken) {
		t.Error("the configuration prints the token")
	}
}

// A raw server shows what net/http's own would not send.
func TestGarbageInsteadOfHTTP(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.6\r\n")
			_ = conn.Close()
		}
	}()
	client := newTestClient(t, "http://"+l.Addr().String(), io.Discard)
	_, err = client.ListLeads(t.Context(), ListRequest{}, nil, discard)
	if vendorapi.KindOf(err) != vendorapi.Transient {
		t.Errorf("got %v", err)
	}
}
