package ipscape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
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
