package jobs_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// TestTells says of each destination whether a change would be told to it: only what it has a field for, by DIALEDIN_FIELDS at
// DialedIn, and nothing that is withheld from it, gone here, or its own word.
func TestTells(t *testing.T) {
	t.Parallel()
	dial := func(fields map[string]string) deliver.Destination {
		settings := dialedin.Defaults()
		settings.Token, settings.AccID, settings.Campaign, settings.Fields = "t", "1", "c", fields
		client, err := dialedin.NewClient(settings, vendorapi.Client{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return jobs.DialedIn(client)
	}
	few := jobs.Tells([]deliver.Destination{dial(nil), jobs.LendWorks(nil)})
	more := jobs.Tells([]deliver.Destination{dial(map[string]string{"industry": "Industry", "customFields.plan": "Plan"})})
	was := pipeline.LeadView{
		ID: "x", Phone: "+15032221111", FirstName: "Ann", City: "Salem", Industry: "bakery", Priority: "normal", Custom: map[string]string{"plan": "a", "note": "b"},
	}
	for name, tc := range map[string]struct {
		change               func(v *pipeline.LeadView)
		params               store.UpdateParams
		dialedin, configured bool
		lendworks            bool
	}{
		"nothing":                  {func(*pipeline.LeadView) {}, store.UpdateParams{}, false, false, false},
		"the city":                 {func(v *pipeline.LeadView) { v.City = "Eugene" }, store.UpdateParams{}, true, true, false},
		"the industry":             {func(v *pipeline.LeadView) { v.Industry = "forge" }, store.UpdateParams{}, false, true, true},
		"a field of the account":   {func(v *pipeline.LeadView) { v.Custom = map[string]string{"plan": "c", "note": "b"} }, store.UpdateParams{}, false, true, false},
		"a field of nobody's":      {func(v *pipeline.LeadView) { v.Custom = map[string]string{"plan": "a", "note": "c"} }, store.UpdateParams{}, false, false, false},
		"the phone":                {func(v *pipeline.LeadView) { v.Phone = "+15032221112" }, store.UpdateParams{}, false, false, true},
		"the priority":             {func(v *pipeline.LeadView) { v.Priority = "urgent" }, store.UpdateParams{}, false, false, true},
		"a name":                   {func(v *pipeline.LeadView) { v.FirstName = "Bob" }, store.UpdateParams{}, true, true, true},
		"a name that is withheld":  {func(v *pipeline.LeadView) { v.FirstName = "Bob" }, store.UpdateParams{Withheld: pipeline.NameFields()}, false, false, false},
		"a name that is gone here": {func(v *pipeline.LeadView) { v.FirstName = "" }, store.UpdateParams{}, false, false, false},
	} {
		now := was
		tc.change(&now)
		params, err := json.Marshal(tc.params)
		if err != nil {
			t.Fatal(err)
		}
		if got := few("dialedin", params, was, now); got != tc.dialedin {
			t.Errorf("%s: dialedin is told: %t", name, got)
		}
		if got := more("dialedin", params, was, now); got != tc.configured {
			t.Errorf("%s: dialedin with fields of its own is told: %t", name, got)
		}
		if got := few("lendworks", params, was, now); got != tc.lendworks {
			t.Errorf("%s: lendworks is told: %t", name, got)
		}
		if !more("lendworks", params, was, now) {
			t.Errorf("%s: a destination that is not set up here is not told", name)
		}
	}
	params, _ := json.Marshal(store.UpdateParams{Theirs: []pipeline.Field{pipeline.FieldIndustry}})
	now := was
	now.Industry = "forge"
	if few("lendworks", params, was, now) {
		t.Error("lendworks is told its own word")
	}
}

// TestRefusedOptOutIsAPersons: DialedIn says no to an opt-out in words of its own. Somebody has to see to it, unless the number is
// one that DialedIn cannot dial.
func TestRefusedOptOutIsAPersons(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Result: the list is full") }))
	t.Cleanup(server.Close)
	settings := dialedin.Defaults()
	settings.BaseURL, settings.Token, settings.AccID, settings.Campaign = server.URL, "t0ken-of-a-test", "1234", "c"
	client, err := dialedin.NewClient(settings, vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	op, ok := jobs.DialedIn(client).Operation(pipeline.OperationAddDNC)
	if !ok {
		t.Fatal("no operation")
	}
	o, err := op.Send(t.Context(), deliver.View{Phone: "+15032221111"})
	if o.State != pipeline.OutcomeUnknown || o.Reason != pipeline.ReasonNeedsPerson || o.Detail != "Result: the list is full" || err == nil {
		t.Errorf("refused: %+v, %v", o, err)
	}
	if o, _ = op.Send(t.Context(), deliver.View{Phone: "+61291234567"}); o.State != pipeline.OutcomeRejected || o.Reason != dialedin.ReasonNotNANP {
		t.Errorf("a number that it cannot dial: %+v", o)
	}
}
