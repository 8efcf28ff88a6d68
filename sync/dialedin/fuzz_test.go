package dialedin

import (
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// FuzzAnswer judges any answer of DialedIn. A reason is a word of ours, never a piece of what was said.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{"1", "OK 123", "duplicate", "Invalid token", "<html>", "", "{\"id\":\"5\"}", "\xff\x00", "error: +15034251234"} {
		f.Add([]byte(body))
	}
	var wrong faults
	r := newRules(nil, &wrong)
	f.Fuzz(func(t *testing.T, body []byte) {
		state, reason := r.judge(body, "+15034251234")
		switch state {
		case pipeline.OutcomeConfirmed, pipeline.OutcomeRejected, pipeline.OutcomeUnknown, pipeline.OutcomeNotSent, pipeline.OutcomeLimited, pipeline.OutcomeDenied:
		default:
			t.Errorf("state %q", state)
		}
		if strings.Contains(reason, "5034251234") || len(reason) > 200 {
			t.Errorf("reason %q", reason)
		}
	})
}

// FuzzSearch reads any answer of SearchLead.
func FuzzSearch(f *testing.F) {
	for _, body := range []string{
		`{"id":"5","LeadExists":true}`, `{"LeadExists":"0"}`, `{"Leads":[{"LeadId":7,"ClientId":"c"}]}`, `{"id":{}}`, `{"LeadExists":1e400}`, "", "[]",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if found, id, err := readSearch(body, "c"); err != nil && (found || id != "") || !found && id != "" {
			t.Errorf("found %t, id %q, %v", found, id, err)
		}
	})
}
