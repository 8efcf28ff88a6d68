package dialedin_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// The client against the simulator that the whole program is tested with: its state shows what really happened.
func TestAgainstSandbox(t *testing.T) {
	t.Parallel()
	box := sandbox.New(sandbox.Options{Seed: 7, Now: time.Now, Activities: -1, Leads: -1, Posts: -1})
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	env := box.Env(server.URL)
	c := dialedin.Defaults()
	c.BaseURL, c.Token, c.AccID = env["DIALEDIN_BASE_URL"], vendorapi.Secret(env["DIALEDIN_TOKEN"]), env["DIALEDIN_ACCID"]
	c.Campaign, c.Subcampaign, c.Dial = env["DIALEDIN_CAMPAIGN"], env["DIALEDIN_SUBCAMPAIGN"], true
	c.Fields = map[string]string{"requestedAmount": "Loan Amount"}
	client, ctx := newClient(t, c, base()), t.Context()

	expect := func(step string, got pipeline.Outcome, err error, state pipeline.OutcomeState, reason string) {
		t.Helper()
		if got.State != state || got.Reason != reason || (err == nil) != (state == pipeline.OutcomeConfirmed) {
			t.Errorf("%s: outcome %+v, error %v, want %s %q", step, got, err, state, reason)
		}
	}
	found := func(step, clientID string, want bool) {
		t.Helper()
		if got, id, err := client.Search(ctx, clientID); got != want || err != nil || (id != "") != want {
			t.Errorf("%s: Search = %v, %q, %v, want %v", step, got, id, err, want)
		}
	}
	first, second, third := lead(), lead(), lead()
	second.ID, second.Phone = "second", "+13055550199"
	third.ID, third.Phone = "third", "+12125550143"

	found("before anything", first.ID, false)
	outcome, err := client.Insert(ctx, first)
	expect("insert", outcome, err, pipeline.OutcomeConfirmed, "")
	found("after the insert", first.ID, true)
	box.DialedIn().AddCampaign("Autumn")
	autumn := c
	autumn.Campaign = "Autumn"
	if got, id, err := newClient(t, autumn, base()).Search(ctx, first.ID); !got || id == "" || err != nil {
		t.Errorf("with another DIALEDIN_CAMPAIGN: Search = %v, %q, %v", got, id, err)
	}
	outcome, err = client.Insert(ctx, first)
	expect("the same again", outcome, err, pipeline.OutcomeRejected, "duplicate_phone")

	box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorDialedIn, Op: sandbox.OpInsertLead, Kind: sandbox.FaultFrontTimeout})
	outcome, err = client.Insert(ctx, second)
	expect("stored, front timed out", outcome, err, pipeline.OutcomeUnknown, "curl_error_cut")
	found("the search settles it", second.ID, true)

	box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorDialedIn, Op: sandbox.OpInsertLead, Kind: sandbox.FaultCutBefore})
	outcome, err = client.Insert(ctx, third)
	expect("cut before the effect", outcome, err, pipeline.OutcomeUnknown, "answer_cut")
	found("nothing was stored", third.ID, false)

	fields, _ := client.Fields(first)
	outcome, err = client.Update(ctx, first.ID, fields)
	expect("update", outcome, err, pipeline.OutcomeConfirmed, "")
	outcome, err = client.Update(ctx, "nobody", fields)
	expect("update of nobody", outcome, err, pipeline.OutcomeRejected, "refused")
	for range 2 {
		outcome, err = client.InsertDNC(ctx, third.Phone)
		expect("do not call", outcome, err, pipeline.OutcomeConfirmed, outcome.Reason)
	}
	for _, kind := range []sandbox.FaultKind{sandbox.FaultEmpty, sandbox.FaultLoginPage, sandbox.FaultErrorJSON, sandbox.FaultBadGateway, sandbox.FaultTruncated} {
		box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorDialedIn, Op: sandbox.OpInsertLead, Kind: kind})
		fresh := lead()
		fresh.ID, fresh.Phone = string(kind), "+12125550144"
		if outcome, err = client.Insert(ctx, fresh); outcome.State != pipeline.OutcomeUnknown || err == nil {
			t.Errorf("%s: outcome %+v, error %v", kind, outcome, err)
		}
	}
	if violations := box.Violations(); len(violations) > 0 {
		t.Errorf("the contract was broken: %q", violations)
	}
	c.Token = "wrong-token"
	outcome, err = newClient(t, c, base()).Insert(ctx, third)
	expect("wrong token", outcome, err, pipeline.OutcomeDenied, "credentials")
}
