package ipscape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func canWrite(c *Config) { c.Writes = true }

// writes are all operations that write, by their typed methods.
func writes(ctx context.Context, c *Client) map[string]func() error {
	phone := "+61400111222"
	return map[string]func() error{
		OpUpdateLead: func() error { return c.UpdateLead(ctx, "7001", LeadUpdate{Phone1: &phone}) },
		OpCreateLead: func() error {
			_, err := c.CreateLead(ctx, NewLead{ListID: 7, CustomerKey: "k", Phone1: phone})
			return err
		},
		OpBulkCreateLeads: func() error {
			_, err := c.BulkCreateLeads(ctx, []NewLead{{ListID: 7, CustomerKey: "k"}})
			return err
		},
		OpCreateLeadList: func() error {
			_, err := c.CreateLeadList(ctx, "August", 12)
			return err
		},
		OpRemovePersonalData: func() error {
			_, err := c.RemovePersonalData(ctx, phone, "pat@example.com")
			return err
		},
		OpUpdatePresence: func() error { return c.SetPresence(ctx, 33, true) },
		OpSetRecording:   func() error { return c.SetRecording(ctx, 33, true) },
	}
}

// goodAnswer answers any write as the contract has it.
const goodAnswer = `{"leadId":7001,"inDialler":true,"uuid":"u","status":"queued","listId":9,"leadData":{"leadsDeleted":1},"agentId":33,"available":true,"recording":true}`

func TestWritesAreOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(goodAnswer))
	for op, write := range writes(t.Context(), r.Client) {
		if err := write(); !errors.Is(err, ErrWritesOff) || !strings.Contains(err.Error(), op) {
			t.Errorf("%s: %v", op, err)
		}
	}
	for _, err := range []error{
		r.MergeLeadData(t.Context(), "7001", map[string]any{"a": 1}),
		func() error {
			_, err := r.CreateLeadOnce(t.Context(), NewLead{ListID: 7, CustomerKey: "k"})
			return err
		}(),
		func() error {
			_, err := r.Call(t.Context(), OpUpdateLead, map[string]string{"leadId": "7001", "leadData": `{"a":1}`})
			return err
		}(),
		func() error {
			_, err := r.Call(t.Context(), OpRemovePersonalData, map[string]string{"phoneNumber": "+61400111222"})
			return err
		}(),
	} {
		if !errors.Is(err, ErrWritesOff) {
			t.Error(err)
		}
	}
	if len(r.requests()) > 0 {
		t.Errorf("requests were sent: %v", r.requests())
	}
}

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

func TestWritesShowNoSecret(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 400, 401, 404, 409, 429, 500} {
		r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			http.Error(w, fmt.Sprint(req.Header.Get("Authorization"), req.URL, string(body), " +61 400 111 222 pat@example.com"), status)
		}, canWrite)
		for op, write := range writes(t.Context(), r.Client) {
			err := write()
			if err == nil {
				t.Errorf("%s, %d: no error", op, status)
			}
			shown := fmt.Sprintf("%v %+v %#v %s", err, err, err, r.logged())
			for _, private := range []string{testToken, "400 111", "400111222", "pat@", "127.0.0.1"} {
				if strings.Contains(shown, private) {
					t.Errorf("%s, %d: %q shows in %s", op, status, private, shown)
				}
			}
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	var got, kind string
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got, kind = req.Method+" "+req.URL.Path+" "+string(body), req.Header.Get("Content-Type")
		answerJSON(goodAnswer)(w, req)
	}, canWrite, func(c *Config) { c.Methods = map[string]string{OpUpdateLead: "patch"} })
	at := time.Date(2026, 3, 2, 19, 0, 0, 5, time.FixedZone("", 10*3600))
	status, agent, list, key := int64(0), int64(33), int64(8), "007"
	ctx := t.Context()
	for want, send := range map[string]func() error{
		`POST /platform-api/v3.0/leads {"listId":7}`: func() error { _, err := r.CreateLead(ctx, NewLead{ListID: 7}); return err },
		`POST /platform-api/v3.0/leads {"listId":7,"customerKey":"007","timezone":"Australia/Perth","phone1":"1","phone2":"2","phone3":"3",` +
			`"nextAttemptTimestamp":"2026-03-02T09:00:00Z","leadData":{"plan":"gold"},"statusCode":0,"agentId":33}`: func() error {
			_, err := r.CreateLead(ctx, NewLead{
				ListID: 7, CustomerKey: key, Timezone: "Australia/Perth", Phone1: "1", Phone2: "2", Phone3: "3", NextAttempt: at,
				Data: map[string]any{"plan": "gold"}, StatusCode: &status, AgentID: &agent,
			})
			return err
		},
		`PATCH /platform-api/v3.0/leads/7001 {"customerKey":"007","isCompleted":true,"listId":8,"nextAttemptTimestamp":"2026-03-02T09:00:00Z","phone2":null}`: func() error {
			return r.UpdateLead(ctx, "7001", LeadUpdate{ListID: &list, CustomerKey: &key, NextAttempt: &at, Complete: true, Clear: []string{"phone2"}})
		},
		`POST /platform-api/v3.0/leads/lists {"campaignId":12,"listName":"August"}`: func() error { _, err := r.CreateLeadList(ctx, "August", 12); return err },
		`PUT /platform-api/v3.0/agents/presence {"agentId":33,"available":true}`:    func() error { return r.SetPresence(ctx, 33, true) },
		`PUT /platform-api/v3.0/calls/recording {"agentId":33,"recording":true}`:    func() error { return r.SetRecording(ctx, 33, true) },
	} {
		if err := send(); err != nil || got != want || kind != "application/json" {
			t.Errorf("sent %s as %q, %v\nwant %s", got, kind, err, want)
		}
	}
	if _, err := r.RemovePersonalData(ctx, " ", "pat@example.com"); err != nil || got != "DELETE /platform-api/v3.0/personal-data " || kind != "" {
		t.Errorf("sent %q as %q, %v", got, kind, err)
	}
	before := len(r.requests())
	for _, err := range []error{
		r.UpdateLead(ctx, "7001", LeadUpdate{}), r.UpdateLead(ctx, "x", LeadUpdate{Complete: true}), r.SetPresence(ctx, 0, true),
		r.UpdateLead(ctx, "7001", LeadUpdate{Clear: []string{"leadId"}}), r.MergeLeadData(ctx, "7001", nil),
	} {
		if err == nil {
			t.Error("nothing to send was sent")
		}
	}
	if len(r.requests()) != before {
		t.Error("requests were sent for nothing")
	}
}

// created counts the leads of a customer key at the vendor.
func created(box *sandbox.Sandbox, key string) (ids []int64) {
	for _, l := range box.IPSCAPE().Leads() {
		if l.CustomerKey == key {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

func TestCreateLeadOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		faults  []sandbox.Fault
		unknown bool // the first attempt stays unsettled
		found   bool // the second attempt finds what the first did
	}{
		{"nothing goes wrong", nil, false, true},
		{"times out after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultHang}}, false, true},
		{"cut after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}}, false, true},
		{"500 after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultStatus, Effect: true}}, false, true},
		{"answered with a login page after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultLoginPage, Effect: true}}, false, true},
		{"cut before taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutBefore}}, true, false},
		{"502 before taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultBadGateway}}, true, false},
		{"filters ignored", []sandbox.Fault{{Op: sandbox.OpListLeads, Kind: sandbox.FaultIgnoreFilters, Times: -1}, {Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}}, false, true},
		{"empty pages between", []sandbox.Fault{{Op: sandbox.OpListLeads, Kind: sandbox.FaultEmptyPage, Times: 2}, {Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}}, false, true},
		{"the look after it fails", []sandbox.Fault{
			{Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}, {Op: sandbox.OpListLeads, Kind: sandbox.FaultErrorJSON, After: 1},
		}, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box, client := writing(t, func(c *Config) { c.Timeout = 2 * time.Second })
			box.Faults().Add(tt.faults...)
			l := NewLead{ListID: 120, CustomerKey: " 00-" + tt.name, Phone1: "+61400111222"}
			key := strings.TrimSpace(l.CustomerKey)
			made, err := client.CreateLeadOnce(t.Context(), l)
			if errors.Is(err, ErrUnsettled) != tt.unknown || (err == nil) == tt.unknown {
				t.Fatalf("first: %+v, %v", made, err)
			}
			if tt.unknown && (vendorapi.KindOf(err) != vendorapi.Unknown || errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("first: %v", err)
			}
			again, err := client.CreateLeadOnce(t.Context(), l)
			if err != nil || again.Found != tt.found {
				t.Fatalf("second: %+v, %v", again, err)
			}
			if ids := created(box, key); len(ids) != 1 || again.LeadID != ids[0] || (!tt.unknown && made.LeadID != ids[0]) {
				t.Errorf("leads %v, first %+v, second %+v", ids, made, again)
			}
			if wrong := box.Violations(); len(wrong) > 0 {
				t.Errorf("the contract was broken: %v", wrong)
			}
		})
	}
}

func TestCreateLeadOnceDoesNotCreateBlindly(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	for _, l := range []NewLead{{ListID: 120}, {CustomerKey: "k"}, {ListID: 120, CustomerKey: " "}, {ListID: 120, CustomerKey: "N/A"}} {
		if _, err := client.CreateLeadOnce(t.Context(), l); err == nil {
			t.Errorf("%+v was created", l)
		}
	}
	// A list that cannot be read says nothing of what is in it.
	for _, fault := range []sandbox.Fault{
		{Op: sandbox.OpListLeads, Kind: sandbox.FaultErrorJSON},
		{Op: sandbox.OpListLeads, Kind: sandbox.FaultTruncated},
		{Op: sandbox.OpListLeads, Kind: sandbox.FaultEmptyPage, Times: -1},
	} {
		box.Faults().Add(fault)
		if _, err := client.CreateLeadOnce(t.Context(), NewLead{ListID: 120, CustomerKey: "k"}); err == nil {
			t.Errorf("%s: created", fault.Kind)
		}
		box.Faults().Clear()
	}
	if ids := created(box, "k"); ids != nil {
		t.Errorf("created %v", ids)
	}
	// The same key in another list is another lead; of two in one list the first is it.
	box.IPSCAPE().AddLeads(sandbox.Lead{ID: 5, ListID: 110, CustomerKey: "k"}, sandbox.Lead{ID: 9, ListID: 120, CustomerKey: "k"}, sandbox.Lead{ID: 7, ListID: 120, CustomerKey: "k"})
	made, err := client.CreateLeadOnce(t.Context(), NewLead{ListID: 120, CustomerKey: "k"})
	if err != nil || made.LeadID != 7 || !made.Found {
		t.Errorf("%+v, %v", made, err)
	}
}

func TestBulk(t *testing.T) {
	t.Parallel()
	box, client := writing(t, func(c *Config) { c.BulkSize = 4 })
	v := box.IPSCAPE()
	leads := make([]NewLead, 10)
	for i := range leads {
		leads[i] = NewLead{ListID: 120 + int64(i%2), CustomerKey: fmt.Sprintf("k%03d", i), Phone1: "+61400111222"}
	}
	v.HoldBulkJobs(true)
	bulk, err := client.BulkCreateLeads(t.Context(), leads)
	if err != nil || len(bulk.Parts) != 3 || bulk.Unsent != 0 || bulk.Parts[0].UUID == bulk.Parts[1].UUID || bulk.Parts[2].Status != "queued" {
		t.Fatalf("%+v, %v", bulk, err)
	}
	report, err := client.VerifyBulk(t.Context(), bulk)
	if err != nil || len(report.Missing[120]) != 5 || len(report.Missing[121]) != 5 {
		t.Errorf("before the job: %+v, %v", report, err)
	}
	v.HoldBulkJobs(false)
	v.AddLeads(sandbox.Lead{ListID: 121, CustomerKey: "k003"})
	v.DeleteLead(created(box, "k004")[0])
	report, err = client.VerifyBulk(t.Context(), bulk)
	if err != nil || !cmp.Equal(report.Missing[120], []string{"k004"}) || report.Missing[121] != nil || !cmp.Equal(report.Twice[121], []string{"k003"}) ||
		report.LeadIDs[120]["k000"] != created(box, "k000")[0] || len(report.LeadIDs[120]) != 4 {
		t.Errorf("after the job: %+v, %v", report, err)
	}
	one, err := client.VerifyKeys(t.Context(), 120, []string{"k000", "k004"}, time.Time{})
	if err != nil || !cmp.Equal(one.Missing[120], []string{"k004"}) {
		t.Errorf("%+v, %v", one, err)
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %v", wrong)
	}
}

// A part whose outcome is unknown ends the bulk and is remembered; one that was refused is not counted as sent.
func TestBulkStops(t *testing.T) {
	t.Parallel()
	leads := make([]NewLead, 6)
	for i := range leads {
		leads[i] = NewLead{ListID: 120, CustomerKey: "k" + strconv.Itoa(i)}
	}
	for _, tt := range []struct {
		fault   sandbox.Fault
		kind    vendorapi.Kind
		parts   int
		unsent  int
		created int
	}{
		{sandbox.Fault{Op: sandbox.OpBulkCreateLeads, Kind: sandbox.FaultCutAfter, After: 1}, vendorapi.Unknown, 2, 2, 4},
		{sandbox.Fault{Op: sandbox.OpBulkCreateLeads, Kind: sandbox.FaultCutBefore, After: 1}, vendorapi.Unknown, 2, 2, 2},
		{sandbox.Fault{Op: sandbox.OpBulkCreateLeads, Kind: sandbox.FaultStatus, Status: 422, After: 1}, vendorapi.Refused, 1, 4, 2},
	} {
		box, client := writing(t, func(c *Config) { c.BulkSize = 2 })
		box.Faults().Add(tt.fault)
		bulk, err := client.BulkCreateLeads(t.Context(), leads)
		if vendorapi.KindOf(err) != tt.kind || len(bulk.Parts) != tt.parts || bulk.Unsent != tt.unsent || bulk.Parts[tt.parts-1].Unknown != (tt.kind == vendorapi.Unknown) {
			t.Errorf("%+v: %+v, %v", tt.fault, bulk, err)
		}
		report, err := client.VerifyBulk(t.Context(), bulk)
		if err != nil || len(report.LeadIDs[120]) != tt.created || len(report.Missing[120]) != 2*tt.parts-tt.created {
			t.Errorf("%+v: %+v, %v", tt.fault, report, err)
		}
		raw, err := client.Call(t.Context(), OpBulkCreateLeads, map[string]string{"leads": `[{"listId":120,"customerKey":"x"}]`})
		if err != nil || !strings.Contains(string(raw), `"unsent":0`) {
			t.Errorf("%s, %v", raw, err)
		}
	}
}

// A lead is found in a list of many pages, which need not be one that a bulk create filled.
func TestVerifyReadsLargeLists(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	for i := range 26 * 60 {
		box.IPSCAPE().AddLeads(sandbox.Lead{ListID: 121, CustomerKey: "many" + strconv.Itoa(i)})
	}
	report, err := client.VerifyKeys(t.Context(), 121, []string{"many0", "many1559", "none"}, time.Time{})
	if err != nil || len(report.LeadIDs[121]) != 2 || !cmp.Equal(report.Missing[121], []string{"none"}) {
		t.Errorf("%+v, %v", report, err)
	}
}

// bulkLog knows some rows, and notes what it is told.
type bulkLog struct {
	known  []int
	told   []string
	noting func(ctx context.Context)
}

func (l *bulkLog) Known(context.Context, []LeadRef) ([]int, error) { return l.known, nil }

func (l *bulkLog) Sending(_ context.Context, part *BulkPart) error {
	part.ID = fmt.Sprint("p", len(l.told))
	return nil
}

func (l *bulkLog) Settled(ctx context.Context, part *BulkPart, outcome error) error {
	l.told = append(l.told, fmt.Sprintf("%s %d-%d %v %v", part.ID, part.From, part.To, part.Rows(), outcome == nil))
	l.noting(ctx)
	return nil
}

// Leads that were sent before are left out, and what comes of a part is written down even when a stop comes meanwhile, but not for ever.
func TestBulkLeavesOut(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	log := &bulkLog{known: []int{0, 3}, noting: func(noting context.Context) {
		stop()
		if _, bounded := noting.Deadline(); !bounded || noting.Err() != nil {
			t.Errorf("written down with a bound: %t, %v", bounded, noting.Err())
		}
	}}
	box, client := writing(t, func(c *Config) { c.BulkSize, c.BulkLog = 2, log })
	leads := make([]NewLead, 6)
	for i := range leads {
		leads[i] = NewLead{ListID: 120, CustomerKey: "k" + strconv.Itoa(i)}
	}
	bulk, err := client.BulkCreateLeads(ctx, leads)
	if err == nil || bulk.Skipped != 2 || bulk.Unsent != 2 || len(bulk.Parts) != 1 || bulk.Parts[0].ID != "p0" {
		t.Errorf("%+v, %v", bulk, err)
	}
	if want := []string{"p0 1-3 [1 2] true", "p1 4-6 [4 5] false"}; !cmp.Equal(log.told, want) {
		t.Errorf("told %q, want %q", log.told, want)
	}
	for key, want := range map[string]int{"k0": 0, "k1": 1, "k2": 1, "k3": 0, "k4": 0} {
		if n := len(created(box, key)); n != want {
			t.Errorf("%d leads of %s, want %d", n, key, want)
		}
	}
}

func TestMergeLeadData(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	lead := box.IPSCAPE().Leads()[0]
	box.IPSCAPE().UpdateLead(lead.ID, func(l *sandbox.Lead) {
		l.DataFields = map[string]any{"plan": "silver", "big": json.Number("9007199254740993"), "list": []string{"a"}}
	})
	id := strconv.FormatInt(lead.ID, 10)
	if err := client.MergeLeadData(t.Context(), id, map[string]any{"plan": "gold", "new": 1}); err != nil {
		t.Fatal(err)
	}
	raw, _, err := client.GetLead(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := Settings{}.parseLead(raw)
	if err != nil || string(l.dataFields) != `{"big":9007199254740993,"list":["a"],"new":1,"plan":"gold"}` {
		t.Errorf("%s, %v", l.dataFields, err)
	}
	box.IPSCAPE().UpdateLead(lead.ID, func(l *sandbox.Lead) { l.DataFields = nil }) // sent as []
	if err := client.MergeLeadData(t.Context(), id, map[string]any{"plan": "gold"}); err != nil {
		t.Error(err)
	}
	box.IPSCAPE().UpdateLead(lead.ID, func(l *sandbox.Lead) {
		l.Raw = json.RawMessage(fmt.Sprintf(`{"leadId":%d,"dataFields":"a text"}`, l.ID))
	})
	if err := client.MergeLeadData(t.Context(), id, map[string]any{"plan": "gold"}); err == nil || !strings.Contains(err.Error(), "would be lost") {
		t.Errorf("fields that cannot be read were overwritten: %v", err)
	}
	if err := client.MergeLeadData(t.Context(), "1", map[string]any{"plan": "gold"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a lead that is gone: %v", err)
	}
}

func TestRemovePersonalData(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	v := box.IPSCAPE()
	lead := v.Leads()[0]
	calls := 0
	for _, a := range v.Activities() {
		if slices.Contains([]string{a.Source, a.Destination}, lead.Phones[0]) {
			calls++
		}
	}
	removed, err := client.RemovePersonalData(t.Context(), lead.Phones[0], "")
	if err != nil || removed["leadData"]["leadsDeleted"] != 1 || removed["callData"]["activitiesOverwritten"] != int64(calls) || len(removed["emailData"]) != 5 {
		t.Errorf("%v, %v, %d calls", removed, err, calls)
	}
	if _, err := client.RemovePersonalData(t.Context(), " ", ""); err == nil {
		t.Error("nobody's data was removed")
	}
	for _, req := range box.Requests() {
		if strings.Contains(fmt.Sprint(req), lead.Phones[0]) {
			t.Error("the phone is in the simulator's log")
		}
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %v", wrong)
	}
}
