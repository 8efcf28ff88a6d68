package convolo_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// pairs makes arguments of "name=value; name=value".
func pairs(text string) map[string]string {
	args := map[string]string{}
	for pair := range strings.SplitSeq(text, "; ") {
		name, value, _ := strings.Cut(pair, "=")
		args[name] = value
	}
	return args
}

// An operator's call carries all that is documented, rings once, and breaks no rule of the vendor's.
func TestCallAgainstSandbox(t *testing.T) {
	t.Parallel()
	box := sandbox.New(sandbox.Options{Seed: 7, Now: time.Now, Activities: -1, Leads: -1, Posts: -1})
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	env := box.Env(server.URL)
	c := convolo.Defaults()
	c.URL, c.WidgetKey, c.APIKey = env["CONVOLO_URL"], vendorapi.Secret(env["CONVOLO_WIDGET_KEY"]), vendorapi.Secret(env["CONVOLO_API_KEY"])
	c.Agents = []convolo.Agent{{Name: "Dana", Phone: "+15035550111"}}
	client := newClient(t, c, base())
	for _, args := range []string{
		"lc_number=+1 (503) 555-0142; lc_number_2=+15035550143; country=us; lc_message=a lead from the shell; lc_param_ref=mine; lc_param_name=Ana Ruiz; " +
			"lc_param_email=ana@birchhill.example; lc_param_Purpose=oven; lc_param_agent01name=Rae; lc_param_agent01phone=+15035550190",
		"lc_number=5035550144",
	} {
		if err := convolo.CheckCall(pairs(args)); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		raw, err := client.Call(t.Context(), "made-up", pairs(args))
		var report vendorapi.Report
		if err != nil || json.Unmarshal(raw, &report) != nil || report.State != pipeline.OutcomeConfirmed || report.Reference == "" {
			t.Errorf("%s: %s, %v", args, raw, err)
		}
	}
	if got := fmt.Sprint(box.Convolo().RingsByRef()); got != "map[made-up:1 mine:1]" {
		t.Errorf("rings: %s", got)
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %q", wrong)
	}
}

func TestCheckCall(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"lc_number_2=+15035550177":                                           "lc_number: is missing",
		"lc_number=quokka":                                                   "lc_number: must be a number",
		"lc_number=+15035550177; country=USA":                                "country: must be two letters",
		"lc_number=+15035550177; 1c_param_x=y":                               "there is no argument 1c_param_x",
		"lc_number=+15035550177; lc_param_" + strings.Repeat("x", 21) + "=y": "1 to 20 letters",
		"lc_number=+15035550177; lc_param_x=y; LC_PARAM_X=z":                 "is given twice",
		"lc_number=+15035550177; lc_param_agent01name=Rae":                   "agent01: needs both",
		"lc_number=+15035550177; widget_key=x":                               "there is no argument widget_key",
		"lc_number=+15035550177; is_test=1":                                  "there is no argument is_test",
	} {
		if err := convolo.CheckCall(pairs(args)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "quokka") || strings.Contains(err.Error(), "5035550177") {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// Whatever the vendor quotes of an operator's request stays out of errors and reports, for every status.
func TestCallShowsNothingSecret(t *testing.T) {
	t.Parallel()
	status := 0
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		answer(status, "application/json", `{"success":false,"debug":"`+apiKey+" "+widgetKey+` Quackenbush 5035550142 +15035550142"}`)(w, r)
	})
	client := newClient(t, config(v.URL), base())
	for status = range 600 {
		if status < 200 || http.StatusText(status) == "" {
			continue
		}
		raw, err := client.Call(t.Context(), "r", pairs("lc_number=+15035550142; lc_param_name=Quackenbush"))
		if err == nil && status/100 != 2 || strings.Contains(string(raw), "confirmed") && status != 204 && status != 205 {
			t.Errorf("status %d: %s, %v", status, raw, err)
		}
		for _, secret := range []string{apiKey, widgetKey, "Quackenbush", "5035550142"} {
			if strings.Contains(string(raw)+fmt.Sprint(err), secret) {
				t.Errorf("status %d: %q came out: %s, %v", status, secret, raw, err)
			}
		}
	}
}
