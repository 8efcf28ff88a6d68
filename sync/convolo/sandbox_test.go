package convolo_test

import (
	"maps"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// The client against the simulator that the whole program is tested with: each reference rings at most once.
func TestAgainstSandbox(t *testing.T) {
	t.Parallel()
	box := sandbox.New(sandbox.Options{Seed: 7, Now: time.Now, Activities: -1, Leads: -1, Posts: -1})
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	env := box.Env(server.URL)
	c := convolo.Defaults()
	c.URL, c.WidgetKey, c.APIKey = env["CONVOLO_URL"], vendorapi.Secret(env["CONVOLO_WIDGET_KEY"]), vendorapi.Secret(env["CONVOLO_API_KEY"])
	c.Agents = []convolo.Agent{{Name: "Dana", Phone: "+15035550111"}}
	client := newClient(t, c, base())
	order := func(kind sandbox.FaultKind) {
		box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorConvolo, Kind: kind})
	}
	for _, tc := range []struct {
		ref   string
		fault sandbox.FaultKind
		state pipeline.OutcomeState
	}{
		{"plain", "", pipeline.OutcomeConfirmed},
		{"cut after", sandbox.FaultCutAfter, pipeline.OutcomeUnknown},
		{"cut before", sandbox.FaultCutBefore, pipeline.OutcomeUnknown},
		{"status", sandbox.FaultStatus, pipeline.OutcomeUnknown},
		{"login page", sandbox.FaultLoginPage, pipeline.OutcomeRejected},
		{"wrong length", sandbox.FaultWrongLength, pipeline.OutcomeUnknown},
	} {
		if tc.fault != "" {
			order(tc.fault)
		}
		outcome, err := client.StartCall(t.Context(), tc.ref, lead(), map[string]string{"Priority": "urgent"})
		if outcome.State != tc.state || (err == nil) != (tc.state == pipeline.OutcomeConfirmed) {
			t.Errorf("%s: outcome %+v, error %v, want %s", tc.ref, outcome, err, tc.state)
		}
	}
	if got, want := box.Convolo().RingsByRef(), map[string]int{"plain": 1, "cut after": 1, "wrong length": 1}; !maps.Equal(got, want) {
		t.Errorf("rings by reference %v, want %v", got, want)
	}
	if violations := box.Violations(); len(violations) > 0 {
		t.Errorf("the contract was broken: %q", violations)
	}
	c.APIKey = "wrong-key"
	if outcome, _ := newClient(t, c, base()).StartCall(t.Context(), "x", lead(), nil); outcome.State != pipeline.OutcomeDenied {
		t.Errorf("wrong key: outcome %+v", outcome)
	}
}
