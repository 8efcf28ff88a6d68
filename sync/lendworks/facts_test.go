package lendworks_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

var settings = lendworks.Settings{Account: "default", Region: "US"}

const leadJSON = `{"id":"6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11","type":"lead","attributes":{"businessName":"Birch Hill Bakery LLC","contactFirstName":"Ana",
	"contactLastName":null,"email":"Ana@Birchhill.example","phone":"(503) 425-1234","monthlyRevenue":42000,"requestedAmount":"60000","source":"web_form",
	"priority":"high","isDoNotCall":true,"dncReason":null,"dncAt":"2025-06-04T08:00:00Z","tags":["a","b"],
	"customFields":{"convoso_lead_id":"48213377","trunkline_lead_id":"0197A1C2-5b1e-7c3a-9d5e-111213141516"},"unheardOf":{"x":[1]},
	"createdAt":"2025-06-03T17:20:11Z","updatedAt":"2025-06-05T01:02:03.004Z"}}`

func TestLeadFacts(t *testing.T) {
	t.Parallel()
	item, err := settings.Lead([]byte(leadJSON))
	created, updated := time.Date(2025, 6, 3, 17, 20, 11, 0, time.UTC), time.Date(2025, 6, 5, 1, 2, 3, 4e6, time.UTC)
	if err != nil || item.ObjectID != "6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11" || !item.Created.Equal(created) || !item.SourceTime.Equal(updated) || string(item.Payload) != leadJSON {
		t.Fatalf("%+v %v", item, err)
	}
	got, err := settings.Facts(pipeline.Record{Stream: lendworks.StreamLeads, Payload: item.Payload})
	if err != nil {
		t.Fatal(err)
	}
	theirs := pipeline.Key{Kind: pipeline.KeyLendWorks, Value: item.ObjectID}
	want := pipeline.Facts{
		Leads: []pipeline.LeadFact{{
			CreatedAt: created,
			Keys: []pipeline.Key{
				theirs,
				{Kind: pipeline.KeyLead, Value: "0197a1c2-5b1e-7c3a-9d5e-111213141516"},
				{Kind: pipeline.KeyPhone, Value: "+15034251234"},
				{Kind: pipeline.KeyEmail, Value: "ana@birchhill.example"},
			},
			Fields: map[pipeline.Field]string{
				pipeline.FieldBusinessName: "Birch Hill Bakery LLC", pipeline.FieldContactFirstName: "Ana", pipeline.FieldEmail: "Ana@Birchhill.example",
				pipeline.FieldPhone: "+15034251234", pipeline.FieldMonthlyRevenue: "42000", pipeline.FieldRequestedAmount: "60000",
				pipeline.FieldSource: "web_form", pipeline.FieldPriority: "high", pipeline.FieldTags: `["a","b"]`,
				pipeline.FieldCustom: `{"convoso_lead_id":"48213377"}`,
			},
		}},
		DNC: []pipeline.DNCFact{{Phone: "+15034251234", Lead: []pipeline.Key{theirs}, Reason: "isDoNotCall", Since: time.Date(2025, 6, 4, 8, 0, 0, 0, time.UTC)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{`{}`, `{"id":7}`, `{"id":"x","attributes":[]}`, `[]`, `"x"`, `{"id":""}`} {
		if _, err := settings.Lead([]byte(bad)); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestPushedFacts(t *testing.T) {
	t.Parallel()
	got, err := settings.Facts(pipeline.Record{Stream: lendworks.StreamPushed, Payload: []byte(`{"lead_id":"x","lendworks_id":"y","key":{"kind":"ipscape_lead","account":"default","value":"7001"}}`)})
	want := pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{
		{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "7001"}, {Kind: pipeline.KeyLead, Value: "x"}, {Kind: pipeline.KeyLendWorks, Value: "y"},
	}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1760000000, 0)
	const good = "sha256=66e880d7175fffb43ce10c4e14db1cfb230c8804b5aafb116affbc9a836c7690"
	for _, c := range []struct {
		name, secret, signature, timestamp, body string
		age                                      time.Duration
		ok                                       bool
	}{
		{"the contract's vector", "whsec_test", good, "1760000000", `{"id":"evt_1"}`, 0, true},
		{"just in time", "whsec_test", good, "1760000000", `{"id":"evt_1"}`, 300 * time.Second, true},
		{"too old", "whsec_test", good, "1760000000", `{"id":"evt_1"}`, 301 * time.Second, false},
		{"from the future", "whsec_test", good, "1760000000", `{"id":"evt_1"}`, -301 * time.Second, false},
		{"another body", "whsec_test", good, "1760000000", `{"id":"evt_2"}`, 0, false},
		{"another time", "whsec_test", good, "1760000001", `{"id":"evt_1"}`, 0, false},
		{"another secret", "whsec_tess", good, "1760000000", `{"id":"evt_1"}`, 0, false},
		{"no secret", "", good, "1760000000", `{"id":"evt_1"}`, 0, false},
		{"no prefix", "whsec_test", good[7:], "1760000000", `{"id":"evt_1"}`, 0, false},
		{"cut", "whsec_test", good[:20], "1760000000", `{"id":"evt_1"}`, 0, false},
		{"no time", "whsec_test", good, "", `{"id":"evt_1"}`, 0, false},
		{"nothing", "whsec_test", "", "", "", 0, false},
	} {
		err := lendworks.Verify("", "", "", nil, now)
		if !errors.Is(err, lendworks.ErrSignature) {
			t.Error("nothing is valid")
		}
		if err = lendworks.Verify(secretOf(c.secret), c.signature, c.timestamp, []byte(c.body), now.Add(c.age)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	e, err := lendworks.ParseEvent([]byte(`{"id":"evt_0f4f3d1e","event":"lead.created","timestamp":"2025-06-03T17:20:11Z",
		"data":{"leadId":"L1","orgId":"o","businessName":"B","email":"a@b.example","source":"api","priority":"low","stageId":null}}`))
	if err != nil || e.ObjectID != "evt_0f4f3d1e" || e.Name != "lead.created" || e.SourceTime.IsZero() {
		t.Fatalf("%+v %v", e, err)
	}
	got, err := settings.Facts(pipeline.Record{Stream: lendworks.StreamEvents, Payload: e.Payload})
	want := pipeline.Facts{Leads: []pipeline.LeadFact{{
		CreatedAt: e.SourceTime,
		Keys:      []pipeline.Key{{Kind: pipeline.KeyLendWorks, Value: "L1"}, {Kind: pipeline.KeyEmail, Value: "a@b.example"}},
		Fields: map[pipeline.Field]string{
			pipeline.FieldBusinessName: "B", pipeline.FieldEmail: "a@b.example", pipeline.FieldSource: "api", pipeline.FieldPriority: "low",
		},
	}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for body, want := range map[string]error{
		"": lendworks.ErrUnparsable, "[]": lendworks.ErrUnparsable, "null": lendworks.ErrUnparsable, "x=1": lendworks.ErrUnparsable,
		`{}`: lendworks.ErrUnrecognised, `{"event":""}`: lendworks.ErrUnrecognised, `{"event":{}}`: lendworks.ErrUnrecognised,
		`{"event":"brand.new"}`: nil, `{"event":"lead.status_changed","data":[1]}`: nil, `{"id":"a b","event":"x","data":{"leadId":7}}`: nil,
		`{"event":"lead.created","data":{"leadId":null}}`: nil,
	} {
		e, err := lendworks.ParseEvent([]byte(body))
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if err != nil {
			continue
		}
		facts, err := settings.Facts(pipeline.Record{Stream: lendworks.StreamEvents, Payload: e.Payload})
		if err != nil || len(facts.Leads) > 0 || e.ObjectID == "" || strings.Contains(e.ObjectID, " ") {
			t.Errorf("%s: %s %+v %v", body, e.ObjectID, facts, err)
		}
	}
}

// Whatever a lead's attributes are, reading them neither fails nor panics, and what is kept fits into jsonb.
func TestAnyLead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{`null`, `true`, `"x"`, `1e400`, `[]`, `{}`, `[{"a":1}]`, `"\u0000"`, `"+15034251234"`, `{"trunkline_lead_id":{}}`})
		raw := `{"id":"L1","attributes":{`
		for i, name := range []string{"businessName", "email", "phone", "isDoNotCall", "tags", "customFields", "createdAt", "updatedAt", "dncAt"} {
			if i > 0 {
				raw += ","
			}
			raw += fmt.Sprintf("%q:%s", name, value.Draw(t, name))
		}
		item, err := settings.Lead([]byte(raw + "}}"))
		if err != nil {
			return // a number that jsonb does not take
		}
		if _, changed, err := pipeline.CleanJSON(item.Payload); err != nil || changed {
			t.Fatal(err)
		}
		if _, err := settings.Facts(pipeline.Record{Stream: lendworks.StreamLeads, Payload: item.Payload}); err != nil {
			t.Fatal(err)
		}
	})
}

func secretOf(text string) vendorapi.Secret { return vendorapi.Secret(text) }
