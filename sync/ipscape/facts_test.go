package ipscape

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Postgres hands jsonb back with members in another order and without blanks: the meaning must not depend on either.
func TestFactsDoNotDependOnOrder(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	for _, stream := range []string{StreamActivities, StreamLeads, StreamDialAttempts} {
		files, err := filepath.Glob(filepath.Join("testdata", stream, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var tree any
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.UseNumber()
			if err := dec.Decode(&tree); err != nil {
				t.Fatal(err)
			}
			sorted, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			raw, _, err = pipeline.CleanJSON(raw)
			if err != nil {
				t.Fatal(err)
			}
			sorted = bytes.ReplaceAll(sorted, []byte(`Nul\u0000`), []byte("Nul\uFFFD"))
			want, err := s.Facts(pipeline.Record{Account: "other", Stream: stream, Payload: raw})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Facts(pipeline.Record{Account: "other", Stream: stream, Payload: sorted})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-as sent +sorted):\n%s", file, diff)
			}
		}
	}
}

func TestFactsErrors(t *testing.T) {
	t.Parallel()
	for _, rec := range []pipeline.Record{
		{Stream: "surveys", Payload: []byte(`{}`)},
		{Stream: StreamLeads, Payload: []byte(`{}`)},
		{Stream: StreamActivities, Payload: nil},
	} {
		if facts, err := (Settings{}).Facts(rec); err == nil {
			t.Errorf("%s: %+v without an error", rec.Stream, facts)
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`25000`: "25000", `"25000"`: "25000", `"$25,000.00"`: "25000", `25000.50`: "25000.5", `"1,234,567.89"`: "1234567.89", `2.5e4`: "25000",
		`"$ 10"`: "10", `0`: "0", `"007"`: "7", `0.1`: "0.1", `999999999999999`: "999999999999999",
		`"25.000,50"`: "", `"1,5"`: "", `"12,34"`: "", `"20k"`: "", `-5`: "", `1e99`: "", `1e-3`: "", `0.1234567`: "", `1000000000000000`: "", `""`: "", `"1 000"`: "",
		`true`: "", `{}`: "", `[]`: "", `"."`: "", `"1/3"`: "", `"0x10"`: "", `"1_000"`: "",
	} {
		got, ok := amountValue(json.RawMessage(raw))
		if ok != (want != "") || (ok && got != want) {
			t.Errorf("amount %s = %q, %v, want %q", raw, got, ok, want)
		}
	}
}

func TestDirections(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	const body = `"data":{"activityId":1,"source":"0400111222","destination":"0400111333","phoneNumber":"0400111444","leadId":5}}`
	phone := func(n string) pipeline.Key { return pipeline.Key{Kind: pipeline.KeyPhone, Value: n} }
	lead := pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: "main", Value: "5"}
	tests := []struct {
		kind      string
		calls     int
		direction pipeline.Direction
		lead      []pipeline.Key
	}{
		{"call.inbound", 1, pipeline.Inbound, []pipeline.Key{lead, phone("+61400111222")}},
		{"call.outbound", 1, pipeline.Outbound, []pipeline.Key{lead, phone("+61400111333")}},
		{"CALL.Outbound", 1, pipeline.Outbound, []pipeline.Key{lead, phone("+61400111333")}},
		{"call.manual", 1, "", []pipeline.Key{lead, phone("+61400111444")}},
		{"call.inbound.diverted", 1, "", []pipeline.Key{lead, phone("+61400111444")}},
		{"email.inbound", 0, "", nil},
		{"callback", 0, "", nil},
		{"", 0, "", nil},
	}
	for _, tt := range tests {
		facts, err := s.Facts(pipeline.Record{Stream: StreamActivities, Payload: []byte(`{"type":"` + tt.kind + `",` + body)})
		if err != nil || len(facts.Calls) != tt.calls {
			t.Errorf("%q: %d calls, %v", tt.kind, len(facts.Calls), err)
			continue
		}
		if tt.calls == 1 {
			if facts.Calls[0].Direction != tt.direction || !cmp.Equal(facts.Calls[0].Lead, tt.lead) {
				t.Errorf("%q: direction %q, lead %v", tt.kind, facts.Calls[0].Direction, facts.Calls[0].Lead)
			}
		}
	}
}

// Words for "none" in the customer key must not make one lead of all who have them.
func TestCustomerKeys(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	tests := map[string]bool{
		"A-17": true, " 42 ": true, "0042": true, "tester": true, "nil": true, strings.Repeat("k", 200): true,
		"": false, " ": false, "0": false, "000": false, "-": false, "--": false, "0-0": false, "null": false, " NULL ": false, "None": false,
		"N/A": false, "na": false, "Unknown": false, "TEST": false, strings.Repeat("k", 201): false,
	}
	for text, want := range tests {
		payload := []byte(`{"leadId":5,"customerKey":"` + text + `"}`)
		item, err := s.Lead(payload)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := s.Facts(pipeline.Record{Stream: StreamLeads, Payload: item.Payload})
		if err != nil {
			t.Fatal(err)
		}
		keys := []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "main", Value: "5"}}
		if want {
			keys = append(keys, pipeline.Key{Kind: pipeline.KeyCustomer, Account: "main", Value: strings.TrimSpace(text)})
		}
		if diff := cmp.Diff(keys, facts.Leads[0].Keys); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if !bytes.Equal(item.Payload, payload) {
			t.Errorf("%q: the record is %s", text, item.Payload)
		}
	}
}

func TestLongWrapCode(t *testing.T) {
	t.Parallel()
	code := strings.Repeat("w", 300)
	facts, err := sydney(t).Facts(pipeline.Record{Stream: StreamActivities, Payload: []byte(
		`{"type":"call.outbound","data":{"activityId":1,"wrapCode":"` + code + `","wrapUpTimestamp":"2024-03-02T00:00:00Z"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if got := facts.Calls[0].Disposition; got != code[:200] {
		t.Errorf("a code of %d bytes is kept in %d", len(code), len(got))
	}
}
