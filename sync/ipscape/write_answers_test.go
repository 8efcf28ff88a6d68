package ipscape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Every status has one verdict for every operation, and no write is ever sent twice.
func TestEveryStatusOfEveryOperation(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	var sent atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		sent.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, `{"items":[],"campaignId":5,"attemptId":5,"id":5,"mediaId":5,`+goodAnswer[1:])
	}, canWrite)
	ctx := t.Context()
	reads := map[string]func() error{
		OpGetMedia:          func() error { _, err := r.GetMedia(ctx, "5", nil, ""); return err },
		OpOutboundInfo:      func() error { _, _, err := r.OutboundInfo(ctx, "5", ""); return err },
		OpInboundStatistics: func() error { _, _, err := r.InboundStatistics(ctx, "5", "", ""); return err },
		OpGetLeadList:       func() error { _, _, err := r.GetLeadList(ctx, "5", ""); return err },
		OpGetDiallerAttempt: func() error { _, _, err := r.GetDiallerAttempt(ctx, "5", ""); return err },
	}
	for op, list := range map[string]listMethod{
		OpListCampaigns: r.ListCampaigns, OpListLeadLists: r.ListLeadLists, OpListUsers: r.ListUsers, OpListDiallerAttempts: r.ListDiallerAttempts,
	} {
		reads[op] = func() error { _, err := list(ctx, ListRequest{}, nil, discard); return err }
	}
	emptyOK := map[string]bool{OpUpdateLead: true}
	for code := 200; code < 600; code++ {
		if code >= 500 && code%9 != 0 && code != 500 && code != 502 && code != 503 {
			continue
		}
		status.Store(int64(code))
		write, read := vendorapi.Refused, vendorapi.Refused
		switch {
		case code == 204:
			write, read = vendorapi.Unknown, vendorapi.Malformed
		case code < 300:
			write, read = 0, 0
		case code == 401, code == 403:
			write, read = vendorapi.Denied, vendorapi.Denied
		case code == 429:
			write, read = vendorapi.Limited, vendorapi.Limited
		case code == 408, code >= 500:
			write, read = vendorapi.Unknown, vendorapi.Transient
		}
		for op, f := range writes(ctx, r.Client) {
			want := write
			if code == 204 && emptyOK[op] {
				want = 0
			}
			before := sent.Load()
			err := f()
			if vendorapi.KindOf(err) != want || (want == 0) != (err == nil) || sent.Load() != before+1 {
				t.Errorf("%s, %d: %v after %d requests, want %v", op, code, err, sent.Load()-before, want)
			}
			if gone := (code == 404 || code == 410) && op == OpUpdateLead; errors.Is(err, ErrNotFound) != gone {
				t.Errorf("%s, %d: not found is %v", op, code, !gone)
			}
		}
		for op, f := range reads {
			if read == vendorapi.Transient && (code != 503 || op != OpGetMedia) {
				continue // tried three times, which takes a while
			}
			err := f()
			if vendorapi.KindOf(err) != read || (read == 0) != (err == nil) {
				t.Errorf("%s, %d: %v, want %v", op, code, err, read)
			}
			if gone := (code == 404 || code == 410) && !strings.HasPrefix(op, "list_"); errors.Is(err, ErrNotFound) != gone {
				t.Errorf("%s, %d: not found is %v", op, code, !gone)
			}
		}
	}
}

// What a 2xx says decides: an answer that is none to the question leaves the outcome open.
func TestAnswersOfWrites(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"login page": `<html>Please log in ` + testToken, "list": `[]`, "cut": `{"leadId":7001`, "no success": `{"success":false,` + goodAnswer[1:],
		"an error": `{"error":{"code":5},` + goodAnswer[1:], "older envelope": `{"resultCode":"error",` + goodAnswer[1:], "text": `"ok"`,
	}
	for name, body := range bad {
		r := newRig(t, answerJSON(body), canWrite)
		for op, write := range writes(t.Context(), r.Client) {
			err := write()
			if vendorapi.KindOf(err) != vendorapi.Unknown || len(r.requests()) == 0 || strings.Contains(fmt.Sprintf("%+v", err), testToken) {
				t.Errorf("%s, %s: %v", op, name, err)
			}
		}
	}
	for body, want := range map[string]map[string]bool{
		`{}`: {OpUpdateLead: true},
		``:   {OpUpdateLead: true},
		`{"leadId":"x","listId":null,"leadData":[],"agentId":34,"available":true,"recording":true}`:  {OpUpdateLead: true},
		`{"agentId":33,"available":false,"recording":"true"}`:                                        {OpUpdateLead: true, OpSetRecording: true},
		"\uFEFF {\"agentId\":\"33\",\"available\":1,\"recording\":0,\"errors\":[],\"success\":true}": {OpUpdateLead: true, OpUpdatePresence: true},
	} {
		r := newRig(t, answerJSON(body), canWrite)
		for op, write := range writes(t.Context(), r.Client) {
			if err := write(); (err == nil) != want[op] || (err != nil && vendorapi.KindOf(err) != vendorapi.Unknown) {
				t.Errorf("%s, %s: %v", op, body, err)
			}
		}
	}
}

// A cut after sending is unknown and never carries a context error; before sending it is transient. Neither is repeated.
func TestCutWrites(t *testing.T) {
	t.Parallel()
	cut := newRig(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, canWrite)
	slow := newRig(t, func(_ http.ResponseWriter, req *http.Request) {
		// Only once the body has been read does a server notice that the client is gone.
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	}, canWrite, func(c *Config) { c.Timeout = 200 * time.Millisecond })
	closed := newTestClient(t, "http://127.0.0.1:1", io.Discard, canWrite)
	for op := range writes(t.Context(), cut.Client) {
		before := len(cut.requests())
		if err := writes(t.Context(), cut.Client)[op](); vendorapi.KindOf(err) != vendorapi.Unknown || len(cut.requests()) != before+1 {
			t.Errorf("%s cut: %v", op, err)
		}
		before = len(slow.requests())
		err := writes(t.Context(), slow.Client)[op]()
		switch arrived := len(slow.requests()) > before; {
		case arrived && (vendorapi.KindOf(err) != vendorapi.Unknown || errors.Is(err, context.DeadlineExceeded)):
			t.Errorf("%s slow: %v", op, err)
		case !arrived && vendorapi.KindOf(err) == 0:
			// A busy machine may not even connect in that time.
			t.Errorf("%s, not arrived: %v", op, err)
		}
		if err := writes(t.Context(), closed)[op](); vendorapi.KindOf(err) != vendorapi.Transient {
			t.Errorf("%s closed: %v", op, err)
		}
	}
	if len(slow.requests()) == 0 {
		t.Error("no slow request arrived")
	}
}
