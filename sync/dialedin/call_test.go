package dialedin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// desk is a client with every script set, and the simulator behind it.
func desk(t *testing.T) (*dialedin.Client, *sandbox.Sandbox) {
	t.Helper()
	box := sandbox.New(sandbox.Options{Seed: 7, Now: time.Now, Activities: -1, Leads: -1, Posts: -1})
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	env := box.Env(server.URL)
	c := dialedin.Defaults()
	c.BaseURL, c.Token, c.AccID = env["DIALEDIN_BASE_URL"], vendorapi.Secret(env["DIALEDIN_TOKEN"]), env["DIALEDIN_ACCID"]
	c.Campaign, c.Subcampaign, c.Dial, c.Scripts = env["DIALEDIN_CAMPAIGN"], env["DIALEDIN_SUBCAMPAIGN"], true, map[dialedin.Group]string{}
	for group, script := range sandbox.DialedInScripts() {
		c.Scripts[dialedin.Group(strings.ToLower(group))] = script
	}
	return newClient(t, c, base()), box
}

// pairs makes arguments of "name=value; name=value".
func pairs(text string) map[string]string {
	args := map[string]string{}
	for pair := range strings.SplitSeq(text, "; ") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			args[name] = value
		}
	}
	return args
}

// Every operation goes over HTTP with every parameter that it documents, changes what it is to change, and breaks no rule of
// the vendor's.
func TestCallEveryOperation(t *testing.T) {
	t.Parallel()
	client, box := desk(t)
	steps := []struct{ op, args, want string }{
		{"SearchLead", "SearchField=ClientId; Identifier=op-1", `"LeadExists":false`},
		{
			"InsertLead", "PrimaryPhone=+13055550123; ClientId=op-1; FirstName=Ann; LastName=Lee; Address=1 Row; City=Miami; State=FL; ZipCode=33101; Rep=r; CallStatus=New; " +
				"Notes=hot; Loan Amount=25000; adv_Policy__ID=7; Campaign=Funding Desk; Subcampaign=Web; ImportOnly=0; timezone=1; DuplicatesCheck=3; AllowDialingDups=0; DialNonCallables=0; " +
				"CallbackAgent=dana; CallbackDate=2026-03-05T14:00:00Z; CallbackNotes=again; customerTimezone=America/New_York", `"confirmed"`,
		},
		{"SearchLead", "SearchField=Phone; Identifier=+13055550123; Detailed=1; Campaign=Funding Desk; Subcampaign=Web", `"adv_Loan__Amount":"25000"`},
		{
			"UpdateLead", "SearchField=ClientId; Identifier=op-1; FirstName=Anna; LastName=L; Address=2 Row; City=Tampa; State=FL; ZipCode=33602; Rep=s; CallStatus=Sold; Notes=x; Loan Amount=30000; " +
				"CallbackAgent=dana; CallbackDate=03/05/2026 09:05:00; CallbackNotes=again; customerTimezone=America/New_York", `"confirmed"`,
		},
		{"UpdateLead", "SearchField=Phone; Identifier=(305) 555-0123; CallbackAgent=dana; CallbackDate=03/06/2026 09:05:00", `"confirmed"`},
		{"InsertDnc", "Number=3055550124", `"confirmed"`},
		{"DeleteDnc", "Number=+13055550124", `"confirmed"`},
		{"SendSms", "From=3055550100; To=+13055550123; Message=Hello there; Agent=dana; LeadId=4711", `"confirmed"`},
		{"AvailableInboundAgents", "DID=3055550100; CallId=3055550123; CanBeOnCall=1; CanBeOnBreak=0; CanDoWrapUp=1", `"answer":"Result: 4"`},
		{"ConferenceCall", "Agent=dana; Phone=3055550123; PrivateConference=1", `"confirmed"`},
		{"CreateList", "Agent=dana; List=hot", `"confirmed"`},
		{"AddPhone", "Agent=dana; List=hot; Phone=3055550123", `"confirmed"`},
		{"AddPhone", "Agent=dana; List=hot; Phone=3055550125", `"confirmed"`},
		{"PhoneDialed", "Agent=dana; List=hot; Phone=3055550123", `"confirmed"`},
		{"PhoneUnDialed", "Agent=dana; List=hot; Phone=3055550125", `"confirmed"`},
		{"DeletePhone", "Agent=dana; List=hot; Phone=3055550125", `"confirmed"`},
		{"CreateList", "Agent=dana; List=cold", `"confirmed"`},
		{"DeleteList", "Agent=dana; List=cold", `"confirmed"`},
		{"AssignFilter", "Playlist=Hot; Filter=FL", `"confirmed"`},
		{"EnableFilter", "Playlist=Hot; Filter=FL", `"confirmed"`},
		{"AssignFilter", "Playlist=Hot; Filter=TX", `"confirmed"`},
		{"DisableFilter", "Playlist=Hot; Filter=TX", `"confirmed"`},
		{"AssignFilter", "Playlist=Hot; Filter=NY", `"confirmed"`},
		{"RemoveFilter", "Playlist=Hot; Filter=NY", `"confirmed"`},
		{"ReloadPlaylist", "Playlist=Hot", `"confirmed"`},
		{"UpdatePriority", "Skill=loans; Source=3055550100; Priority=2; Delay=30; Active=1", `"confirmed"`},
		{"ReloadSkills", "", `"confirmed"`},
	}
	called := map[string]bool{}
	for _, s := range steps {
		args := pairs(s.args)
		if err := dialedin.CheckCall(s.op, args); err != nil {
			t.Errorf("%s: %v", s.op, err)
		}
		raw, err := client.Call(t.Context(), s.op, args)
		if err != nil || !strings.Contains(string(raw), s.want) {
			t.Errorf("%s: %s, %v, want %s", s.op, raw, err, s.want)
		}
		called[s.op] = true
		for name := range args {
			called[s.op+" "+name] = true
		}
	}
	for _, op := range dialedin.Described() {
		if !called[op.Name] {
			t.Errorf("%s was not called", op.Name)
		}
		for _, p := range op.Params {
			if !called[op.Name+" "+p.Name] {
				t.Errorf("%s was not called with %s", op.Name, p.Name)
			}
		}
	}
	got := box.DialedIn().Desk()
	want := sandbox.DialedInDesk{
		Texts:       []string{"From=3055550100 To=3055550123 Message=Hello there Agent=dana LeadId=4711"},
		Conferences: []string{"Agent=dana Phone=3055550123 PrivateConference=1"},
		Lists:       map[string]map[string]bool{"dana/hot": {"3055550123": true}},
		Playlists:   map[string]map[string]bool{"Hot": {"FL": true, "TX": false}},
		Priorities:  map[string]string{"loans/3055550100": "Priority=2 Delay=30 Active=1"},
		Reloads:     map[string]int{"playlist Hot": 1, "skills": 1},
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("at the desk:\n%s\nwant\n%s", g, w)
	}
	leads := box.DialedIn().Leads()
	if len(leads) != 1 || leads[0].Fields["FirstName"] != "Anna" || leads[0].Fields["adv_Policy__ID"] != "7" || len(box.DialedIn().DNC()) != 0 {
		t.Errorf("leads %+v, numbers %v", leads, box.DialedIn().DNC())
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %q", wrong)
	}
	// A refusal is told as one.
	raw, err := client.Call(t.Context(), "DeleteList", pairs("Agent=dana; List=cold"))
	if vendorapi.KindOf(err) != vendorapi.Refused || !strings.Contains(string(raw), `"state":"rejected"`) {
		t.Errorf("a list that is gone: %s, %v", raw, err)
	}
}

// Wrong arguments are found before anything is sent, and none is quoted.
func TestCheckCall(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"InsertLead PrimaryPhone=+61400111222; ClientId=x":                                                                               "PrimaryPhone: is no North American number",
		"InsertLead PrimaryPhone=3055550123":                                                                                             "ClientId: is missing",
		"InsertLead PrimaryPhone=3055550123; ClientId=x; AllowDialingDups=1":                                                             "AllowDialingDups: must be 0",
		"InsertLead PrimaryPhone=3055550123; ClientId=x; DialNonCallables=1":                                                             "DialNonCallables: must be 0",
		"InsertLead PrimaryPhone=3055550123; ClientId=x; DuplicatesCheck=1":                                                              "DuplicatesCheck: must be 0 or 2 or 3",
		"InsertLead PrimaryPhone=3055550123; ClientId=x; firstname=Ann":                                                                  "names must match to the letter",
		"InsertLead PrimaryPhone=3055550123; ClientId=x; accid=Ann":                                                                      "not for data to fill",
		"InsertLead PrimaryPhone=3055550123; ClientId=" + strings.Repeat("x", 51):                                                        "ClientId: is longer than 50",
		"InsertLead PrimaryPhone=3055550123; ClientId=x; CallbackDate=2026-03-05T14:00:00Z":                                              "CallbackAgent: is missing",
		"InsertLead PrimaryPhone=3055550123; ClientId=x; CallbackAgent=dana":                                                             "CallbackDate: is missing",
		"InsertLead PrimaryPhone=8005550123; ClientId=x; CallbackAgent=d; CallbackDate=2026-03-05T14:00:00Z":                             "customerTimezone: is missing",
		"UpdateLead SearchField=ClientId; Identifier=x; CallbackAgent=d; CallbackDate=tomorrow":                                          "CallbackDate: must be a time",
		"UpdateLead SearchField=ClientId; Identifier=x; CallbackAgent=d; CallbackDate=03/08/2026 02:30:00; customerTimezone=US/Eastern":  "twice or never",
		"UpdateLead SearchField=ClientId; Identifier=x; CallbackAgent=d; CallbackDate=2026-11-01T05:30:00Z; customerTimezone=US/Eastern": "twice or never",
		"UpdateLead SearchField=ClientId; Identifier=x; CallbackAgent=d; CallbackDate=2026-11-01T05:30:00Z; customerTimezone=Nowhere/At": "must be an IANA zone",
		"UpdateLead SearchField=ClientId; Identifier=x":                                                                                  "no field to set",
		"UpdateLead SearchField=Email; Identifier=x; City=y":                                                                             "SearchField: must be ClientId or LeadId or Phone",
		"SearchLead SearchField=Phone; Identifier=quokka":                                                                                "Identifier: is no North American number",
		"UpdatePriority Skill=a; Source=b; Priority=high":                                                                                "Priority: is no whole number",
		"ReloadSkills Skill=x": "there is no argument Skill; it takes none",
	} {
		name, rest, _ := strings.Cut(args, " ")
		err := dialedin.CheckCall(name, pairs(rest))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "quokka") || strings.Contains(err.Error(), "3055550123") {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// A callback is written by the customer's clock, from a time with any offset.
func TestCallbackIsLocal(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"CallbackDate=2026-03-05T14:00:00Z":                                                    "03/05/2026 09:00:00", // Miami, by its area code
		"CallbackDate=2026-07-05T14:00:00+02:00":                                               "07/05/2026 08:00:00",
		"CallbackDate=2026-03-05T14:00:00Z; customerTimezone=America/Phoenix":                  "03/05/2026 07:00:00",
		"CallbackDate=03/05/2026 07:00:00":                                                     "03/05/2026 07:00:00",
		"CallbackDate=2026-03-08T07:00:00Z; customerTimezone=America/New_York":                 "03/08/2026 03:00:00",
		"CallbackDate=11/01/2026 00:59:59; customerTimezone=America/New_York; CallbackNotes=a": "11/01/2026 00:59:59",
	} {
		v := newVendor(t, answer(200, "Result: OK"))
		client := newClient(t, config(v.URL), base())
		whole := pairs("PrimaryPhone=3055550123; ClientId=x; CallbackAgent=dana; " + args)
		if _, err := client.Call(t.Context(), "InsertLead", whole); err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		got := form(t, v)
		if got.Get("CallbackDate") != want || got.Has("customerTimezone") || got.Get("ImportOnly") != "1" || got.Get("DuplicatesCheck") != "2" || got.Get("timezone") != "1" {
			t.Errorf("%s: sent %v, want %s", args, got, want)
		}
	}
}

// Every status, for every operation: what has an effect is never taken for done, and what may have rung is never called harmless.
func TestCallVerdictByStatus(t *testing.T) {
	t.Parallel()
	status := 0
	v := newVendor(t, answerWith(&status))
	c := config(v.URL)
	c.Scripts = map[dialedin.Group]string{}
	for group, script := range sandbox.DialedInScripts() {
		c.Scripts[dialedin.Group(strings.ToLower(group))] = script
	}
	client := newClient(t, c, base())
	for _, status = range []int{200, 204, 301, 302, 307, 400, 401, 403, 404, 405, 408, 409, 410, 422, 429, 500, 501, 502, 503, 504, 599} {
		for _, op := range dialedin.Described() {
			if op.Effect == vendorapi.Reads && status >= 500 {
				continue // tried three times, which takes a second
			}
			raw, err := client.Call(t.Context(), op.Name, sample(op))
			var report vendorapi.Report
			_ = json.Unmarshal(raw, &report)
			kind := vendorapi.KindOf(err)
			want := map[bool]vendorapi.Kind{true: vendorapi.Malformed, false: vendorapi.Unknown}[op.Effect == vendorapi.Reads]
			wantState := pipeline.OutcomeUnknown
			repeatable := !slices.Contains([]string{"InsertLead", "SendSms", "ConferenceCall", "CreateList"}, op.Name)
			switch {
			case status == 401, status == 403, status/100 == 3, status == 404, status == 405, status == 410:
				want, wantState = vendorapi.Denied, pipeline.OutcomeDenied
			case status == 429:
				want, wantState = vendorapi.Limited, pipeline.OutcomeLimited
			case status == 408 && op.Effect == vendorapi.Reads:
				want = vendorapi.Transient
			case status/100 == 4 && status != 408:
				want, wantState = vendorapi.Refused, pipeline.OutcomeRejected
			case op.Effect != vendorapi.Reads && repeatable:
				want = vendorapi.Transient
			}
			if kind != want || op.Effect != vendorapi.Reads && report.State != wantState {
				t.Errorf("%s, status %d: %v, %+v, want %s and %s", op.Name, status, err, report, want, wantState)
			}
		}
	}
	for _, seen := range v.seen() {
		if strings.Contains(seen.uri, "?") || seen.method != "POST" || seen.form.Get("token") != token {
			t.Fatalf("%s %s: want a POST form with the token in it", seen.method, seen.uri)
		}
	}
}

// sample are arguments that the operation takes.
func sample(op vendorapi.Operation) map[string]string {
	args := map[string]string{}
	for _, p := range op.Params {
		switch {
		case !p.Required:
		case p.Values != nil:
			args[p.Name] = p.Values[0]
		case p.Type == "phone":
			args[p.Name] = "3055550123"
		default:
			args[p.Name] = "Quackenbush"
		}
	}
	if op.Name == "UpdateLead" {
		args["LastName"] = "Quackenbush"
	}
	return args
}

// What an operator gives is masked in errors and reports, and the token in all its forms.
func TestCallShowsNothingSecret(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "Result: no "+token+" of "+accID+" for Quackenbush at 3055550123 or +13055550123"))
	c := config(v.URL)
	c.Scripts = map[dialedin.Group]string{}
	for group, script := range sandbox.DialedInScripts() {
		c.Scripts[dialedin.Group(strings.ToLower(group))] = script
	}
	client := newClient(t, c, base())
	for _, op := range dialedin.Described() {
		if op.Effect == vendorapi.Reads {
			continue // its answer is what was asked for
		}
		raw, err := client.Call(t.Context(), op.Name, sample(op))
		for _, secret := range []string{token, accID, "Quackenbush", "3055550123"} {
			if given := slices.Contains(slices.Collect(maps.Values(sample(op))), secret); !given && secret != token && secret != accID {
				continue
			}
			if text := fmt.Sprint(err); strings.Contains(text, secret) {
				t.Errorf("%s: %q in %s", op.Name, secret, text)
			}
			var report vendorapi.Report
			if err := json.Unmarshal(raw, &report); err != nil || strings.Contains(report.Detail, secret) {
				t.Errorf("%s: %q in %s", op.Name, secret, raw)
			}
		}
	}
}

// A script that is only guessed is not asked, and the setting is named.
func TestGuessedScriptsRefuse(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "Result: OK"))
	c := config(v.URL)
	client, guessed := newClient(t, c, base()), 0
	for _, op := range dialedin.Described() {
		missing := c.MissingScript(op.Name)
		if missing == "" {
			continue
		}
		guessed++
		if _, err := client.Call(t.Context(), op.Name, sample(op)); vendorapi.KindOf(err) != vendorapi.Denied || !strings.Contains(op.Note, missing) {
			t.Errorf("%s: %v, note %q, want it to name %s", op.Name, err, op.Note, missing)
		}
	}
	if guessed != 16 || len(v.seen()) != 0 {
		t.Errorf("%d operations are guessed, %d requests were sent", guessed, len(v.seen()))
	}
}

func answerWith(status *int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		answer(*status, "")(w, r)
	}
}
