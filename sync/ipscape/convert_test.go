package ipscape

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sydney are the settings of an Australian account.
func sydney(t testing.TB) Settings {
	t.Helper()
	zone, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	return Settings{Account: "main", Zone: zone, Region: "AU"}
}

// goldenItem is what a golden file shows of an item and of what it means.
type goldenItem struct {
	ObjectID    string
	Cleaned     bool
	SourceTime  time.Time
	ZoneAssumed bool
	FilterTime  time.Time
	Unread      []string
	Row         []string
	Facts       pipeline.Facts
}

func TestGolden(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	streams := []struct {
		stream  string
		columns []string
		convert func([]byte) (Item, error)
	}{
		{StreamActivities, ActivityColumns(), s.Activity},
		{StreamLeads, LeadColumns(), s.Lead},
		{StreamLeadLists, LeadListColumns(), s.LeadList},
		{StreamCampaigns, CampaignColumns(), s.Campaign},
		{StreamUsers, UserColumns(), s.User},
		{StreamDialAttempts, DialAttemptColumns(), s.DialAttempt},
	}
	for _, st := range streams {
		files, err := filepath.Glob(filepath.Join("testdata", st.stream, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no samples of %s: %v", st.stream, err)
		}
		for _, file := range files {
			t.Run(st.stream+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				item, err := st.convert(raw)
				if err != nil {
					t.Fatal(err)
				}
				if len(item.Values) != len(st.columns) {
					t.Fatalf("%d values for %d columns", len(item.Values), len(st.columns))
				}
				if !item.Cleaned && !bytes.Equal(item.Payload, raw) {
					t.Error("the payload is not the item's bytes")
				}
				facts, err := s.Facts(pipeline.Record{Stream: st.stream, ObjectID: item.ObjectID, Payload: item.Payload})
				if err != nil {
					t.Fatal(err)
				}
				golden := goldenItem{
					item.ObjectID, item.Cleaned, item.SourceTime, item.ZoneAssumed, item.FilterTime, item.Unread, row(st.columns, item.Values), facts,
				}
				compareGolden(t, strings.TrimSuffix(file, ".json")+".golden", golden)
			})
		}
	}
}

// row shows the columns that have a value, with its Go type.
func row(columns []string, values []any) []string {
	var lines []string
	for i, v := range values {
		switch v := v.(type) {
		case nil:
		case json.RawMessage:
			lines = append(lines, fmt.Sprintf("%s json %s", columns[i], bytes.Join(bytes.Fields(v), []byte(" "))))
		case time.Time:
			lines = append(lines, fmt.Sprintf("%s time %s", columns[i], v.Format(time.RFC3339Nano)))
		default:
			lines = append(lines, fmt.Sprintf("%s %T %v", columns[i], v, v))
		}
	}
	return lines
}

func compareGolden(t *testing.T, file string, got any) {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), buf.String()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

// What nobody here knows of is named, wherever it is, and kept; what the contract has is not.
func TestUnknownIsNamed(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	for _, tt := range []struct {
		read    func([]byte) (Item, error)
		raw     string
		unknown []string
		strange string
	}{
		{
			s.Activity, `{"v":2,"type":"Fax.Sent","data":{"activityId":1,"mood":{"score":1},"timestamps":{"ringing":"x"},"recordingMetadata":{"codec":"opus"},"durations":{"mute":1}}}`,
			[]string{"v", "mood", "ringing", "codec", "mute"},
			"fax.sent",
		},
		{s.Activity, `{"type":"call.inbound","data":{"activityId":1,"survey":{"anything":1},"voicemailMetadata":[{"x":1}]}}`, nil, ""},
		{s.Lead, `{"leadId":1,"dataFields":{"free":1},"outcomesInfo":{"wins":1},"timestamps":{"seen":"x"},"score":9}`, []string{"wins", "seen", "score"}, ""},
		{s.LeadList, `{"id":1,"owner":2,"timestamps":{"closed":"x"}}`, []string{"owner", "closed"}, ""},
		{s.Campaign, `{"campaignId":1,"ipScapePayDetails":{"fee":1},"zone":"x"}`, []string{"fee", "zone"}, ""},
		{s.User, `{"userId":1,"skills":[]}`, []string{"skills"}, ""},
		{s.DialAttempt, `{"attemptId":1,"type":"call.preview","cost":1}`, []string{"cost"}, "call.preview"},
	} {
		item, err := tt.read([]byte(tt.raw))
		if err != nil || !cmp.Equal(item.Unknown, tt.unknown) || item.Strange != tt.strange {
			t.Errorf("%s: unknown %v, type %q, %v", tt.raw, item.Unknown, item.Strange, err)
		}
	}
}

func TestItemErrors(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	tests := []struct {
		name, activity, lead, reason string
	}{
		{"a text", `"x"`, `"x"`, ReasonNotObject},
		{"null", `null`, `null`, ReasonNotObject},
		{"a list", `[]`, `[]`, ReasonNotObject},
		{"no JSON", `{"data":tru}`, `{"leadId":1 2}`, pipeline.ReasonNotJSON},
		{"too deep", `{"x":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, strings.Repeat("[", 600) + strings.Repeat("]", 600), pipeline.ReasonNesting},
		{"a number too large", `{"data":{"activityId":1},"x":1e400000}`, `{"leadId":1,"x":1e400000}`, pipeline.ReasonNumber},
		{"no data", `{"type":"call.inbound"}`, `{}`, ReasonNoID},
		{"data is no object", `{"data":[1]}`, `{"lead":{"leadId":1}}`, ReasonNoID},
		{"null id", `{"data":{"activityId":null}}`, `{"leadId":null}`, ReasonNoID},
		{"an object for an id", `{"data":{"activityId":{}}}`, `{"leadId":{}}`, ReasonNoID},
		{"a word for an id", `{"data":{"activityId":"x"}}`, `{"leadId":"x"}`, ReasonNoID},
		{"zero", `{"data":{"activityId":0}}`, `{"leadId":0}`, ReasonNoID},
		{"below zero", `{"data":{"activityId":-1}}`, `{"leadId":-1}`, ReasonNoID},
		{"a fraction", `{"data":{"activityId":1.5}}`, `{"leadId":1.5}`, ReasonNoID},
		{"more than 64 bits", `{"data":{"activityId":9223372036854775808}}`, `{"leadId":9223372036854775808}`, ReasonNoID},
		{"the last of two ids is null", `{"data":{"activityId":1,"activityId":null}}`, `{"leadId":1,"leadId":null}`, ReasonNoID},
		{"the last of two data has none", `{"data":{"activityId":1},"data":{}}`, `{"leadId":1,"leadId":""}`, ReasonNoID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for kind, convert := range map[string]func() (Item, error){
				"activity": func() (Item, error) { return s.Activity([]byte(tt.activity)) },
				"lead":     func() (Item, error) { return s.Lead([]byte(tt.lead)) },
			} {
				_, err := convert()
				e, ok := errors.AsType[*ItemError](err)
				if !ok || e.Reason != tt.reason {
					t.Errorf("%s: got %v, want reason %q", kind, err, tt.reason)
				}
			}
		})
	}
}

// An item that cannot be kept is told by its id all the same.
func TestUnstorableItemsAreNamed(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for id, convert := range map[string]func(string) (Item, error){
		`{"type":"call.inbound","data":{"x":%s,"activityId":7}}`: func(raw string) (Item, error) { return s.Activity([]byte(raw)) },
		`{"x":%s,"leadId":7}`:     func(raw string) (Item, error) { return s.Lead([]byte(raw)) },
		`{"x":%s,"attemptId":7}`:  func(raw string) (Item, error) { return s.DialAttempt([]byte(raw)) },
		`{"x":%s,"campaignId":7}`: func(raw string) (Item, error) { return s.Campaign([]byte(raw)) },
		`{"x":%s,"id":7}`:         func(raw string) (Item, error) { return s.LeadList([]byte(raw)) },
		`{"x":%s,"userId":7}`:     func(raw string) (Item, error) { return s.User([]byte(raw)) },
	} {
		for what, reason := range map[string]string{deep: pipeline.ReasonNesting, "1e400000": pipeline.ReasonNumber} {
			item, err := convert(fmt.Sprintf(id, what))
			e, ok := errors.AsType[*ItemError](err)
			if !ok || e.Reason != reason || item.ObjectID != "7" || item.Values != nil {
				t.Errorf("%s: %v, %+v, want reason %q and its id", id, err, item, reason)
			}
		}
	}
}

func TestLargestID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`9223372036854775807`, `"9223372036854775807"`, `" 9223372036854775807 "`} {
		item, err := Settings{}.Lead([]byte(`{"leadId":` + text + `}`))
		if err != nil || item.ObjectID != "9223372036854775807" || item.Values[0] != int64(9223372036854775807) {
			t.Errorf("%s: got %q, %v, %v", text, item.ObjectID, item.Values, err)
		}
	}
}

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

func fuzzSeeds(f *testing.F, stream string) {
	files, err := filepath.Glob(filepath.Join("testdata", stream, "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
}

// fuzzItem checks what holds for any item's bytes.
func fuzzItem(t *testing.T, s Settings, stream string, columns int, raw []byte, convert func([]byte) (Item, error)) {
	// Facts may meet bytes that nobody has cleaned.
	_, _ = s.Facts(pipeline.Record{Stream: stream, Payload: raw})
	item, err := convert(raw)
	if err != nil {
		if _, ok := errors.AsType[*ItemError](err); !ok {
			t.Fatalf("error of type %T: %v", err, err)
		}
		return
	}
	if len(item.Values) != columns || item.ObjectID == "" || item.ObjectID != fmt.Sprint(item.Values[0]) {
		t.Fatalf("%d values, id %q of %v", len(item.Values), item.ObjectID, item.Values[0])
	}
	for _, v := range item.Values {
		switch v := v.(type) {
		case string:
			if pipeline.CleanText(v) != v {
				t.Fatalf("a text that Postgres refuses: %q", v)
			}
		case json.RawMessage:
			if _, changed, err := pipeline.CleanJSON(v); err != nil || changed {
				t.Fatalf("JSON that Postgres refuses: %q", v)
			}
		case time.Time:
			if v.Location() != time.UTC || v.Nanosecond()%1000 != 0 {
				t.Fatalf("time %v", v)
			}
		case nil, int64, int32, bool:
		default:
			t.Fatalf("a value of type %T", v)
		}
	}
	again, err := convert(item.Payload)
	if err != nil || again.Cleaned || !cmp.Equal(again.Values, item.Values) {
		t.Fatalf("the payload gives another item: %v", err)
	}
	facts, err := s.Facts(pipeline.Record{Stream: stream, Payload: item.Payload})
	if err != nil {
		t.Fatalf("a stored item without facts: %v", err)
	}
	for _, lead := range facts.Leads {
		if custom := lead.Fields[pipeline.FieldCustom]; custom != "" && !json.Valid([]byte(custom)) {
			t.Fatalf("custom fields %q", custom)
		}
	}
}

func FuzzActivity(f *testing.F) {
	fuzzSeeds(f, StreamActivities)
	s := sydney(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzItem(t, s, StreamActivities, len(activityColumns), raw, s.Activity)
	})
}

func FuzzLead(f *testing.F) {
	fuzzSeeds(f, StreamLeads)
	s := sydney(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzItem(t, s, StreamLeads, len(leadColumns), raw, s.Lead)
	})
}

func BenchmarkActivity(b *testing.B) {
	raw, err := os.ReadFile("testdata/activities/inbound_transfer.json")
	if err != nil {
		b.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		b.Fatal(err)
	}
	s := sydney(b)
	b.SetBytes(int64(compact.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Activity(compact.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkActivityFacts(b *testing.B) {
	raw, err := os.ReadFile("testdata/activities/outbound.json")
	if err != nil {
		b.Fatal(err)
	}
	s := sydney(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Facts(pipeline.Record{Stream: StreamActivities, Payload: raw}); err != nil {
			b.Fatal(err)
		}
	}
}
