package convoso

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{DNCCodes: "OPTO"})
	const (
		call = `"call_log_id":"7","lead_id":"5"`
		rec  = `"recording":"https://r.example/1.mp3"`
	)
	tests := []struct {
		name, path, query, body string
		want                    []string
	}{
		// Rule 1: the URL.
		{"query event", "", "event=call_started", `{` + call + `,"status":"CB"}`, []string{"call_event started", "disposition"}},
		{"query event_type", "", "event_type=call_answered", `{` + call + `}`, []string{"call_event answered"}},
		{"query type, odd spelling", "", "Type=CALL-EVENT", `{` + call + `}`, []string{"call_event started"}},
		{"query event before type", "", "type=recording&event=lead_update", `{` + call + `}`, []string{"lead_update"}},
		{"path", "call_ended", "", `{` + call + `}`, []string{"call_event ended"}},
		{"query before path", "/recording", "event=lead-update", `{` + call + `}`, []string{"lead_update"}},
		{"unknown query, known path", "dnc", "event=foo", `{` + call + `}`, []string{"dnc"}},
		{"unknown path", "foo", "", `{` + call + `,"status":"CB"}`, []string{"disposition"}},
		{"URL before body", "", "event=lead_update", `{"event":"recording","lead_id":"5","city":"x"}`, []string{"lead_update"}},
		{"do_not_call", "", "event=do_not_call", `{"lead_id":"5"}`, []string{"dnc"}},
		// Rule 2: the body's own word.
		{"body event_type", "", "", `{"event_type":"call_event",` + call + `,"term_reason":"AGENT"}`, []string{"call_event ended"}},
		{"body eventType", "", "", `{"eventType":"Recording",` + call + `}`, []string{"recording"}},
		{"body webhook_type", "", "", `{"webhook_type":"lead_update","id":"5"}`, []string{"lead_update"}},
		{"body trigger", "", "", `{"trigger":"do not call","phone":"5035550142"}`, []string{"dnc"}},
		{"body type of something else", "", "", `{"type":"mobile",` + call + `,"status":"CB"}`, []string{"disposition"}},
		// Rule 3: opt-outs.
		{"flag", "", "", `{"is_dnc":true,"lead_id":"5"}`, []string{"dnc"}},
		{"flag in lead update", "", "event=lead_update", `{"dnc":"Y","lead_id":"5","city":"x"}`, []string{"lead_update", "dnc"}},
		{"flag not set", "", "", `{"dnc":"N","lead_id":"5","city":"x"}`, []string{"lead_update"}},
		{"code", "", "", `{"status":"dncq","phone":"5035550142"}`, []string{"dnc"}},
		{"configured code", "", "", `{"status":"OPTO","lead_id":"5"}`, []string{"dnc"}},
		{"code of a number that is not there", "", "", `{"status":"DNCNFD",` + call + `}`, []string{"disposition"}},
		{"code under a key that lost", "", "", `{"status":"NI","disposition":"DNC",` + call + `}`, []string{"dnc", "disposition"}},
		// Rule 4: recordings.
		{"recording", "", "", `{` + rec + `,"call_log_id":"7"}`, []string{"recording"}},
		{"recording and status", "", "", `{` + rec + `,` + call + `,"status":"CB"}`, []string{"disposition", "recording"}},
		{"recording and end", "", "", `{` + rec + `,` + call + `,"term_reason":"AGENT"}`, []string{"call_event ended", "recording"}},
		{"recording list", "", "", `{"recording":[{"filename":"1.wav","public_url":"https://r.example/1.mp3"}],"call_log_id":"7"}`, []string{"recording"}},
		{"empty recording", "", "event=recording", `{"recording":"",` + call + `}`, []string{"recording"}},
		// Rule 5: call events.
		{"in call", "", "", `{"status":"incall","call_log_id":"7"}`, []string{"call_event started"}},
		{"in call, by URL a disposition", "", "event=disposition", `{"status":"INCALL",` + call + `}`, []string{"disposition", "call_event started"}},
		{"end", "", "", `{"term_reason":"AGENT","call_log_id":"7"}`, []string{"call_event ended"}},
		{"end with the status of the call", "", "", `{"term_reason":"AGENT","status":"INCALL","call_log_id":"7"}`, []string{"call_event ended"}},
		{"named end with a last code", "", "event=call_event", `{"term_reason":"AGENT","status":"CB",` + call + `}`, []string{"call_event ended", "disposition"}},
		// Rule 6: dispositions.
		{"status and call", "", "", `{"status":"CB","call_log_id":"7"}`, []string{"disposition"}},
		{"status and length", "", "", `{"status":"CB","lead_id":"5","length_in_sec":0}`, []string{"disposition"}},
		{"status and date", "", "", `{"disposition":"CB","lead_id":"5","call_date":"2025-06-03 10:17:42"}`, []string{"disposition"}},
		{"all of it", "", "", `{"status":"DNC",` + rec + `,` + call + `,"term_reason":"AGENT"}`, []string{"dnc", "disposition", "recording"}},
		{"all of it, named", "", "event=disposition", `{"status":"DNC",` + rec + `,` + call + `}`, []string{"disposition", "dnc", "recording"}},
		// Rule 7: lead updates.
		{"lead and field", "", "", `{"id":"5","city":"Salem"}`, []string{"lead_update"}},
		{"phone and field", "", "", `{"phone":"5035550142","email":"a@b.example"}`, []string{"lead_update"}},
		{"lead status", "", "", `{"lead_id":"5","status":"NI"}`, []string{"lead_update"}},
		{"lead and a custom field", "", "", `{"lead_id":"5","custom_field_3":"x"}`, []string{"lead_update"}},
		{"lead update with the lead's status", "", "event=lead_update", `{"lead_id":"5","status":"NI","call_date":"2025-06-03"}`, []string{"lead_update"}},
		{"lead update with a call", "", "event=lead_update", `{` + call + `,"status":"NI"}`, []string{"lead_update", "disposition"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := post(jsonType, tt.body, tt.query)
			p.EventPath = tt.path
			facts, err := s.Parse(p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, kinds(facts)); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// A post that tells anything else is a new fact; a repeated post is not.
func TestIdentities(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	id := func(body, query string) string {
		t.Helper()
		facts, err := s.Parse(post(jsonType, body, query))
		if err != nil {
			t.Fatal(err)
		}
		return facts[0].Stream + "/" + facts[0].ObjectID
	}
	tests := []struct {
		name, a, b, query string
		same              bool
	}{
		{"same disposition", `{"call_log_id":7,"status":"CB"}`, `{"status":"CB","call_log_id":"7"}`, "", true},
		{"same disposition as a form", `{"call_log_id":7,"status":"CB"}`, `call_log_id=7&status=CB`, "", true},
		{"same disposition, less told", `{"call_log_id":7,"status":"CB","lead_id":"5"}`, `{"call_log_id":"7","status":"CB"}`, "", false},
		{"redisposition", `{"call_log_id":7,"status":"CB"}`, `{"call_log_id":7,"status":"NI"}`, "", false},
		{"states", `{"call_log_id":7,"status":"INCALL"}`, `{"call_log_id":7,"term_reason":"AGENT"}`, "", false},
		{"same recording", `{"call_log_id":7,"recording":"https://r.example/1"}`, `{"recording":"https://r.example/1","call_log_id":"7"}`, "", true},
		{"other recording", `{"call_log_id":7,"recording":"https://r.example/1"}`, `{"call_log_id":7,"recording":"https://r.example/2"}`, "", false},
		{"no call id, other time", `{"lead_id":5,"status":"CB","call_date":"2025-06-03"}`, `{"lead_id":5,"status":"CB","call_date":"2025-06-04"}`, "", false},
		{"no call id, again", `{"lead_id":5,"status":"CB","call_date":"2025-06-03"}`, `{"call_date":"2025-06-03","status":"CB","lead_id":"5"}`, "", true},
		{"lead updates with other fields", `{"lead_id":5,"call_log_id":7,"city":"x"}`, `{"lead_id":5,"call_log_id":7,"email":"x"}`, "event=lead_update", false},
		{"dnc, phone left out", `{"call_log_id":7,"status":"DNC","phone":"5035550142"}`, `{"call_log_id":7,"status":"DNC"}`, "event=dnc", false},
		{"dnc again", `{"call_log_id":7,"lead_id":5,"status":"DNC"}`, `{"call_log_id":7,"status":"DNC","lead_id":5}`, "event=dnc", true},
	}
	for _, tt := range tests {
		a, b := id(tt.a, tt.query), id(tt.b, tt.query)
		if (a == b) != tt.same {
			t.Errorf("%s: %s and %s, want same: %v", tt.name, a, b, tt.same)
		}
	}
}

// Whoever opts out once more after a lift says the same words; without call and time only the arrival tells it apart.
func TestIdentityOfAnUndatedOptOut(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	const phone = `"status":"DNC","phone":"5035550142"`
	tests := []struct {
		name, body string
		later      time.Duration
		same       bool
	}{
		{"in another second", `{` + phone + `}`, time.Second, false},
		{"in the same second", `{` + phone + `}`, time.Second - time.Microsecond, true},
		{"unreadable date", `{` + phone + `,"call_date":"soon"}`, time.Second, false},
		{"dated", `{` + phone + `,"call_date":"2025-06-03 10:17:42"}`, time.Hour, true},
		{"of a call", `{` + phone + `,"call_log_id":"7"}`, time.Hour, true},
		{"no opt-out", `{"lead_id":"5","city":"Salem"}`, time.Hour, true},
	}
	for _, tt := range tests {
		var found [2]string
		for i, at := range []time.Time{received, received.Add(tt.later)} {
			p := post(jsonType, tt.body, "")
			p.ReceivedAt = at
			facts, err := s.Parse(p)
			if err != nil || len(facts[0].ObjectID) > 120 {
				t.Fatalf("%s: %v, %v", tt.name, facts, err)
			}
			found[i] = facts[0].ObjectID
		}
		if (found[0] == found[1]) != tt.same {
			t.Errorf("%s: %v, want same: %v", tt.name, found, tt.same)
		}
	}
}
