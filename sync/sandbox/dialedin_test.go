package sandbox_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// dial posts a form to one of DialedIn's scripts, with credentials.
func (r *rig) dial(script string, fields map[string]string) (int, string, error) {
	r.t.Helper()
	form := url.Values{"token": {r.env["DIALEDIN_TOKEN"]}, "accid": {r.env["DIALEDIN_ACCID"]}}
	for k, v := range fields {
		form.Set(k, v)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.env["DIALEDIN_BASE_URL"]+script, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := r.send(req)
	return status, string(body), err
}

func (r *rig) insert(clientID, phone string, more ...string) (string, error) {
	r.t.Helper()
	fields := map[string]string{
		"Campaign": r.env["DIALEDIN_CAMPAIGN"], "PrimaryPhone": phone, "ClientId": clientID, "FirstName": "Ann", "DuplicatesCheck": "2",
		"AllowDialingDups": "0", "DialNonCallables": "0", "timezone": "1", "ImportOnly": "0",
	}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	status, body, err := r.dial("InjectLead.php", fields)
	if err == nil && status != http.StatusOK {
		r.t.Errorf("insert answered %d", status)
	}
	return body, err
}

func (r *rig) find(field, identifier string, more ...string) string {
	r.t.Helper()
	fields := map[string]string{"Action": "SearchLead", "SearchField": field, "Identifier": identifier, "Detailed": "0"}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	_, body, err := r.dial("LeadOperations.php", fields)
	if err != nil {
		r.t.Fatal(err)
	}
	return body
}

func TestDialedInInsertSearchUpdate(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	for i := range 8 {
		body, err := r.insert(fmt.Sprintf("c%d", i), fmt.Sprintf("503425%04d", i), "adv_Loan__Amount", "25000", "email", "dropped")
		if err != nil || !strings.HasPrefix(body, "<br") || !strings.HasSuffix(strings.TrimSpace(body), " OK") {
			t.Errorf("insert %d: %q %v", i, body, err)
		}
	}
	leads := r.DialedIn().Leads()
	if len(leads) != 8 || !leads[0].Dialled || leads[0].Fields["adv_Loan__Amount"] != "25000" {
		t.Fatalf("leads %+v", leads)
	}
	if diff := cmp.Diff([]string{"email"}, leads[0].Dropped); diff != "" {
		t.Error(diff)
	}
	spellings := map[string]bool{}
	for i := range 8 {
		body := r.find("ClientId", fmt.Sprintf("c%d", i))
		answer := decode(t, []byte(body))
		if fmt.Sprint(answer["LeadExists"]) != "true" || fmt.Sprint(answer["id"]) != fmt.Sprint(leads[i].ID) {
			t.Errorf("search %d: %s", i, body)
		}
		spellings[fmt.Sprintf("%T %T", answer["id"], answer["LeadExists"])] = true
	}
	if len(spellings) != 3 {
		t.Errorf("spellings %v", spellings)
	}
	if got := r.find("ClientId", "nobody"); got != `{"LeadExists":false,"id":null}` {
		t.Error(got)
	}
	if got := r.find("Phone", "5034250003", "Campaign", "Other"); !strings.Contains(got, "false") {
		t.Errorf("search in another campaign: %s", got)
	}
	if got := r.find("Phone", "5034250003", "Detailed", "1"); !strings.Contains(got, `"Leads":[{`) || !strings.Contains(got, `"ClientId":"c3"`) {
		t.Error(got)
	}
	_, body, err := r.dial("UpdateLead.php", map[string]string{"SearchField": "ClientId", "Identifier": "c3", "CallStatus": "Sold", "adv_Unheard": "x"})
	if err != nil || !strings.Contains(body, "OK") {
		t.Errorf("update: %q %v", body, err)
	}
	if got := r.DialedIn().Leads()[3]; got.Fields["CallStatus"] != "Sold" || got.Fields["adv_Unheard"] != "" || got.Updates != 1 {
		t.Errorf("updated lead %+v", got)
	}
	_, body, err = r.dial("UpdateLead.php", map[string]string{"SearchField": "ClientId", "Identifier": "nobody", "CallStatus": "Sold"})
	if err != nil || strings.Contains(body, "OK") || len(r.DialedIn().Leads()) != 8 {
		t.Errorf("update of nobody: %q %v", body, err)
	}
	r.wantNoViolations()
}

func TestDialedInDuplicates(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]struct{ same, otherSub, otherCampaign bool }{
		"0": {true, true, false}, "1": {false, false, false}, "2": {true, true, true}, "3": {true, false, false},
	} {
		r := start(t, sandbox.Options{})
		r.DialedIn().AddCampaign("Other")
		try := func(id string, more ...string) bool {
			body, err := r.insert(id, "5034251111", append(more, "DuplicatesCheck", mode)...)
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(body, "CURL error[500]: Duplicated phone number") && strings.Contains(body, "ignored")
		}
		if try("a") {
			t.Fatal("the first is a duplicate")
		}
		got := struct{ same, otherSub, otherCampaign bool }{}
		got.same = try("b")
		got.otherSub = try("c", "Subcampaign", "S"+mode)
		got.otherCampaign = try("d", "Campaign", "Other")
		if got != want {
			t.Errorf("mode %s: %+v, want %+v", mode, got, want)
		}
	}
}

func TestDialedInDNC(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	if _, err := r.insert("a", "5034251111"); err != nil {
		t.Fatal(err)
	}
	op := func(action, number string) {
		if _, body, err := r.dial("LeadOperations.php", map[string]string{"Action": action, "Number": number}); err != nil || !strings.Contains(body, "OK") {
			t.Errorf("%s: %q %v", action, body, err)
		}
	}
	op("InsertDnc", "5034251111")
	op("InsertDnc", "5034252222")
	op("InsertDnc", "5034252222")
	if diff := cmp.Diff([]string{"5034251111", "5034252222"}, r.DialedIn().DNC()); diff != "" {
		t.Error(diff)
	}
	op("DeleteDnc", "5034251111")
	if got := r.DialedIn().Leads()[0]; !got.NonCallable {
		t.Error("the mark went with the entry")
	}
	if _, err := r.insert("b", "5034252222"); err != nil {
		t.Fatal(err)
	}
	if got := r.DialedIn().Leads()[1]; got.Dialled || !got.NonCallable || r.DialedIn().InsertsOnDNC() != 1 {
		t.Errorf("lead on the table: %+v", got)
	}
	r.wantNoViolations()
}

func TestDialedInSearchLag(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	r.DialedIn().SetSearchLag(time.Minute)
	if _, err := r.insert("a", "5034251111"); err != nil {
		t.Fatal(err)
	}
	if got := r.find("ClientId", "a"); !strings.Contains(got, "false") {
		t.Errorf("seen at once: %s", got)
	}
	r.clock.Advance(time.Minute)
	if got := r.find("ClientId", "a"); strings.Contains(got, "false") {
		t.Errorf("not seen: %s", got)
	}
}

func TestDialedInFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  sandbox.Fault
		stored bool
		broken bool
		text   string
	}{
		{sandbox.Fault{Kind: sandbox.FaultFrontTimeout}, true, false, "CURL error[28]"},
		{sandbox.Fault{Kind: sandbox.FaultLyingOK}, false, false, "Result: OK"},
		{sandbox.Fault{Kind: sandbox.FaultCutAfter}, true, true, ""},
		{sandbox.Fault{Kind: sandbox.FaultCutBefore}, false, true, ""},
		{sandbox.Fault{Kind: sandbox.FaultEmpty}, false, false, ""},
		{sandbox.Fault{Kind: sandbox.FaultEmpty, Effect: true}, true, false, ""},
		{sandbox.Fault{Kind: sandbox.FaultLoginPage, Effect: true}, true, false, "<!DOCTYPE"},
		{sandbox.Fault{Kind: sandbox.FaultHang, Delay: time.Millisecond}, true, false, "OK"},
	} {
		r := start(t, sandbox.Options{})
		r.Faults().Add(c.fault)
		body, err := r.insert("a", "5034251111")
		if (err != nil) != c.broken || !strings.Contains(body, c.text) {
			t.Errorf("%s: %q %v", c.fault.Kind, body, err)
		}
		if got := r.DialedIn().InsertsByClientID()["a"] == 1; got != c.stored {
			t.Errorf("%s: stored %v, want %v", c.fault.Kind, got, c.stored)
		}
	}
}

func TestDialedInViolations(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	for _, c := range []struct {
		phone string
		more  []string
		text  string
	}{
		{"+15034251111", nil, "not ten digits"},
		{"", nil, "missing required parameter PrimaryPhone"},
		{"5034251111", []string{"Campaign", ""}, "missing required parameter Campaign"},
		{"5034251112", []string{"AllowDialingDups", "1"}, "AllowDialingDups=1"},
		{"5034251113", []string{"DialNonCallables", "1"}, "DialNonCallables=1"},
		{"5034251114", []string{"State", "Oregon"}, "State is longer"},
		{"5034251115", []string{"DuplicatesCheck", "9"}, "DuplicatesCheck has a value"},
		{"5034251116", []string{"CallbackDate", "2026-03-01"}, "CallbackDate is not"},
	} {
		if _, err := r.insert("id", c.phone, c.more...); err != nil {
			t.Fatal(err)
		}
		r.wantViolation(c.text)
	}
	if body, err := r.insert("x", "5034259999", "Campaign", "Nowhere"); err != nil || !strings.Contains(body, "CURL error[400]") {
		t.Errorf("unknown campaign: %q %v", body, err)
	}
	if body, err := r.insert("x", "5034259999", "token", "wrong"); err != nil || !strings.Contains(body, "token") {
		t.Errorf("wrong token: %q %v", body, err)
	}
	query := url.Values{"token": {r.env["DIALEDIN_TOKEN"]}, "accid": {r.env["DIALEDIN_ACCID"]}, "Campaign": {r.env["DIALEDIN_CAMPAIGN"]}, "PrimaryPhone": {"5034258888"}, "ClientId": {"g"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.env["DIALEDIN_BASE_URL"]+"InjectLead.php?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body, err := r.send(req); err != nil || status != http.StatusOK || !strings.Contains(string(body), "OK") {
		t.Errorf("GET: %d %q %v", status, body, err)
	}
	r.wantViolation("insert_lead: credential in the url")
	r.wantViolation("insert_lead: sent with GET")
	r.wantViolation("insert_lead: personal data in the url")
	if got := r.DialedIn().AttemptsByClientID()["g"]; got != 1 || r.DialedIn().Attempts() < 9 {
		t.Errorf("attempts %d, %d of g", r.DialedIn().Attempts(), got)
	}
	all := strings.Join(r.Violations(), "\n") + fmt.Sprint(r.Requests())
	if strings.Contains(all, "503425") || strings.Contains(all, r.env["DIALEDIN_TOKEN"]) {
		t.Error("a phone or the token in what is recorded")
	}
	if status, _, err := r.dial("Nothing.php", nil); err != nil || status != http.StatusNotFound {
		t.Errorf("unknown script: %d %v", status, err)
	}
}
