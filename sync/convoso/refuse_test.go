package convoso

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	many := func(n int) string {
		var b strings.Builder
		b.WriteString("call_log_id=1&status=CB")
		for i := range n - 2 {
			fmt.Fprintf(&b, "&k%d=v", i)
		}
		return b.String()
	}
	tests := []struct {
		name, body, query string
		want              error
	}{
		{"nothing", "", "", ErrUnparsable},
		{"nothing but an event name", "", "event=disposition", ErrUnparsable},
		{"blanks", " \r\n\t", "", ErrUnparsable},
		{"prose", "hello world", "", ErrUnparsable},
		{"prose with an equals sign", "Dear sir, two and two=four!", "", ErrUnparsable},
		{"XML", `<lead id="7"/>`, "", ErrUnparsable},
		{"cut JSON", `{"call_log_id":"1","status":"CB`, "", ErrUnparsable},
		{"cut JSON with a URL", `{"call_log_id":"1","recording":"https://x.example/a?b=1&c=2`, "", ErrUnparsable},
		{"cut encoded JSON", `%7B%22call_log_id%22%3A%221%22&x=1&y=2`, "", ErrUnparsable},
		{"JSON and more", `{"call_log_id":"1","status":"CB"} and more`, "", ErrUnparsable},
		{"number", `123`, "", ErrUnparsable},
		{"binary", "\x00\x01=\xff\xfe", "", ErrUnparsable},
		{"100k nesting", `{"a":` + nested(100_000) + `}`, "", ErrUnparsable},
		{"100k arrays", nested(100_000), "", ErrUnparsable},
		{"unclosed nesting", strings.Repeat("[", 100_000), "", ErrUnparsable},
		{"too many keys", many(501), "", ErrUnparsable},
		{"too many keys with the query's", many(500), "x=1", ErrUnparsable},
		{"too many keys in the query", `[{"a":1},{"b":2}]`, many(501), ErrUnparsable},
		{"empty object", `{}`, "", ErrUnrecognised},
		{"empty array", `[]`, "event=disposition", ErrUnrecognised},
		{"array of scalars", `[1,"a",null]`, "", ErrUnrecognised},
		{"strange keys", `{"foo":"bar"}`, "", ErrUnrecognised},
		{"an id alone", `{"call_log_id":"1"}`, "", ErrUnrecognised},
		{"a lead alone", `{"lead_id":"1"}`, "", ErrUnrecognised},
		{"a code alone", `{"status":"CB"}`, "", ErrUnrecognised},
		{"an event name alone", `{"event":"disposition"}`, "", ErrUnrecognised},
		{"only empty values", `{"call_log_id":"","status":null}`, "event=disposition", ErrUnrecognised},
		{"an event name and a credential", "", "event=disposition&api_key=k", ErrUnrecognised},
		// An opt-out that nobody can act on must not be answered as if it held.
		{"an opt-out of nobody", `{"agent_comment":"x"}`, "event=dnc", ErrUnrecognised},
		{"an opt-out of an e-mail", `{"email":"ana@birchhill.example","dnc":"1"}`, "event=dnc", ErrUnrecognised},
		{"an opt-out of a lead id that is none", `{"lead_id":"` + strings.Repeat("9", 201) + `"}`, "event=dnc", ErrUnrecognised},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			facts, err := s.Parse(post("", tt.body, tt.query))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %d facts and error %v, want %v", len(facts), err, tt.want)
			}
		})
	}
	if _, err := s.Parse(post("", many(500), "")); err != nil {
		t.Errorf("500 keys: %v", err)
	}
}

// Errors land in logs: they must not quote the post.
func TestErrorsQuoteNothing(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, body := range []string{`{"phone":"5035550142`, `phone 5035550142 Ana`, `{"phone_number":"5035550142"}`} {
		_, err := s.Parse(post("", body, "token=tok5035550142"))
		if err == nil || strings.Contains(err.Error(), "5035550142") || strings.Contains(err.Error(), "Ana") {
			t.Errorf("error of %q: %v", body, err)
		}
	}
}

// Endpoints may append credentials to the URL; tables must not show them.
func TestCredentialsAreMasked(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	facts, err := s.Parse(post(jsonType, samples()[0].json, "api_key=canary1&Auth-Token=canary2&x=1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		if strings.Contains(string(f.Payload), "canary") || strings.Contains(string(f.Row.Unmapped), "canary") {
			t.Errorf("a credential shows in %s", f.Payload)
		}
	}
	if got := string(facts[0].Row.Unmapped); got != `{"Auth-Token":"[redacted]","api_key":"[redacted]","x":"1"}` {
		t.Errorf("unmapped is %s", got)
	}
}

func TestBodyWinsOverQuery(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	facts, err := s.Parse(Post{
		Body:  []byte(`{"uniqueid":"2","status":"","lead_id":"9"}`),
		Query: url.Values{"call_log_id": {"1"}, "status": {"CB"}, "leadId": {"8"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if row := facts[0].Row; row.CallLogID != "2" || row.Status != "CB" || row.LeadID != "9" {
		t.Errorf("call %s, status %s, lead %s; want the body's where it says something", row.CallLogID, row.Status, row.LeadID)
	}
}
