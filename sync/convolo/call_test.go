package convolo_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		config func(*convolo.Config)
		lead   pipeline.LeadView
		params map[string]string
		want   map[string]any
		detail string
	}{
		{
			name: "everything", lead: lead(),
			config: func(c *convolo.Config) {
				c.Agents = []convolo.Agent{{Name: "Dana", Phone: "+15035550111"}, {Name: "Kim", Phone: "0300 555-0112"}}
			},
			params: map[string]string{"Priority": "urgent", "company_name": "Birch", "empty": " "},
			want: map[string]any{
				"lc_number": "+15035550142", "lc_number_2": "+15035550190", "country": "US", "lc_param_ref": ref, "lc_param_name": "Zebulon Quackenbush",
				"lc_param_email": "zeb@birch.example", "lc_param_priority": "urgent", "lc_param_company_name": "Birch", "lc_param_agent01name": "Dana",
				"lc_param_agent01phone": "+15035550111", "lc_param_agent02name": "Kim", "lc_param_agent02phone": "0300 555-0112",
			},
		},
		{
			name: "the least", lead: pipeline.LeadView{Phone: "+61412345678"},
			config: func(c *convolo.Config) { c.Country = "" },
			want:   map[string]any{"lc_number": "+61412345678", "lc_param_ref": ref},
		},
		{
			name: "the same number twice", lead: pipeline.LeadView{Phone: "+15035550142", SecondPhone: "+15035550142", LastName: "Lee"},
			want: map[string]any{"lc_number": "+15035550142", "country": "US", "lc_param_ref": ref, "lc_param_name": "Lee"},
		},
		{
			name: "odd values", lead: pipeline.LeadView{Phone: "+15035550142", SecondPhone: "555", FirstName: "A\x00\"b\n<é>\xff"},
			params: map[string]string{"twenty_characters_xx": strings.Repeat("é", 256)},
			want: map[string]any{
				"lc_number": "+15035550142", "country": "US", "lc_param_ref": ref, "lc_param_name": "A \"b <é>",
				"lc_param_twenty_characters_xx": strings.Repeat("é", 255),
			},
			detail: "; lc_number_2 left out: not in international form; lc_param_twenty_characters_xx cut to 255 characters",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, answer(200, "application/json", `{"success": true}`))
			c := config(v.URL)
			if tc.config != nil {
				tc.config(&c)
			}
			outcome, err := newClient(t, c, base()).StartCall(t.Context(), ref, tc.lead, tc.params)
			if err != nil || outcome.State != pipeline.OutcomeConfirmed || outcome.Reason != "" || outcome.Detail != `{"success": true}`+tc.detail {
				t.Errorf("outcome %+v, error %v", outcome, err)
			}
			tc.want["widget_key"], tc.want["api_key"] = widgetKey, apiKey
			want := []seen{{"POST", path, "application/json", tc.want}}
			if diff := cmp.Diff(want, v.seen(), cmp.AllowUnexported(seen{})); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "application/json", `{}`))
	c := config(v.URL)
	c.Agents = []convolo.Agent{{Name: "Dana", Phone: "+15035550111"}}
	client := newClient(t, c, base())
	for _, tc := range []struct {
		name, ref, phone, reason string
		params                   map[string]string
	}{
		{"no phone", ref, "", "no_phone", nil},
		{"local phone", ref, "5035550142", "no_phone", nil},
		{"phone with blanks", ref, "+1 503 555 0142", "no_phone", nil},
		{"no reference", " ", "+15035550142", "no_reference", nil},
		{"long reference", strings.Repeat("x", 256), "+15035550142", "no_reference", nil},
		{"21 characters", ref, "+15035550142", "bad_parameter", map[string]string{"twenty_one_characters": "x"}},
		{"empty name", ref, "+15035550142", "bad_parameter", map[string]string{"": "x"}},
		{"a dash", ref, "+15035550142", "bad_parameter", map[string]string{"loan-purpose": "x"}},
		{"a letter beyond ASCII", ref, "+15035550142", "bad_parameter", map[string]string{"prénom": "x"}},
		{"names that differ by case", ref, "+15035550142", "bad_parameter", map[string]string{"Tag": "x", "tag": "y"}},
		{"our reference", ref, "+15035550142", "bad_parameter", map[string]string{"REF": "x"}},
		{"the name", ref, "+15035550142", "bad_parameter", map[string]string{"Name": "x"}},
		{"the e-mail", ref, "+15035550142", "bad_parameter", map[string]string{"email": "x"}},
		{"an agent", ref, "+15035550142", "bad_parameter", map[string]string{"agent02Phone": "x"}},
	} {
		outcome, err := client.StartCall(t.Context(), tc.ref, pipeline.LeadView{Phone: tc.phone}, tc.params)
		if outcome.State != pipeline.OutcomeRejected || outcome.Reason != tc.reason {
			t.Errorf("%s: outcome %+v, want rejected %s", tc.name, outcome, tc.reason)
		}
		if e := vendorError(t, err); e.Kind != vendorapi.Refused || e.Sent {
			t.Errorf("%s: error %+v", tc.name, e)
		}
		if _, err := client.Render(tc.ref, pipeline.LeadView{Phone: tc.phone}, tc.params); err == nil || !strings.Contains(err.Error(), tc.reason) {
			t.Errorf("%s: Render says %v", tc.name, err)
		}
	}
	if n := len(v.seen()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	c := config("http://127.0.0.1:1")
	c.Agents = []convolo.Agent{{Name: "Dana", Phone: "+15035550111"}}
	got, err := newClient(t, c, base()).Render(ref, lead(), map[string]string{"tag": "hot"})
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.Rendered{Method: "POST", URL: "http://127.0.0.1:1" + path, Params: map[string]string{
		"widget_key": "[redacted]", "api_key": "[redacted]", "lc_number": "+*********42", "lc_number_2": "+*********90", "country": "US",
		"lc_param_ref": ref, "lc_param_name": "Zebulon Quackenbush", "lc_param_email": "zeb@birch.example", "lc_param_tag": "hot",
		"lc_param_agent01name": "Dana", "lc_param_agent01phone": "+*********11",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rendered (-want +got):\n%s", diff)
	}
}
