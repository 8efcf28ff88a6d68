package convoso_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func logClient(t *testing.T, address, token string, log *slog.Logger) *convoso.LogClient {
	t.Helper()
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	c, err := convoso.NewLogClient(convoso.LogConfig{URL: address, Token: vendorapi.Secret(token), Zone: zone, Timeout: 5 * time.Second},
		vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCallLogAgainstSandbox(t *testing.T) {
	t.Parallel()
	now := time.Now()
	box := sandbox.New(sandbox.Options{Seed: 3, Now: func() time.Time { return now }, Activities: -1, Leads: -1, Posts: 200})
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	env := box.Convoso().LogEnv(server.URL)
	box.Convoso().SetLogPage(7)
	c := logClient(t, env["CONVOSO_API_URL"], env["CONVOSO_AUTH_TOKEN"], slog.New(slog.DiscardHandler))
	settings, err := convoso.NewSettings(convoso.Config{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	pages := 0
	for offset := 0; pages == 0 || offset > 0; pages++ {
		page, err := c.Calls(t.Context(), now.Add(-72*time.Hour), now, offset, vendorapi.Live)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range page.Calls {
			item, err := settings.LogEntry(raw)
			if err != nil || seen[item.ObjectID] || item.SourceTime.IsZero() {
				t.Fatalf("%s: %+v %v", raw, item, err)
			}
			seen[item.ObjectID] = true
			facts, err := settings.Facts(pipeline.Record{Source: pipeline.SourceConvoso, Stream: convoso.StreamCallLog, ObjectID: item.ObjectID, Payload: item.Payload})
			if err != nil || len(facts.Calls) == 0 || facts.Calls[0].Key.ExternalID != item.ObjectID || facts.Calls[0].Disposition == "" && len(facts.DNC) == 0 {
				t.Fatalf("%s: %+v %v", raw, facts, err)
			}
		}
		offset = page.Next
	}
	told := map[string]bool{}
	for _, p := range box.Convoso().Posts() {
		if p.CallID != "" && (p.Event == sandbox.EventDisposition || p.Event == sandbox.EventDNC) {
			told[p.CallID] = true
		}
	}
	if len(seen) != len(told) || pages != (len(told)+6)/7 {
		t.Errorf("%d calls of %d on %d pages", len(seen), len(told), pages)
	}
	var answer struct {
		Calls []json.RawMessage
		Next  *int
	}
	args := map[string]string{"start_time": now.Add(-72 * time.Hour).Format(time.RFC3339), "end_time": now.Format(time.RFC3339)}
	if raw, err := c.Call(t.Context(), args); err != nil || json.Unmarshal(raw, &answer) != nil || len(answer.Calls) != 7 || answer.Next == nil || *answer.Next != 7 {
		t.Errorf("for an operator: %s %v", raw, err)
	}
	args["end_time"] = args["start_time"]
	if _, err := c.Call(t.Context(), args); err == nil {
		t.Error("an empty range was asked for")
	}
	if page, err := c.Calls(t.Context(), now.Add(-time.Hour*24*400), now.Add(-time.Hour*24*399), 0, vendorapi.Live); err != nil || len(page.Calls) > 0 || page.Next > 0 {
		t.Errorf("a range without calls: %+v %v", page, err)
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Error(wrong)
	}
	if _, err := logClient(t, env["CONVOSO_API_URL"], "wrong", slog.New(slog.DiscardHandler)).Calls(t.Context(), now, now, 0, vendorapi.Live); vendorapi.KindOf(err) != vendorapi.Denied {
		t.Errorf("a wrong token: %v", err)
	}
}

func TestCallLogAnswers(t *testing.T) {
	t.Parallel()
	const token = "secret/canary+66"
	var status int
	var text string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" || r.PostFormValue("auth_token") != token {
			t.Errorf("asked with %q", r.URL.RawQuery)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	full := strings.TrimSuffix(strings.Repeat("{},", 500), ",")
	for _, c := range []struct {
		status int
		text   string
		kind   vendorapi.Kind
		next   int
	}{
		{200, `{"success":true,"data":{"total_found":"546","results":[` + full + `]}}`, 0, 500},
		{200, `{"success":true,"data":{"total_found":500,"results":[` + full + `]}}`, 0, 0},
		{200, `{"success":true,"data":{"results":[` + full + `]}}`, 0, 500},
		{200, `{"success":true,"data":{"total_found":"9","results":[]}}`, 0, 0},
		{200, `{"success":false,"text":"` + token + `"}`, vendorapi.Refused, 0},
		{200, `{"success":true}`, vendorapi.Malformed, 0},
		{200, `{}`, vendorapi.Malformed, 0},
		{200, `<html>` + token, vendorapi.Malformed, 0},
		{401, token, vendorapi.Denied, 0},
		{403, token, vendorapi.Denied, 0},
		{404, token, vendorapi.Refused, 0},
		{429, token, vendorapi.Limited, 0},
	} {
		for _, form := range []string{token, hex.EncodeToString([]byte(token)), base64.StdEncoding.EncodeToString([]byte(token))} {
			status, text = c.status, strings.ReplaceAll(c.text, token, form)
			var log bytes.Buffer
			page, err := logClient(t, server.URL, token, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))).
				Calls(t.Context(), time.Now(), time.Now(), 0, vendorapi.Live)
			if vendorapi.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) || page.Next != c.next {
				t.Errorf("%d %.60s: next %d, %v", c.status, c.text, page.Next, err)
			}
			if out := fmt.Sprintf("%v %+v %s", err, err, log.String()); strings.Contains(out, form) {
				t.Errorf("%d: the token shows: %s", c.status, out)
			}
		}
	}
	status, text = 200, `{"success":true,"data":{"total_found":"99999","results":[`+full+`]}}`
	if _, err := logClient(t, server.URL, token, slog.New(slog.DiscardHandler)).Calls(t.Context(), time.Now(), time.Now(), 39_900, vendorapi.Live); vendorapi.KindOf(err) != vendorapi.Refused {
		t.Errorf("beyond the last offset: %v", err)
	}
	settings, err := convoso.NewSettings(convoso.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`{}`, `[]`, `"x"`, `{"lead_id":"1","first_name":"Ana"}`, `{"id":"` + strings.Repeat("1", 300) + `","status":"CB","call_date":"2025-06-03 10:17:42"}`} {
		if item, err := settings.LogEntry(json.RawMessage(bad)); err == nil {
			t.Errorf("%.40s: %+v", bad, item)
		}
	}
}
