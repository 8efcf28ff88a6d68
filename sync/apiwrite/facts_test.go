package apiwrite_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/apiwrite"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func record(t testing.TB, stream, object string, payload any) *pipeline.Record {
	t.Helper()
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return &pipeline.Record{Account: "default", Source: pipeline.SourceAPI, Stream: stream, ObjectID: object, Payload: text, ObservedAt: at, FirstSeenAt: at}
}

var settings = apiwrite.Settings{Region: "US"}

func TestCallOf(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]apiwrite.Call{
		"convoso-call-77": {Source: "convoso", Account: "default", ID: "77"},
		"convoso-call-":   {Source: "api", Account: "default", ID: "convoso-call-"},
		"c-1":             {Source: "api", Account: "default", ID: "c-1"},
	} {
		if got := apiwrite.CallOf(given, "default"); got != want {
			t.Errorf("%s is %v, want %v", given, got, want)
		}
		key := pipeline.CallKey{Dialler: pipeline.Source(want.Source), Account: want.Account, ExternalID: want.ID}
		if back := apiwrite.GivenCallID(key); back != given {
			t.Errorf("%s comes back as %s", given, back)
		}
	}
}

func TestOptOutCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"dnc": true, "DNC": true, "do_not_call": true, "Do Not Call": true, "opt-out": true, "interested": false, "": false, "dnc_checked": false,
	} {
		if got := apiwrite.OptOutCode(code); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}

func TestFieldFacts(t *testing.T) {
	t.Parallel()
	lead := apiwrite.LeadRef{ID: "0f4f3d1e-8c1b-4a2e-9d3f-5a6b7c8d9e0f", Keys: []apiwrite.Key{{Kind: "convoso_lead", Account: "default", Value: "9"}}}
	keys := []pipeline.Key{{Kind: pipeline.KeyLead, Value: lead.ID}, {Kind: pipeline.KeyConvosoLead, Account: "default", Value: "9"}}
	phone := pipeline.Key{Kind: pipeline.KeyPhone, Value: "+15035550142"}
	for name, test := range map[string]struct {
		field, value string
		want         pipeline.LeadFact
	}{
		"phone": {"phone", `"503-555-0142"`, pipeline.LeadFact{Keys: append(keys[:2:2], phone), Replace: true, Fields: map[pipeline.Field]string{
			pipeline.FieldPhone: "503-555-0142", pipeline.FieldDialPhone: "+15035550142",
		}}},
		"no phone": {"phone", `null`, pipeline.LeadFact{Keys: keys, Replace: true, Fields: map[pipeline.Field]string{
			pipeline.FieldPhone: "", pipeline.FieldDialPhone: "",
		}}},
		"fields": {"customFields", `{"a": 1.50}`, pipeline.LeadFact{Keys: keys, Replace: true, Fields: map[pipeline.Field]string{pipeline.FieldCustom: `{"a":1.50}`}}},
	} {
		rec := record(t, apiwrite.StreamLeadFields, lead.ID+"."+test.field, apiwrite.Field{Lead: lead, Field: test.field, Value: json.RawMessage(test.value)})
		got, err := settings.Facts(rec)
		if diff := cmp.Diff(pipeline.Facts{Leads: []pipeline.LeadFact{test.want}}, got); diff != "" || err != nil {
			t.Errorf("%s, %v (-want +got):\n%s", name, err, diff)
		}
	}
	if _, err := settings.Facts(record(t, "novel", "1", struct{}{})); err == nil {
		t.Error("an unknown stream says something")
	}
	if _, err := settings.Facts(record(t, apiwrite.StreamLeadFields, "1", apiwrite.Field{Lead: lead, Field: "novel"})); err == nil {
		t.Error("an unknown field says something")
	}
}

// FuzzFacts reads any payload of any stream: an error, or facts, never a panic.
func FuzzFacts(f *testing.F) {
	streams := []string{
		apiwrite.StreamLeads, apiwrite.StreamLeadFields, apiwrite.StreamStages, apiwrite.StreamOptOuts, apiwrite.StreamEvents,
		apiwrite.StreamDispositions, apiwrite.StreamPresence,
	}
	for i := range streams {
		for _, payload := range []string{
			`{}`, `null`, `[]`, `{"lead":{"id":"1","keys":[{"kind":"phone","value":"+1"}]},"fields":{"phone":"503","tags":[1],"customFields":7}}`,
			`{"lead":null,"call":{"id":"1"},"agent":{},"eventType":"call_ended","disposition":"dnc","phones":["+1"],"occurredAt":"2026-03-02T09:00:00Z"}`,
			`{"field":"email","value":"A@B.C"}`, `{"userId":"u","status":"online","call":null,"since":"x"}`,
		} {
			f.Add(i, []byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, i int, payload []byte) {
		if i < 0 {
			i = -(i + 1)
		}
		at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		rec := &pipeline.Record{Source: pipeline.SourceAPI, Stream: streams[i%len(streams)], ObjectID: "1", Payload: payload, ObservedAt: at}
		facts, err := settings.Facts(rec)
		if err == nil {
			pipeline.Fold([]pipeline.Told{pipeline.TellOf(rec, facts)}, pipeline.Rules{})
		}
	})
}
