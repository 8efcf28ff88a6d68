package convoso

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Keys that mean something, and a few that do not.
var someKeys = []string{
	"call_log_id", "callId", "uniqueid", "lead_id", "Lead ID", "id", "remote_id", "phone_number", "phone", "PhoneNumber", "number_dialed", "phone_code",
	"status", "disposition", "lead_status", "status_name", "user_id", "agent_email", "agent", "length_in_sec", "call_date", "timestamp",
	"modified_at", "call_type", "term_reason", "recording", "public_url", "comment", "notes", "campaign", "queue", "list_id", "first_name",
	"last_name", "email", "company", "state", "monthly_revenue", "event", "type", "dnc", "is_dnc", "owner_id", "x", "custom_field_1", "Größe",
}

var someValues = []string{
	"", "0", "1", "7", "2073617401", "48213377", "5035550142", "+61412345678", "CB", "NI", "INCALL", "DNC", "dncq", "DNCNFD", "SALE", "Y", "no", "true",
	"2025-06-03 10:17:42", "1748971265", "20240315T143000Z", "0000-00-00", "187", "0:03:07", "OUTBOUND", "AGENT", "https://r.example/1?a=b&c=d",
	`[{"public_url":"https://r.example/2"}]`, "6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11", "Ana", "O'Neil & Söhne", "disposition", "call_started", "dnc",
	"100% + 1", " spaced ", "a\u0000b", "{", "[", "\u2028<>&",
}

func flatMap(t *rapid.T) map[string]string {
	value := rapid.OneOf(rapid.SampledFrom(someValues), rapid.SampledFrom(someValues), rapid.String())
	m := rapid.MapOfN(rapid.SampledFrom(someKeys), value, 1, 14).Draw(t, "fields")
	for key, v := range m {
		// A form cannot say bytes that are no text, and neither can JSON.
		m[key] = strings.ToValidUTF8(v, "?")
	}
	return m
}

func asForm(m map[string]string, keys []string) []byte {
	var parts []string
	for _, key := range keys {
		parts = append(parts, url.QueryEscape(key)+"="+url.QueryEscape(m[key]))
	}
	return []byte(strings.Join(parts, "&"))
}

func asJSON(t *rapid.T, m map[string]string, keys []string) []byte {
	var parts []string
	for _, key := range keys {
		k, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		v, err := json.Marshal(m[key])
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(k)+":"+string(v))
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

func shuffled(t *rapid.T, m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return rapid.Permutation(keys).Draw(t, "order")
}

// JSON, form and query give the same facts, whatever the order of their keys.
func TestEncodingAndOrderDoNotMatter(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	rapid.Check(t, func(t *rapid.T) {
		m := flatMap(t)
		want, wantErr := s.Parse(Post{Body: asJSON(t, m, shuffled(t, m)), ReceivedAt: received})
		// In the query an event name is a selector of the first rule and no data, so those are left to the two others.
		posts := map[string]Post{
			"form":  {Body: asForm(m, shuffled(t, m)), ReceivedAt: received},
			"JSON":  {Body: asJSON(t, m, shuffled(t, m)), ReceivedAt: received},
			"array": {Body: slices.Concat([]byte("["), asJSON(t, m, shuffled(t, m)), []byte("]")), ReceivedAt: received},
		}
		if m["event"] == "" && m["type"] == "" {
			query := url.Values{}
			for key, value := range m {
				query.Set(key, value)
			}
			posts["query"] = Post{Query: query, ReceivedAt: received}
		}
		posts["two"] = Post{
			Body:       slices.Concat([]byte("["), asJSON(t, m, shuffled(t, m)), []byte(","), asJSON(t, flatMap(t), someKeys), []byte("]")),
			ReceivedAt: received,
		}
		for name, p := range posts {
			looksAsItParses(t, s, p)
			if name == "two" {
				continue
			}
			got, err := s.Parse(p)
			if errors.Is(err, ErrUnparsable) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%s: error %v, want %v", name, err, wantErr)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

// looksAsItParses holds what the receiver looks for in a post to what the drain will find.
func looksAsItParses(t rapid.TB, s Settings, p Post) {
	facts, err := s.Parse(p)
	count, optOuts, lookErr := s.Look(p)
	if count != len(facts) || fmt.Sprint(err) != fmt.Sprint(lookErr) {
		t.Fatalf("a look finds %d facts, %v; parsing %d, %v", count, lookErr, len(facts), err)
	}
	if diff := cmp.Diff(s.Suppressions(facts), optOuts); diff != "" {
		t.Fatalf("other opt-outs (-parsed +looked):\n%s", diff)
	}
}

// An opt-out is never lost: not by an event name, another code, an odd key or a missing phone.
func TestOptOutIsNeverLost(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	rapid.Check(t, func(t *rapid.T) {
		m := flatMap(t)
		if rapid.Bool().Draw(t, "by code") {
			key := rapid.SampledFrom([]string{"status", "disposition", "dispositionCode", "call_status", "Lead Status"}).Draw(t, "code key")
			m[key] = rapid.SampledFrom([]string{"DNC", "dnca", " DNCRT", "DNCW"}).Draw(t, "code")
		} else {
			key := rapid.SampledFrom([]string{"dnc", "isDNC", "do_not_call", "Do-Not-Call"}).Draw(t, "flag key")
			m[key] = rapid.SampledFrom([]string{"1", "y", "YES", "True"}).Draw(t, "flag")
		}
		if rapid.Bool().Draw(t, "by phone") {
			m["phone_number"] = rapid.StringMatching(`(\+1 ?)?[1-9]\d{2}[- ]?\d{3}[- ]?\d{4}`).Draw(t, "number")
		} else {
			m["lead_id"] = rapid.StringMatching(`[1-9]\d{0,9}`).Draw(t, "lead")
		}
		p := Post{Body: asForm(m, shuffled(t, m)), ReceivedAt: received}
		if name := rapid.SampledFrom([]string{"", "disposition", "recording", "call_event", "lead_update", "dnc", "call_started"}).Draw(t, "event"); name != "" {
			p.Query = url.Values{"event": {name}}
		}
		facts, err := s.Parse(p)
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		if found := s.Suppressions(facts); len(found) == 0 {
			t.Fatalf("lost among %v", kinds(facts))
		}
		looksAsItParses(t, s, p)
		optedOut := false
		for _, f := range facts {
			told, err := s.Facts(record(f))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range told.DNC {
				optedOut = optedOut || d.Phone != "" || len(d.Lead) > 0
			}
		}
		if !optedOut {
			t.Fatal("the records do not carry it")
		}
	})
}

// Identities land in logs: no phone, name, address or note in clear, and of bounded length.
func TestIdentitiesShowNobody(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	rapid.Check(t, func(t *rapid.T) {
		m := flatMap(t)
		digits := rapid.StringMatching(`[2-9]\d{2}[2-9]\d{6}`).Draw(t, "digits")
		name := rapid.StringMatching(`[A-Z][a-z]{6,12}`).Draw(t, "name")
		m["phone_number"], m["first_name"], m["email"] = "+1 "+digits, name, name+"@x.example"
		for _, key := range []string{"call_log_id", "lead_id", "status", "recording"} {
			if rapid.Bool().Draw(t, key) {
				m[key] = rapid.SampledFrom([]string{digits, "1" + digits, name, name + digits, "tel:" + digits, "https://x.example/" + digits + "/" + name}).Draw(t, key+" value")
			}
		}
		facts, err := s.Parse(Post{Body: asJSON(t, m, shuffled(t, m)), ReceivedAt: received})
		if err != nil {
			t.Skip("not recognised")
		}
		for _, f := range facts {
			if strings.Contains(f.ObjectID, digits) || strings.Contains(strings.ToLower(f.ObjectID), strings.ToLower(name)) || len(f.ObjectID) > 120 || f.ObjectID == "" {
				t.Fatalf("%s has identity %q", f.Type, f.ObjectID)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, sample := range samples() {
		f.Add([]byte(sample.json), "event="+sample.event)
		f.Add([]byte(sample.form), "")
	}
	for _, body := range []string{
		`%7B%22call_log_id%22%3A%222073617401%22%2C%22status%22%3A%22CB%22%7D=`, `params=call_log_id%3D2073617401%26status%3DCB`,
		`[{"call_log_id":2073617401,"status":"CB","recording":[{"src":"x"}]}]`, `{"params":{"params":{"status":"\ud800"}}}`, "{\"a\":\"\x00\xff\"}", `"\"{}\""`, "=&=&%",
	} {
		f.Add([]byte(body), "type=dnc&lead_id=5")
	}
	s := settings(f, Config{})
	f.Fuzz(func(t *testing.T, body []byte, rawQuery string) {
		query, _ := url.ParseQuery(rawQuery)
		p := Post{Body: body, Query: query, ReceivedAt: received}
		facts, err := s.Parse(p)
		again, errAgain := s.Parse(p)
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || !cmp.Equal(facts, again) {
			t.Fatal("two readings differ")
		}
		looksAsItParses(t, s, p)
		if err != nil {
			if !errors.Is(err, ErrUnparsable) && !errors.Is(err, ErrUnrecognised) || facts != nil {
				t.Fatalf("error %v beside %d facts", err, len(facts))
			}
			return
		}
		seen := map[string]bool{}
		for _, fact := range facts {
			id := fact.Stream + "/" + fact.ObjectID
			if seen[id] || len(fact.ObjectID) > 120 {
				t.Errorf("identity %s twice or too long", id)
			}
			seen[id] = true
			for _, doc := range [][]byte{fact.Payload, fact.Row.Unmapped} {
				if _, changed, err := pipeline.CleanJSON(doc); err != nil || changed {
					t.Errorf("not fit for jsonb: changed %v, %v: %s", changed, err, doc)
				}
			}
			for _, value := range fact.Row.Values() {
				if text, ok := value.(string); ok && text != pipeline.CleanText(text) {
					t.Errorf("column holds %q", text)
				}
			}
			told, err := s.Facts(record(fact))
			if err != nil {
				t.Fatal(err)
			}
			// jsonb gives the payload back with other spaces and another order.
			var doc map[string]any
			if err := json.Unmarshal(fact.Payload, &doc); err != nil {
				t.Fatal(err)
			}
			var spaced bytes.Buffer
			if err := json.Indent(&spaced, fact.Payload, "", " "); err != nil {
				t.Fatal(err)
			}
			r := record(fact)
			r.Payload = spaced.Bytes()
			if other, err := s.Facts(r); err != nil || !cmp.Equal(told, other) {
				t.Errorf("jsonb's spelling changes the facts: %v", err)
			}
		}
		s.Suppressions(facts)
	})
}
