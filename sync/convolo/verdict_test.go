package convolo_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestVerdictByBody(t *testing.T) {
	t.Parallel()
	const (
		confirmed = pipeline.OutcomeConfirmed
		rejected  = pipeline.OutcomeRejected
		asJSON    = "application/json"
		asHTML    = "text/html; charset=utf-8"
		asText    = "text/plain"
		callID    = "b7c1f0e2a4d84f6f9d3b5a6c7e8f9012"
	)
	for _, tc := range []struct {
		name, contentType, body string
		state                   pipeline.OutcomeState
		reason, id              string
	}{
		{"success", asJSON, `{"success": true}`, confirmed, "", ""},
		{"success, with more", asJSON, `{"success":true,"debug":{"a":1},"call_id":"` + callID + `"}`, confirmed, "", callID},
		{"no success", asJSON, `{"call_id":"` + callID + `"}`, confirmed, "", callID},
		{"null success", asJSON, `{"success":null}`, confirmed, "", ""},
		{"a call id that is none", asJSON, `{"success":true,"call_id":"call me, Ann"}`, confirmed, "", ""},
		{"a numeric call id", asJSON, `{"success":true,"call_id":12}`, confirmed, "", ""},
		{"an unknown error key", asJSON, `{"error":"busy"}`, confirmed, "", ""},
		{"JSON called HTML", asHTML, `{"success":true}`, confirmed, "", ""},
		{"byte order mark", asJSON, "\ufeff{\"success\":false}", rejected, "refused", ""},
		{"refused", asJSON, `{"success": false, "debug": "blacklisted"}`, rejected, "refused", ""},
		{"refused, as text", asText, `{"success":"False"}`, rejected, "refused", ""},
		{"refused, as number", asJSON, `{"success":0}`, rejected, "refused", ""},
		{"empty", asJSON, "", confirmed, "empty_answer", ""},
		{"text", asText, "queued", confirmed, "unreadable_answer", ""},
		{"cut JSON", asJSON, `{"success":fal`, confirmed, "unreadable_answer", ""},
		{"a list", asJSON, `[1]`, confirmed, "unreadable_answer", ""},
		{"login page", asHTML, "<!DOCTYPE html><title>Sign in</title>", rejected, "html_answer", ""},
		{"login page under a false flag", asJSON, " \n<html><body>Sign in</body></html>", rejected, "html_answer", ""},
		{"text called HTML", asHTML, "Welcome", rejected, "html_answer", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, answer(200, tc.contentType, tc.body))
			outcome, err := newClient(t, config(v.URL), base()).StartCall(t.Context(), ref, lead(), nil)
			if outcome.State != tc.state || outcome.Reason != tc.reason || outcome.ExternalID != tc.id {
				t.Errorf("outcome %+v, want %s %q %q", outcome, tc.state, tc.reason, tc.id)
			}
			if (err == nil) != (tc.state == confirmed) {
				t.Errorf("error %v with %s", err, tc.state)
			}
			if err != nil && vendorapi.KindOf(err) != vendorapi.Refused {
				t.Errorf("error kind %v", vendorapi.KindOf(err))
			}
		})
	}
}

func TestVerdictByStatus(t *testing.T) {
	t.Parallel()
	type want struct {
		state  pipeline.OutcomeState
		reason string
		kind   vendorapi.Kind
	}
	verdict := func(status int) want {
		switch {
		case status/100 == 2:
			return want{pipeline.OutcomeConfirmed, "empty_answer", 0}
		case status/100 == 3:
			return want{pipeline.OutcomeDenied, "redirected", vendorapi.Denied}
		case status == 401, status == 403:
			return want{pipeline.OutcomeDenied, "credentials", vendorapi.Denied}
		case status == 101, status == 404, status == 405, status == 410:
			return want{pipeline.OutcomeDenied, "wrong_url", vendorapi.Denied}
		case status == 429:
			return want{pipeline.OutcomeLimited, "limited", vendorapi.Limited}
		case status == 408, status >= 500:
			return want{pipeline.OutcomeUnknown, "server_error", vendorapi.Unknown}
		}
		return want{pipeline.OutcomeRejected, "bad_request", vendorapi.Refused}
	}
	var status int
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	})
	client, asked := newClient(t, config(v.URL), base()), 0
	for status = 101; status < 600; status++ {
		if status == http.StatusProcessing || status == http.StatusEarlyHints {
			continue // no answers, but notes before one
		}
		if http.StatusText(status) == "" && status != 299 && status != 499 && status != 599 {
			continue
		}
		asked++
		want := verdict(status)
		outcome, err := client.StartCall(t.Context(), ref, lead(), nil)
		if outcome.State != want.state || outcome.Reason != want.reason || vendorapi.KindOf(err) != want.kind {
			t.Errorf("status %d: outcome %+v, error %v, want %+v", status, outcome, err, want)
		}
		if status == 429 && vendorError(t, err).After != time.Minute {
			t.Errorf("wait %v, want a minute", vendorError(t, err).After)
		}
	}
	if got := v.seen(); len(got) != asked {
		t.Errorf("%d requests for %d calls", len(got), asked)
	}
	for _, r := range v.seen() {
		if r.uri != path || r.method != http.MethodPost {
			t.Fatalf("asked %s %s", r.method, r.uri)
		}
	}
}
