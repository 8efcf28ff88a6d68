package convoso

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

var received = time.Date(2025, 6, 3, 18, 0, 0, 0, time.UTC)

func settings(t testing.TB, c Config) Settings {
	t.Helper()
	s, err := NewSettings(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func post(contentType, body, query string) Post {
	q, _ := url.ParseQuery(query)
	return Post{Body: []byte(body), ContentType: contentType, Query: q, Method: "POST", ReceivedAt: received}
}

// sample is one of section 8 with its form twin, and what it is in two lines: facts by type and state, identities.
type sample struct {
	name, event, json, form string
	types, ids              []string
	occurred                string
	assumed                 bool
}

func samples() []sample {
	return []sample{
		{
			name: "8.1 disposition", event: "disposition",
			json: `{"call_log_id": "2073617401", "lead_id": "48213377", "phone_number": "5035550142", "phone_code": "1",
 "first_name": "Ana", "last_name": "Ruiz", "status": "CB", "user_id": "66318",
 "agent_full_name": "Dana O'Neil", "agent_email": "dana@broker.example",
 "campaign_id": "3475", "campaign_name": "MCA Q3", "list_id": "10855", "length_in_sec": "187",
 "call_type": "OUTBOUND", "term_reason": "AGENT", "call_date": "2025-06-03 10:17:42",
 "agent_comment": "Call back 3 pm & send docs, wants 60k"}`,
			form:  `call_log_id=2073617401&lead_id=48213377&phone_number=5035550142&phone_code=1&first_name=Ana&last_name=Ruiz&status=CB&user_id=66318&agent_full_name=Dana+O%27Neil&agent_email=dana%40broker.example&campaign_id=3475&campaign_name=MCA+Q3&list_id=10855&length_in_sec=187&call_type=OUTBOUND&term_reason=AGENT&call_date=2025-06-03+10%3A17%3A42&agent_comment=Call+back+3+pm+%26+send+docs%2C+wants+60k`,
			types: []string{"disposition"}, ids: []string{"call:2073617401:CB"}, occurred: "2025-06-03T17:17:42Z", assumed: true,
		},
		{
			name: "8.2 recording", event: "recording",
			json: `{"call_log_id": "2073617401", "lead_id": "48213377", "phone_number": "5035550142", "user_id": "66318",
 "recording": "https://recordings.dialer.example/2025/06/03/2073617401.mp3?x=1&y=2",
 "length_in_sec": "187", "call_date": "2025-06-03 10:17:42"}`,
			form:  `call_log_id=2073617401&lead_id=48213377&phone_number=5035550142&user_id=66318&recording=https%3A%2F%2Frecordings.dialer.example%2F2025%2F06%2F03%2F2073617401.mp3%3Fx%3D1%26y%3D2&length_in_sec=187&call_date=2025-06-03+10%3A17%3A42`,
			types: []string{"recording"}, ids: []string{"call:2073617401:" + digest("https://recordings.dialer.example/2025/06/03/2073617401.mp3?x=1&y=2")}, occurred: "2025-06-03T17:17:42Z", assumed: true,
		},
		{
			name: "8.3 call event", event: "call_event",
			json: `{"call_log_id": "2073617401", "lead_id": "48213377", "phone_number": "5035550142", "status": "INCALL",
 "user_id": "66318", "agent_email": "dana@broker.example", "campaign_name": "MCA Q3",
 "call_type": "OUTBOUND", "call_date": "2025-06-03 10:17:42"}`,
			form:  `call_log_id=2073617401&lead_id=48213377&phone_number=5035550142&status=INCALL&user_id=66318&agent_email=dana%40broker.example&campaign_name=MCA+Q3&call_type=OUTBOUND&call_date=2025-06-03+10%3A17%3A42`,
			types: []string{"call_event started"}, ids: []string{"call:2073617401:started"}, occurred: "2025-06-03T17:17:42Z", assumed: true,
		},
		{
			name: "8.3 ended", event: "call_event",
			json: `{"call_log_id": "2073617401", "lead_id": "48213377", "phone_number": "5035550142", "status": "",
 "user_id": "66318", "term_reason": "AGENT", "length_in_sec": 187, "call_date": "2025-06-03 10:17:42"}`,
			form:  `call_log_id=2073617401&lead_id=48213377&phone_number=5035550142&status=&user_id=66318&term_reason=AGENT&length_in_sec=187&call_date=2025-06-03+10%3A17%3A42`,
			types: []string{"call_event ended"}, ids: []string{"call:2073617401:ended"}, occurred: "2025-06-03T17:17:42Z", assumed: true,
		},
		{
			name: "8.4 lead update", event: "lead_update",
			json: `{"id": "48213377", "remote_id": "6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11", "phone_number": "5035550142",
 "email": "ana@birchhill.example", "first_name": "Ana", "last_name": "Ruiz",
 "business_name": "Birch Hill Bakery LLC", "monthly_revenue": "42000.00", "status": "NI",
 "owner_id": "", "modified_at": "06/03/2025 10:21:05"}`,
			form:  `id=48213377&remote_id=6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11&phone_number=5035550142&email=ana%40birchhill.example&first_name=Ana&last_name=Ruiz&business_name=Birch+Hill+Bakery+LLC&monthly_revenue=42000.00&status=NI&owner_id=&modified_at=06%2F03%2F2025+10%3A21%3A05`,
			types: []string{"lead_update"}, occurred: "2025-06-03T17:21:05Z", assumed: true,
		},
		{
			name: "8.5 dnc", event: "dnc",
			json: `{"lead_id": "48213377", "phone_number": "5035550142", "phone_code": "1", "status": "DNC", "user_id": "66318",
 "call_log_id": "2073617533", "campaign_id": "3475", "agent_comment": "Asked to be removed", "call_date": "1748971265"}`,
			form:  `lead_id=48213377&phone_number=5035550142&phone_code=1&status=DNC&user_id=66318&call_log_id=2073617533&campaign_id=3475&agent_comment=Asked+to+be+removed&call_date=1748971265`,
			types: []string{"dnc", "disposition"}, ids: []string{"call:2073617533:DNC", "call:2073617533:DNC"}, occurred: "2025-06-03T17:21:05Z",
		},
	}
}

func kinds(facts []Fact) []string {
	var out []string
	for _, f := range facts {
		kind := f.Type
		if f.State != "" {
			kind += " " + f.State
		}
		out = append(out, kind)
	}
	return out
}

// ids returns the identities without the hash of the content in which each must end.
func ids(facts []Fact) []string {
	var out []string
	for _, f := range facts {
		out = append(out, idAlone(f.ObjectID, digest(string(f.Payload))))
	}
	return out
}

func idAlone(id, content string) string {
	alone, ok := strings.CutSuffix(id, ":"+content)
	if !ok {
		return id + " does not end in the hash of its content"
	}
	return alone
}

func TestSamples(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, tt := range samples() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var flat map[string]any
			if err := json.Unmarshal([]byte(tt.json), &flat); err != nil {
				t.Fatal(err)
			}
			query := url.Values{"event": {tt.event}}
			get := url.Values{"event": {tt.event}}
			for key, value := range flat {
				if text, ok := value.(string); ok {
					get.Set(key, text)
				} else {
					get.Set(key, "187")
				}
			}
			facts, err := s.Parse(Post{Body: []byte(tt.json), ContentType: jsonType, Query: query, ReceivedAt: received})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.types, kinds(facts)); diff != "" {
				t.Errorf("types (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.ids, ids(facts)); tt.ids != nil && diff != "" {
				t.Errorf("identities (-want +got):\n%s", diff)
			}
			for _, f := range facts {
				if got := f.SourceTime.Format(time.RFC3339); got != tt.occurred || f.ZoneAssumed != tt.assumed {
					t.Errorf("%s: occurred %s, zone assumed %v, want %s, %v", f.Type, got, f.ZoneAssumed, tt.occurred, tt.assumed)
				}
				if _, changed, err := pipeline.CleanJSON(f.Payload); err != nil || changed {
					t.Errorf("payload is not fit for jsonb: changed %v, %v", changed, err)
				}
			}
			twins := map[string]Post{
				"form":              {Body: []byte(tt.form), ContentType: formType, Query: query, ReceivedAt: received},
				"form, JSON header": {Body: []byte(tt.form), ContentType: jsonType, Query: query, ReceivedAt: received},
				"JSON, form header": {Body: []byte(tt.json), ContentType: formType, Query: query, ReceivedAt: received},
				"JSON encoded":      {Body: []byte(url.QueryEscape(tt.json) + "="), ContentType: formType, Query: query, ReceivedAt: received},
				"path":              {Body: []byte(tt.json), EventPath: "/" + tt.event, ReceivedAt: received},
				"array":             {Body: []byte("[" + tt.json + "]"), Query: query, ReceivedAt: received},
				"params object":     {Body: []byte(`{"params":` + tt.json + `}`), Query: query, ReceivedAt: received},
				"params form":       {Body: []byte("params=" + url.QueryEscape(tt.form)), Query: query, ReceivedAt: received},
				"params JSON":       {Body: []byte("params=" + url.QueryEscape(tt.json)), Query: query, ReceivedAt: received},
				"GET":               {Method: "GET", Query: get, ReceivedAt: received},
			}
			for name, twin := range twins {
				got, err := s.Parse(twin)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if diff := cmp.Diff(facts, got); diff != "" {
					t.Errorf("%s differs from JSON (-json +twin):\n%s", name, diff)
				}
			}
		})
	}
}

// Without any event name the samples are still told apart by what they hold.
func TestSamplesByInference(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, tt := range samples() {
		facts, err := s.Parse(post(jsonType, tt.json, ""))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.types, kinds(facts)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestPayloadOfASample(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	facts, err := s.Parse(post(formType, samples()[4].form+"&x_new=7%3C8", "event=lead_update&src_system=crm"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"business_name":"Birch Hill Bakery LLC","email":"ana@birchhill.example","event":"lead_update","first_name":"Ana",` +
		`"last_name":"Ruiz","lead_id":"48213377","modified_at":"06/03/2025 10:21:05","monthly_revenue":"42000.00","phone_number":"5035550142",` +
		`"remote_id":"6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11","status":"NI","unmapped":{"owner_id":"","src_system":"crm","x_new":"7<8"}}`
	if diff := cmp.Diff(want, string(facts[0].Payload)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

func TestRowOfASample(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	facts, err := s.Parse(post(jsonType, samples()[0].json, "event=disposition"))
	if err != nil {
		t.Fatal(err)
	}
	seconds := 187
	want := EventRow{
		EventID: "disposition:call:2073617401:CB:" + digest(string(facts[0].Payload)), Type: "disposition", CallLogID: "2073617401", LeadID: "48213377",
		Phone: "+15035550142", Status: "CB", AgentID: "66318", AgentName: "Dana O'Neil", AgentEmail: "dana@broker.example",
		Campaign: "MCA Q3", ListID: "10855", Direction: "outbound", TermReason: "AGENT", DurationS: &seconds,
		Notes:      "Call back 3 pm & send docs, wants 60k",
		OccurredAt: time.Date(2025, 6, 3, 17, 17, 42, 0, time.UTC), ZoneAssumed: true, Unmapped: []byte("{}"),
	}
	if diff := cmp.Diff(want, facts[0].Row); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	columns, values := EventColumns(), facts[0].Row.Values()
	if len(columns) != len(values) {
		t.Fatalf("%d columns, %d values", len(columns), len(values))
	}
	byColumn := map[string]any{}
	for i, column := range columns {
		byColumn[column] = values[i]
	}
	for column, want := range map[string]any{
		"event_id": want.EventID, "phone": want.Phone, "notes": want.Notes, "term_reason": "AGENT", "occurred_at": want.OccurredAt,
		"zone_assumed": true, "state": nil, "queue": nil, "remote_id": nil, "list_id": "10855", "agent_email": want.AgentEmail,
	} {
		if diff := cmp.Diff(want, byColumn[column]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", column, diff)
		}
	}
}

// Section 8.6, and more of its kind.
func TestAwkwardBodies(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	tests := []struct {
		name, contentType, body string
		want                    []string
	}{
		{"JSON as form", formType, `{"call_log_id":"2073617401","lead_id":"48213377","status":"CB"}`, []string{"call:2073617401:CB"}},
		{"encoded JSON as form", formType, `%7B%22call_log_id%22%3A%222073617401%22%2C%22status%22%3A%22CB%22%7D=`, []string{"call:2073617401:CB"}},
		{"JSON with an equals sign", formType, `{"call_log_id":"2073617401","status":"CB"}=`, []string{"call:2073617401:CB"}},
		{"plus signs in encoded JSON", formType, `%7B%22call_log_id%22:+%222073617401%22,+%22status%22:+%22CB%22%7D`, []string{"call:2073617401:CB"}},
		{"params", formType, `params=call_log_id%3D2073617401%26status%3DCB`, []string{"call:2073617401:CB"}},
		{"array with numbers", jsonType, `[{"call_log_id":2073617401,"status":"CB","length_in_sec":187}]`, []string{"call:2073617401:CB"}},
		{"params in JSON", jsonType, `{"params":{"call_log_id":"2073617401","status":"CB"}}`, []string{"call:2073617401:CB"}},
		{"params array", jsonType, `{"params":[{"call_log_id":"2073617401","status":"CB"}]}`, []string{"call:2073617401:CB"}},
		{"form as JSON", jsonType, `call_log_id=2073617401&status=CB`, []string{"call:2073617401:CB"}},
		{"a second object is not lost", jsonType, `[{"call_log_id":1,"status":"CB"},{"call_log_id":2,"status":"NI"}]`, []string{"call:1:CB", "call:2:NI"}},
		{"byte order mark", jsonType, "\xef\xbb\xbf{\"call_log_id\":1,\"status\":\"CB\"}", []string{"call:1:CB"}},
		{"quoted JSON", jsonType, `"{\"call_log_id\":1,\"status\":\"CB\"}"`, []string{"call:1:CB"}},
		{"lone percent sign", formType, "call_log_id=1&status=CB&comments=100%+sure%zz", []string{"call:1:CB"}},
		{"first of duplicates that is not empty", formType, "call_log_id=1&status=&status=CB&status=NI", []string{"call:1:CB"}},
		{"NUL in a value", jsonType, `{"call_log_id":"1","status":"C\u0000B"}`, []string{"call:1:CB"}},
		{"NUL in a form", formType, "call_log_id=1&status=C%00B", []string{"call:1:CB"}},
		{"lone surrogate", jsonType, `{"call_log_id":"1","status":"CB","first_name":"\ud83d"}`, []string{"call:1:CB"}},
		{"bad UTF-8", formType, "call_log_id=1&status=CB&first_name=Jos%E9&\xff=\xfe", []string{"call:1:CB"}},
		{"huge number", jsonType, `{"call_log_id":1,"status":"CB","x":1e400000}`, []string{"call:1:CB"}},
		{"deep value", jsonType, `{"call_log_id":1,"status":"CB","x":` + nested(900) + `}`, []string{"call:1:CB"}},
		{"null and bool", jsonType, `{"call_log_id":1,"status":"CB","x":null,"y":true}`, []string{"call:1:CB"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			facts, err := s.Parse(post(tt.contentType, tt.body, ""))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, ids(facts)); diff != "" {
				t.Errorf("identities (-want +got):\n%s", diff)
			}
			for _, f := range facts {
				if _, changed, err := pipeline.CleanJSON(f.Payload); err != nil || changed {
					t.Errorf("payload is not fit for jsonb: changed %v, %v", changed, err)
				}
			}
		})
	}
}

func nested(depth int) string {
	return string(slices.Repeat([]byte("["), depth)) + string(slices.Repeat([]byte("]"), depth))
}
