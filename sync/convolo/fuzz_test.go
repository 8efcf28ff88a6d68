package convolo

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// FuzzWebhooks reads any post, and what it is kept as again: what was understood once has to be so when it is folded.
func FuzzWebhooks(f *testing.F) {
	for _, body := range []string{
		`{"type":"start_call","call_id":"a1","lead":{"lead_phone":"+15034251234","custom_params":{"lc_param_ref":"0197a1c2-5b1e-7c3a-9d5e-111213141516"}}}`,
		`{"type":"end_call","call_id":7,"talk_duration_sec":"28","time_ended_iso_string":"2025-06-03T17:25:48.900Z","agent":null}`,
		`[{"type":"x y"},{"type":"END_CALL","call_id":"\u0000\ud800"}]`, `type=end_call&call_id=%00&lead[lead_phone]=1`, `{"type":{}}`, "\xef\xbb\xbf{}", `""`,
	} {
		f.Add([]byte(body))
	}
	s := Settings{Account: "default", Region: "US"}
	f.Fuzz(func(t *testing.T, body []byte) {
		hooks, err := ParseWebhooks(body)
		if (err == nil) != (len(hooks) > 0) {
			t.Fatalf("%d webhooks and %v", len(hooks), err)
		}
		for i := range hooks {
			h := &hooks[i]
			payload, err := h.Payload(nil)
			if err != nil || !json.Valid(payload) || bytes.Contains(payload, []byte(`\u0000`)) || strings.ContainsRune(h.ObjectID, 0) || len(h.ObjectID) > 200 {
				t.Fatalf("%q: payload %q, %v", h.ObjectID, payload, err)
			}
			facts, err := s.Facts(pipeline.Record{Stream: h.Stream, ObjectID: h.ObjectID, Payload: payload})
			if err != nil || (h.Stream == StreamCalls) != (len(facts.Calls) == 1) {
				t.Fatalf("%q: %d calls, %v", h.ObjectID, len(facts.Calls), err)
			}
			if row, err := s.CallRow([][]byte{payload}); err != nil || len(row) != len(CallColumns()) {
				t.Fatalf("%q: row of %d, %v", h.ObjectID, len(row), err)
			}
		}
	})
}

// FuzzAnswer judges any answer: a call was either taken or refused, and nothing else that was said is kept.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{`{"success":true,"call_id":"a"}`, `{"success":"0"}`, "<html>", "", `{"call_id":"` + "\x00" + `"}`, "true"} {
		f.Add("application/json", []byte(body))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		got := judge(http.Header{"Content-Type": {kind}}, body)
		if got.State != pipeline.OutcomeConfirmed && got.State != pipeline.OutcomeRejected || got.ExternalID != "" && !callForm.MatchString(got.ExternalID) {
			t.Errorf("%+v", got)
		}
	})
}
