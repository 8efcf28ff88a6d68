package dialedin_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Every status, for each kind of operation.
func TestVerdictByStatus(t *testing.T) {
	t.Parallel()
	type want struct {
		state  pipeline.OutcomeState
		reason string
		kind   vendorapi.Kind
	}
	verdict := func(status int) want {
		switch {
		case status == 401, status == 403:
			return want{pipeline.OutcomeDenied, "credentials", vendorapi.Denied}
		case status/100 == 3:
			return want{pipeline.OutcomeDenied, "redirected", vendorapi.Denied}
		case status == 101, status == 404, status == 405, status == 410:
			return want{pipeline.OutcomeDenied, "not_found_script", vendorapi.Denied}
		case status == 429:
			return want{pipeline.OutcomeLimited, "limited", vendorapi.Limited}
		case status == 408:
			return want{pipeline.OutcomeUnknown, "server_error", vendorapi.Unknown}
		case status >= 500:
			return want{pipeline.OutcomeUnknown, "server_error", vendorapi.Unknown}
		case status >= 400:
			return want{pipeline.OutcomeRejected, "bad_request", vendorapi.Refused}
		}
		return want{pipeline.OutcomeUnknown, "empty_answer", vendorapi.Unknown}
	}
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d/", &status) //nolint:errcheck // made below
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
	})
	for status := 101; status < 600; status++ {
		if status == http.StatusProcessing || status == http.StatusEarlyHints {
			continue // no answers, but notes before one
		}
		if http.StatusText(status) == "" && status != 299 && status != 499 && status != 599 {
			continue
		}
		c := config(v.URL)
		c.BaseURL = fmt.Sprintf("%s/%d/", v.URL, status)
		client, want := newClient(t, c, base()), verdict(status)
		for name, ask := range map[string]func() (pipeline.Outcome, error){
			"insert": func() (pipeline.Outcome, error) { return client.Insert(t.Context(), lead()) },
			"dnc":    func() (pipeline.Outcome, error) { return client.InsertDNC(t.Context(), "+13055550123") },
		} {
			outcome, err := ask()
			if outcome.State != want.state || outcome.Reason != want.reason {
				t.Errorf("%s, status %d: outcome %+v, want %+v", name, status, outcome, want)
			}
			kind := want.kind
			if name == "dnc" && kind == vendorapi.Unknown {
				kind = vendorapi.Transient // repeatable: it is tried again
			}
			e := vendorError(t, err)
			if e.Kind != kind || !e.Sent {
				t.Errorf("%s, status %d: error %+v, want kind %v", name, status, e, kind)
			}
			if status == 429 && e.After != 7*time.Second {
				t.Errorf("%s: wait %v, want 7s", name, e.After)
			}
		}
		if status >= 500 && status != 503 {
			continue // a search is repeated after these, which takes its time
		}
		if found, _, err := client.Search(t.Context(), "x"); err == nil || found {
			t.Errorf("search, status %d: found %v, error %v", status, found, err)
		}
	}
	for _, r := range v.seen() {
		if r.uri == "/elsewhere" {
			t.Fatal("a redirect was followed")
		}
	}
}

func TestTransport(t *testing.T) {
	t.Parallel()
	hang := newVendor(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cut := newVendor(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	half := newVendor(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "Result: OK")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	for _, tc := range []struct {
		name, url string
		state     pipeline.OutcomeState
		reason    string
		sent      bool
	}{
		{"accepted, then silent", hang.URL, pipeline.OutcomeUnknown, "answer_cut", true},
		{"accepted, then cut", cut.URL, pipeline.OutcomeUnknown, "answer_cut", true},
		{"good status, then cut", half.URL, pipeline.OutcomeUnknown, "answer_cut", true},
		{"refused", closed, pipeline.OutcomeNotSent, "not_connected", false},
		{"no such host", "http://nowhere-at-all", pipeline.OutcomeNotSent, "not_connected", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := config(tc.url)
			c.Timeout = 3 * time.Second
			client := newClient(t, c, base())
			outcome, err := client.Insert(t.Context(), lead())
			if outcome.State != tc.state || outcome.Reason != tc.reason {
				t.Errorf("outcome %+v, want %s %s", outcome, tc.state, tc.reason)
			}
			kind := vendorapi.Transient
			if tc.sent {
				kind = vendorapi.Unknown
			}
			if e := vendorError(t, err); e.Sent != tc.sent || e.Kind != kind {
				t.Errorf("error %+v", e)
			}
			if tc.sent && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
				t.Errorf("an unknown outcome wraps a context error: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		for _, v := range []*vendor{hang, cut, half} {
			if n := len(v.seen()); n != 1 {
				t.Errorf("an insert was sent %d times", n)
			}
		}
	})
}

func TestStoppedBeforeSending(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "Result: OK"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	outcome, err := newClient(t, config(v.URL), base()).Insert(ctx, lead())
	if outcome.State != pipeline.OutcomeNotSent || !errors.Is(err, context.Canceled) || len(v.seen()) != 0 {
		t.Errorf("outcome %+v, error %v", outcome, err)
	}
	for state, refusal := range map[pipeline.OutcomeState]error{
		pipeline.OutcomeLimited: &vendorapi.Error{Kind: vendorapi.Limited, After: time.Minute},
		pipeline.OutcomeDenied:  &vendorapi.Error{Kind: vendorapi.Denied},
		pipeline.OutcomeNotSent: context.Canceled,
	} {
		b := base()
		b.Gate = &gate{refuse: refusal}
		if outcome, err := newClient(t, config(v.URL), b).Insert(t.Context(), lead()); outcome.State != state || !errors.Is(err, refusal) {
			t.Errorf("gate says %v: outcome %+v, error %v", refusal, outcome, err)
		}
	}
	if n := len(v.seen()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
