package dialedin_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestInsertForm(t *testing.T) {
	t.Parallel()
	plain := url.Values{
		"token": {token}, "accid": {accID}, "Campaign": {"Spring"}, "PrimaryPhone": {"3055550123"}, "ClientId": {lead().ID},
		"FirstName": {"Zebulon"}, "LastName": {"Quackenbush"}, "Address": {"12 Canary Row"}, "City": {"Miami"}, "State": {"FL"},
		"ZipCode": {"33101"}, "timezone": {"1"}, "AllowDialingDups": {"0"}, "DialNonCallables": {"0"}, "DuplicatesCheck": {"2"}, "ImportOnly": {"1"},
	}
	with := func(changes url.Values) url.Values {
		out := url.Values{}
		for name, v := range plain {
			out[name] = v
		}
		for name, v := range changes {
			if out[name] = v; v == nil {
				delete(out, name)
			}
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		config func(*dialedin.Config)
		lead   func(*pipeline.LeadView)
		want   url.Values
		detail string
	}{
		{name: "defaults import without dialling", want: plain},
		{
			name: "dialling with every setting",
			config: func(c *dialedin.Config) {
				c.Dial, c.CheckHours, c.DuplicatesCheck, c.Subcampaign = true, false, 3, "Web"
			},
			want: with(url.Values{"ImportOnly": {"0"}, "timezone": {"0"}, "DuplicatesCheck": {"3"}, "Subcampaign": {"Web"}}),
		},
		{
			name: "configured fields",
			config: func(c *dialedin.Config) {
				c.Fields = map[string]string{
					"businessName": "Business Name", "requestedAmount": "adv_Loan__Amount", "customFields.loanPurpose": "Notes",
					"tags": "Tags", "secondPhone": "Phone 2", "email": "Email", "customFields.absent": "Absent", "contactFirstName": "Given",
					"industry": "LastName",
				}
			},
			want: with(url.Values{
				"adv_Business__Name": {"Birch Hill Bakery LLC"}, "adv_Loan__Amount": {"60000"}, "Notes": {"second oven"}, "adv_Tags": {"hot, web"},
				"adv_Phone__2": {"2125550188"}, "adv_Email": {"zeb@birch.example"}, "adv_Given": {"Zebulon"}, "LastName": {"Food"},
			}),
		},
		{
			name: "long values, counted in characters",
			lead: func(v *pipeline.LeadView) {
				v.FirstName, v.LastName, v.State = strings.Repeat("é", 100), strings.Repeat("é", 101), "Florida"
				v.PostalCode, v.City, v.Address = "33101-12345", "", strings.Repeat("a", 501)
			},
			want: with(url.Values{
				"FirstName": {strings.Repeat("é", 100)}, "LastName": {strings.Repeat("é", 100)}, "State": nil, "ZipCode": nil, "City": nil,
				"Address": {strings.Repeat("a", 500)},
			}),
			detail: "; Address cut to 500 characters; LastName cut to 100 characters; State left out: longer than 2 characters; " +
				"ZipCode left out: longer than 10 characters",
		},
		{
			name: "odd characters",
			lead: func(v *pipeline.LeadView) { v.FirstName, v.LastName, v.City = "Ann & Bob=x", "a\x00b\nc\xff", "  " },
			want: with(url.Values{"FirstName": {"Ann & Bob=x"}, "LastName": {"a b c"}, "City": nil}),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, answer(200, "<br><br>Result: OK"))
			c, view := config(v.URL), lead()
			if tc.config != nil {
				tc.config(&c)
			}
			if tc.lead != nil {
				tc.lead(&view)
			}
			outcome, err := newClient(t, c, base()).Insert(t.Context(), view)
			if err != nil || outcome.State != pipeline.OutcomeConfirmed || outcome.Detail != "Result: OK"+tc.detail {
				t.Errorf("outcome %+v, error %v", outcome, err)
			}
			if diff := cmp.Diff(tc.want, form(t, v)); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			if uri := v.seen()[0].uri; uri != "/HttpImport/InjectLead.php" {
				t.Errorf("asked %s", uri)
			}
		})
	}
}

func TestOtherForms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, path string
		ask        func(context.Context, *dialedin.Client) error
		want       url.Values
	}{
		{
			"InsertDNC", "/HttpImport/LeadOperations.php",
			func(ctx context.Context, c *dialedin.Client) error {
				_, err := c.InsertDNC(ctx, "+13055550123")
				return err
			},
			url.Values{"Action": {"InsertDnc"}, "Number": {"3055550123"}},
		},
		{
			"Update", "/HttpImport/UpdateLead.php",
			func(ctx context.Context, c *dialedin.Client) error {
				fields, _ := c.Fields(pipeline.LeadView{FirstName: "Ann", State: "Florida", Phone: "+13055550123"})
				fields["Loan Amount"], fields["City"] = "25000", ""
				_, err := c.Update(ctx, "src-1", fields)
				return err
			},
			url.Values{"SearchField": {"ClientId"}, "Identifier": {"src-1"}, "FirstName": {"Ann"}, "adv_Loan__Amount": {"25000"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, answer(200, "Result: OK"))
			if err := tc.ask(t.Context(), newClient(t, config(v.URL), base())); err != nil {
				t.Fatal(err)
			}
			tc.want.Set("token", token)
			tc.want.Set("accid", accID)
			if diff := cmp.Diff(tc.want, form(t, v)); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			if uri := v.seen()[0].uri; uri != tc.path {
				t.Errorf("asked %s, want %s", uri, tc.path)
			}
		})
	}
}

// What cannot be sent is rejected without a request.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "Result: OK"))
	c := newClient(t, config(v.URL), base())
	insert := func(phone, id string) func() (pipeline.Outcome, error) {
		return func() (pipeline.Outcome, error) {
			return c.Insert(t.Context(), pipeline.LeadView{ID: id, Phone: phone})
		}
	}
	update := func(id string, fields map[string]string) func() (pipeline.Outcome, error) {
		return func() (pipeline.Outcome, error) { return c.Update(t.Context(), id, fields) }
	}
	for _, tc := range []struct {
		name, reason string
		ask          func() (pipeline.Outcome, error)
	}{
		{"Australia", "not_nanp", insert("+61412345678", "a")},
		{"no phone", "not_nanp", insert("", "a")},
		{"ten digits are no E.164", "not_nanp", insert("3055550123", "a")},
		{"no id", "no_client_id", insert("+13055550123", " ")},
		{"long id", "no_client_id", insert("+13055550123", strings.Repeat("x", 51))},
		{"DNC abroad", "not_nanp", func() (pipeline.Outcome, error) { return c.InsertDNC(t.Context(), "+442079460958") }},
		{"nothing to update", "nothing_to_update", update("a", map[string]string{"FirstName": " ", "State": "Florida"})},
		{"update without id", "no_client_id", update("", map[string]string{"FirstName": "A"})},
		{"update of a switch", "bad_field", update("a", map[string]string{"DialNonCallables": "1"})},
		{"update of the phone", "bad_field", update("a", map[string]string{"PrimaryPhone": "3055550199"})},
		{"update of the token, other case", "bad_field", update("a", map[string]string{"TOKEN": "x"})},
		{"update with a callback", "bad_field", update("a", map[string]string{"CallbackDate": "x"})},
	} {
		outcome, err := tc.ask()
		if outcome.State != pipeline.OutcomeRejected || outcome.Reason != tc.reason {
			t.Errorf("%s: outcome %+v, want rejected %s", tc.name, outcome, tc.reason)
		}
		if e := vendorError(t, err); e.Kind != vendorapi.Refused || e.Sent || e.Code != tc.reason || !strings.Contains(e.Error(), ": refused by us, not sent, code ") || outcome.Detail != pipeline.DetailWithheld {
			t.Errorf("%s: error %v, detail %q", tc.name, e, outcome.Detail)
		}
	}
	if _, _, err := c.Search(t.Context(), ""); err == nil {
		t.Error("Search without id has no error")
	}
	if n := len(v.seen()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestDuplicateDNCIsConfirmed(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "Result: CURL error[500]: Duplicated phone number ignored"))
	outcome, err := newClient(t, config(v.URL), base()).InsertDNC(t.Context(), "+13055550123")
	if err != nil || outcome.State != pipeline.OutcomeConfirmed || outcome.Reason != "already_listed" {
		t.Errorf("outcome %+v, error %v", outcome, err)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	c := config("http://127.0.0.1:1")
	c.Fields = map[string]string{"secondPhone": "Other", "phone": "Main"}
	client := newClient(t, c, base())
	got, err := client.Render("insertlead", lead())
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.Rendered{Method: "POST", URL: "http://127.0.0.1:1/HttpImport/InjectLead.php", Params: map[string]string{
		"token": "[redacted]", "accid": "[redacted]", "Campaign": "Spring", "PrimaryPhone": "********23", "ClientId": lead().ID,
		"FirstName": "Zebulon", "LastName": "Quackenbush", "Address": "12 Canary Row", "City": "Miami", "State": "FL", "ZipCode": "33101",
		"timezone": "1", "AllowDialingDups": "0", "DialNonCallables": "0", "DuplicatesCheck": "2", "ImportOnly": "1",
		"adv_Other": "********88", "adv_Main": "********23",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rendered (-want +got):\n%s", diff)
	}
	for _, op := range []string{"UpdateLead", "SearchLead", "InsertDnc"} {
		if got, err := client.Render(op, lead()); err != nil || got.Params["token"] != "[redacted]" || strings.Contains(fmt.Sprint(got), "3055550123") {
			t.Errorf("Render(%s) = %+v, %v", op, got, err)
		}
	}
	if _, err := client.Render("InsertLead", pipeline.LeadView{ID: "x", Phone: "+61412345678"}); err == nil || !strings.Contains(err.Error(), "not_nanp") {
		t.Errorf("rendering a number abroad: %v", err)
	}
	if _, err := client.Render("Nonsense", lead()); err == nil {
		t.Error("an unknown operation was rendered")
	}
}
