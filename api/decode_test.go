package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/store"
)

// nasty are bodies that have broken decoders: each must end in a 4xx, or be taken as what it says.
func nasty() []string {
	deep := func(n int, open, shut string) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	return []string{
		``, ` `, `null`, `true`, `0`, `""`, `[]`, `[{}]`, `{`, `}`, `{}}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{'a':1}`, "\xef\xbb\xbf{}", "\x00", "{\"a\":\"\x00\"}",
		`{"businessName":"a\u0000b","userId":"\u0000","externalCallId":"\u0000","disposition":"\u0000"}`,
		`{"businessName":"\ud800","notes":"\udc00\ud800","metadata":{"\ud800":1},"customFields":{"\udfff":"\ud83d"}}`,
		"{\"businessName\":\"\xff\xfe\",\"tags\":[\"\xc0\x80\"]}",
		`{"businessName":null,"tags":null,"customFields":null,"metadata":null,"userId":null,"stageId":null}`,
		`{"businessName":{},"contactFirstName":[],"email":true,"phone":1e400,"tags":{},"customFields":"x","metadata":7,"userId":[],"durationSeconds":"1"}`,
		`{"durationSeconds":99999999999999999999,"monthlyRevenue":"` + strings.Repeat("9", 1000) + `"}`,
		`{"durationSeconds":1e2,"occurredAt":"2026-02-30T25:61:61Z","requestedAmount":"-0.0000000001"}`,
		`{"occurredAt":"-0001-01-01T00:00:00Z"}`, `{"occurredAt":"9999-12-31T23:59:59+23:59"}`, `{"occurredAt":"2026-03-02T09:00:00.999999999999Z"}`,
		`{"email":"` + strings.Repeat("a", 300) + `@x.example"}`, `{"email":"\"<script>\"@x.example"}`, `{"email":"a@b.c\r\nBcc: x"}`,
		`{"phone":"` + strings.Repeat("１", 20) + `"}`, `{"phone":"+` + strings.Repeat("9", 19) + `"}`, `{"phone":";ext=` + strings.Repeat("1", 15) + `"}`,
		`{"businessName":"` + strings.Repeat("𝕏", 255) + `"}`, `{"businessName":"'); drop table leads; --"}`,
		`{"tags":[` + strings.Repeat(`"t",`, 50_000) + `"t"]}`, `{"customFields":{"` + strings.Repeat("k", 100_000) + `":1}}`,
		`{"customFields":{"n":1e9999999}}`, `{"customFields":{"n":` + strings.Repeat("1", 200_000) + `}}`, `{"metadata":{"n":-1E-99999}}`,
		`{"a":` + deep(100_000, `[`, `]`) + `}`, `{"customFields":` + deep(100_000, `{"a":`, `}`) + `}`, `{"customFields":{"a":` + deep(490, `[`, `]`) + `}}`,
		`{"businessName":"a","businessName":"b"}`, `{"BusinessName":"a","BUSINESSNAME":7}`, `{"":1}`, `{"` + strings.Repeat("é", 5000) + `":1}`,
		`{"stageId":"00000000-0000-0000-0000-000000000000"}`, `{"leadId":"{0f4f3d1e-8c1b-4a2e-9d3f-5a6b7c8d9e0f}"}`, `{"leadId":"00000000-0000-0000-0000-000000000000"}`,
	}
}

// whole are bodies that are right, for what is nasty to be laid over and for fuzzing to begin with.
var whole = []string{
	wholeLead,
	`{"externalCallId":"c-1","userId":"` + user + `","eventType":"call_ended","direction":"inbound","durationSeconds":7,"disposition":"x","metadata":{"a":[1]},"occurredAt":"2026-03-02T09:00:00Z"}`,
	`{"call_id":"c-1","user_id":"` + user + `","event_type":"hold","occurred_at":"2026-03-02T09:00:00+02:00"}`,
	`{"userId":"` + user + `","status":"on_call","currentCallId":"convoso-call-7","metadata":{}}`,
	`{"externalCallId":"c-1","userId":"` + user + `","disposition":"do not call","notes":"n","occurredAt":"2026-03-02T09:00:00Z"}`,
	`{"stageId":"0f4f3d1e-8c1b-4a2e-9d3f-5a6b7c8d9e0f"}`,
}

// TestNothingIsA500 sends every nasty body to every route that takes one, and nasty queries to every list.
func TestNothingIsA500(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.BodyTimeout = 5 * time.Second }).start()
	w.exec("update ops.api_keys set tier = 'none'")
	lead := w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead).Data.ID
	for _, route := range []string{
		"POST /v1/leads", "PATCH /v1/leads/" + lead, "POST /v1/leads/" + lead + "/stage", "POST /v1/dialer/events", "POST /v1/dialer/presence",
		"POST /v1/dialer/disposition",
	} {
		method, path, _ := strings.Cut(route, " ")
		for _, body := range append(nasty(), whole...) {
			if a := w.send(method, path, body); a.status >= 500 || a.status < 400 && a.status != 200 && a.status != 201 || !bytes.Contains(a.body, []byte(`"requestId":"req_`)) {
				t.Errorf("%s %.60q: %d %.200s", route, body, a.status, a.body)
			}
		}
		if a := w.send(method, path, `{"businessName":"`+strings.Repeat("x", 10<<20)+`"}`); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with 10 MB: %d", route, a.status)
		}
	}
	for _, value := range []string{"%00", "%ff", "%ud800", "%zz", "'", "%F0%9D%95%8F", strings.Repeat("9", 400), "-1", "1e9", "9999-99-99", "0000-01-01", "294277-01-01T00:00:00Z", "{}", "a%20b%00"} {
		for _, path := range []string{"/v1/leads", "/v1/dialer/events", "/v1/dialer/agents", "/v1/leads/" + lead + "/timeline"} {
			for _, name := range []string{
				"page", "limit", "cursor", "search", "stage", "priority", "source", "isDoNotCall", "phone", "externalId", "updatedSince", "leadId", "userId",
				"from", "to", "eventType", "teamId",
			} {
				if a := w.get(path + "?" + name + "=" + value); a.status >= 500 {
					t.Errorf("GET %s?%s=%.40s: %d %s", path, name, value, a.status, a.body)
				}
			}
		}
		if a := w.get("/v1/leads/" + url.PathEscape(value)); a.status >= 500 || a.status < 400 {
			t.Errorf("GET /v1/leads/%.40s: %d", value, a.status)
		}
	}
}

// TestSlowBody gives up on a body that drips.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.BodyTimeout = 300 * time.Millisecond }).start()
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = writer.Write([]byte(`{"businessName": `)) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.base+"/v1/leads", reader)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("%d", resp.StatusCode)
	}
}

// fuzzBody runs a decoder over a body and expects no panic, and a client's fault or none.
func fuzzBody(f *testing.F, read func(s *Server, o *object) error) {
	f.Helper()
	for _, body := range append(nasty(), whole...) {
		if len(body) < 10_000 {
			f.Add([]byte(body))
		}
	}
	s := &Server{cfg: Config{Now: time.Now}}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseObject(body)
		if err == nil {
			err = read(s, o)
		}
		if err == nil {
			return
		}
		if p := problemOf(err); p.status != http.StatusBadRequest && p.status != http.StatusUnprocessableEntity || len(p.items) == 0 {
			t.Errorf("%q: %v", body, err)
		}
	})
}

func FuzzLead(f *testing.F) {
	fuzzBody(f, func(_ *Server, o *object) error {
		order := readLead(o)
		o.enum("source", leadSources...)
		o.id("stageId")
		o.userID("assignToAdvisorId")
		o.refuseRest("cannot be changed")
		for name, value := range order.fields {
			if value == nil {
				return fmt.Errorf("field %s was given and is nil", name)
			}
		}
		return o.err()
	})
}

func FuzzEvent(f *testing.F) {
	fuzzBody(f, func(s *Server, o *object) error {
		event, _ := s.readEvent(o.snake(callIDs))
		o.enum("eventType", "hold")
		o.whole("durationSeconds")
		o.object("metadata")
		o.code("disposition")
		event.StepID()
		event.OptsOut()
		return o.err()
	})
}

func FuzzPresence(f *testing.F) {
	fuzzBody(f, func(_ *Server, o *object) error {
		o.snake(nil).userID("userId")
		o.enum("status", "online")
		o.callID("currentCallId", false)
		o.id("currentLeadId")
		o.object("metadata")
		return o.err()
	})
}

// FuzzParameters reads every query parameter.
func FuzzParameters(f *testing.F) {
	for _, query := range []string{
		"", "page=2&limit=500", "cursor=AAAA", "cursor=" + cursorOf(store.Position{At: time.Unix(1, 0)}), "phone=+1%20503", "phone=%00",
		"externalId=convoso:7", "externalId=:", "updatedSince=2026-03-02", "isDoNotCall=true&stage=won", "leadId=x;y", "%zz",
	} {
		f.Add(query)
	}
	s := &Server{cfg: Config{Now: time.Now, Region: "US"}}
	f.Fuzz(func(t *testing.T, raw string) {
		r := httptest.NewRequest(http.MethodGet, "/v1/leads", http.NoBody)
		r.URL.RawQuery = raw
		values, err := parameters(r)
		if err != nil {
			return
		}
		if p, items := pagingOf(values); len(items) == 0 && (p.limit < 1 || p.limit > maxLimit || p.offset() < 0) {
			t.Errorf("%q: paging %+v", raw, p)
		}
		s.leadFilter(values)
		if at, items := cursor(values); len(items) == 0 && at != (store.Position{}) {
			if again, _ := cursor(url.Values{"cursor": {cursorOf(at)}}); again != at {
				t.Errorf("%q: cursor %v comes back as %v", raw, at, again)
			}
		}
		for _, name := range []string{"from", "to"} {
			timeParameter(values, name)
		}
		idParameter(values, "leadId")
		word(values, "userId")
	})
}

// FuzzHeaders reads what clients may write into headers.
func FuzzHeaders(f *testing.F) {
	for _, value := range []string{"", "gzip", "*;q=0, gzip;q=1", "gzip;q=x", `W/"a", *`, "Bearer lw_a_b", "bearer  x", strings.Repeat("a", 300)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		acceptsGzip([]string{value})
		matches([]string{value}, `"x"`)
		if token, ok := bearer(value); ok && token == "" {
			t.Errorf("%q is a bearer of nothing", value)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/leads", http.NoBody)
		r.Header["Idempotency-Key"] = []string{value}
		if key, err := idempotencyKey(r, []byte(value)); (err == nil) != (key != nil && idempotencyKeys.MatchString(value)) {
			t.Errorf("%q: %v, %v", value, key, err)
		}
	})
}

// FuzzSubscription reads orders of webhooks.
func FuzzSubscription(f *testing.F) {
	for _, body := range []string{
		`{"url":"https://a.example/x","events":["lead.created"]}`, `{"url":"http://127.0.0.1","events":["lead.created"],"secret":"\u0000"}`,
		`{"events":{}}`, `{"isActive":null,"secret":null}`,
	} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, create bool) {
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) != nil {
			return
		}
		var order subscriptionOrder
		for name, text := range fields {
			if order.read(name, text, create) == "" && name == "events" && len(order.patch.Events) == 0 {
				t.Errorf("%s: taken, and empty", text)
			}
		}
	})
}
