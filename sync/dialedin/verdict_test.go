package dialedin_test

import (
	"testing"

	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestVerdictByText(t *testing.T) {
	t.Parallel()
	const (
		confirmed = pipeline.OutcomeConfirmed
		rejected  = pipeline.OutcomeRejected
		unknown   = pipeline.OutcomeUnknown
		denied    = pipeline.OutcomeDenied
		notSent   = pipeline.OutcomeNotSent
	)
	for _, tc := range []struct {
		name, body string
		state      pipeline.OutcomeState
		reason     string
	}{
		{"plain", "Result: OK", confirmed, ""},
		{"tags", "<br><br>Result: OK", confirmed, ""},
		{"closed tags, two blanks, line breaks", "<br/>\n<br />\nResult:  OK\n", confirmed, ""},
		{"letter case and no blank", "RESULT:ok", confirmed, ""},
		{"entities", "<br>Result:&nbsp;&#79;K", confirmed, ""},
		{"byte order mark", "\ufeffResult: OK", confirmed, ""},
		{"a comment and attributes", "<!-- front 3 --><p class=\"a\">Result: <b>OK</b></p>", confirmed, ""},
		{"duplicate", "<br><br>Result: CURL error[500]: Duplicated phone number 3055550123 ignored", rejected, "duplicate_phone"},
		{"duplicate, torn by tags", "Result: CURL error[500]: DUPLICATED<br>phone number", rejected, "duplicate_phone"},
		{"inner 400", "Result: CURL error[400]: Campaign does not exist", rejected, "curl_error_4xx"},
		{"inner 404 without result", "CURL error[404]: gone", rejected, "curl_error_4xx"},
		{"inner 401 about the token", "Result: CURL error[401]: invalid token", denied, "credentials"},
		{"inner 500", "Result: CURL error[500]: Internal error", unknown, "curl_error_5xx"},
		{"inner 503 with a word about security", "Result: CURL error[503]: security module", unknown, "curl_error_5xx"},
		{"inner 302", "Result: CURL error[302]: moved", unknown, "curl_error_5xx"},
		{"transport 6", "Result: CURL error[6]: Could not resolve host", notSent, "curl_error_not_connected"},
		{"transport 7", "Result: CURL error [ 7 ]: Failed to connect", notSent, "curl_error_not_connected"},
		{"transport 28", "Result: CURL error[28]: Operation timed out", unknown, "curl_error_cut"},
		{"transport 52", "Result: CURL error[52]: Empty reply", unknown, "curl_error_cut"},
		{"transport 56", "Result: CURL error[56]: Recv failure", unknown, "curl_error_cut"},
		{"transport 35", "Result: CURL error[35]: TLS", unknown, "curl_error_cut"},
		{"transport 0", "Result: CURL error[0]: ", unknown, "curl_error_cut"},
		{"absurd code", "Result: CURL error[99999999999999999999]: x", unknown, "unreadable_answer"},
		{"cut within the code", "Result: CURL err", unknown, "unreadable_answer"},
		{"other result", "Result: Missing campaign name", rejected, "refused"},
		{"result without text", "<br>Result: ", unknown, "unreadable_answer"},
		{"OK with more behind it", "Result: OK 4711", unknown, "unreadable_answer"},
		{"credentials", "Result: Invalid token or accid", denied, "credentials"},
		{"credentials without result", "Wrong SecurityCode", denied, "credentials"},
		{"the lead's own words are no credentials", "Result: bad field Security Token Bakery", rejected, "refused"},
		{"empty", "", unknown, "empty_answer"},
		{"blank", " \r\n\t<br>&nbsp;", unknown, "empty_answer"},
		{"login page", "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Security token</form></body></html>", unknown, "html_answer"},
		{"error page with a result in it", "<html><body>Result: error</body></html>", unknown, "html_answer"},
		{"PHP fails", "<br />\n<b>Parse error</b>: syntax error, unexpected token \";\" in InjectLead.php", unknown, "unreadable_answer"},
		{"text without result", "OK", unknown, "unreadable_answer"},
		{"JSON", `{"error":"temporarily unavailable"}`, unknown, "unreadable_answer"},
		{"bytes that are no text", "\x00\xff\xfe\x80", unknown, "unreadable_answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, answer(200, tc.body))
			view := lead()
			view.BusinessName = "Security Token Bakery"
			outcome, err := newClient(t, config(v.URL), base()).Insert(t.Context(), view)
			if outcome.State != tc.state || outcome.Reason != tc.reason {
				t.Errorf("outcome %+v, want %s %q", outcome, tc.state, tc.reason)
			}
			if (err == nil) != (tc.state == confirmed) {
				t.Errorf("error %v with outcome %s", err, outcome.State)
			}
			kinds := map[pipeline.OutcomeState]vendorapi.Kind{
				confirmed: 0, rejected: vendorapi.Refused, unknown: vendorapi.Unknown, denied: vendorapi.Denied, notSent: vendorapi.Transient,
			}
			if got := vendorapi.KindOf(err); got != kinds[tc.state] {
				t.Errorf("error kind %v, want %v", got, kinds[tc.state])
			}
		})
	}
}

func TestConfiguredPatterns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		class   dialedin.Class
		pattern string
		body    string
		state   pipeline.OutcomeState
	}{
		{dialedin.ClassAccepted, `^result: (ok|stored)`, "Result: STORED 17", pipeline.OutcomeConfirmed},
		{dialedin.ClassDuplicate, `already known`, "Result: lead already known", pipeline.OutcomeRejected},
		{dialedin.ClassCredentials, `account closed`, "Account closed", pipeline.OutcomeDenied},
		{dialedin.ClassRejected, `bad number`, "bad number", pipeline.OutcomeRejected},
		{dialedin.ClassUnknown, `queued`, "Result: queued", pipeline.OutcomeUnknown},
	} {
		v := newVendor(t, answer(200, tc.body))
		c := config(v.URL)
		c.Patterns = map[dialedin.Class]string{tc.class: tc.pattern}
		if outcome, _ := newClient(t, c, base()).Insert(t.Context(), lead()); outcome.State != tc.state {
			t.Errorf("%s: outcome %+v, want %s", tc.class, outcome, tc.state)
		}
		if outcome, _ := newClient(t, config(v.URL), base()).Insert(t.Context(), lead()); tc.class != dialedin.ClassDuplicate && outcome.State == tc.state {
			t.Errorf("%s: the default pattern gives %s already, the case shows nothing", tc.class, tc.state)
		}
	}
}
