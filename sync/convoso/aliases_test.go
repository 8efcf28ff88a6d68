package convoso

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// aliasGroups is section 5 as the contract lists it, with the field of the row or payload that shows it.
var aliasGroups = []struct {
	canonical, value, want, keys string
}{
	{keyCall, "2073617401", "", "call_log_id callLogId call_id callId externalCallId external_call_id uniqueid voip_call_id log_id"},
	{keyLead, "48213377", "", "lead_id leadId convoso_lead_id voip_customer_id id"},
	{keyRemote, "6F1B1C52-6a0e-4f0e-9a52-0f3d4f3c7a11", "6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11", "lendworks_lead_id lw_lead_id remote_id external_id"},
	{keyPhone, "5035550142", "", "phone_number phone primary_phone PhoneNumber lead_phone customer_phone phone_number_call number_dialed"},
	{keyPhoneCode, "1", "", "phone_code country_code"},
	{keyStatus, "CB", "", "status disposition disposition_code call_status lead_status"},
	{keyStatusName, "Call back", "", "status_name statusname disposition_name call_result"},
	{keyAgentID, "66318", "", "user_id userId agent_id agentId"},
	{keyAgentEmail, "dana@broker.example", "", "agent_email user_email agentEmail"},
	{keyAgentName, "Dana O'Neil", "", "agent_full_name agent_name agent user user_name"},
	{keyLength, "187", "", "length_in_sec call_length duration duration_sec duration_seconds durationSeconds talk_time talk_seconds"},
	{keyDirection, "OUTBOUND", "", "call_type callType direction"},
	{keyTermReason, "AGENT", "", "term_reason termination_reason term_reason_id"},
	{keyRecording, "https://r.example/1.mp3", "", "recording recording_url recordingUrl recording_link public_url src"},
	{keyComment, "wants 60k", "", "agent_comment comments comment call_notes note"},
	{keyNotes, "met at a fair", "", "notes"},
	{keyCampaign, "MCA Q3", "", "campaign_name campaign"},
	{keyCampaignID, "3475", "", "campaign_id"},
	{keyListID, "10855", "", "list_id"},
	{keyListName, "Fair", "", "list_name"},
	{keyQueueID, "7", "", "queue_id"},
	{keyQueueName, "Inbound", "", "queue_name queue"},
	{keyModifiedAt, "2025-06-03 10:17:42", "", "modified_at updated_at"},
	{keyBusiness, "Birch Hill", "", "business_name company"},
	{keyFirstName, "Ana", "", "first_name"},
	{keyLastName, "Ruiz", "", "last_name"},
	{keyEmail, "ana@birch.example", "", "email"},
	{keyStdCompany, "Birch", "", "std_company_name"},
	{keyDBA, "Birch", "", "dba"},
	{keyIndustry, "Bakery", "", "industry"},
	{keyMonthlyRevenue, "42000.00", "", "monthly_revenue"},
	{keyAnnualRevenue, "500000", "", "annual_revenue"},
	{keyCity, "Salem", "", "city"},
	{keyState, "OR", "", "state"},
	{keyPostalCode, "97301", "", "postal_code"},
	{keyDNC, "Y", "", "dnc is_dnc do_not_call"},
}

// spellings are ways in which a customer may write a key.
func keySpellings(key string) []string {
	words := strings.Split(key, "_")
	for i := range words {
		words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
	}
	return []string{
		key, strings.ToUpper(key), strings.Join(words, ""), strings.Join(words, " "), strings.ReplaceAll(key, "_", "-"), strings.ReplaceAll(key, "_", ""),
	}
}

func parsedFields(t *testing.T, s Settings, doc map[string]any) (fields map[string]any) {
	t.Helper()
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := s.Parse(post(jsonType, string(body), "event=lead_update"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(facts[0].Payload, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestAliases(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, group := range aliasGroups {
		want := group.want
		if want == "" {
			want = group.value
		}
		for key := range strings.FieldsSeq(group.keys) {
			for _, spelled := range keySpellings(key) {
				fields := parsedFields(t, s, map[string]any{spelled: group.value})
				if fields[group.canonical] != want {
					t.Errorf("%s: %s is %v, want %q", spelled, group.canonical, fields[group.canonical], want)
				}
			}
		}
	}
}

// The first of a group that says something wins, in the contract's order and not in the body's; the others stay readable.
func TestFirstOfAGroupWins(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, group := range aliasGroups {
		var keys []string
		for key := range strings.FieldsSeq(group.keys) {
			if key != "id" && !slices.ContainsFunc(keys, func(k string) bool { return normal(k) == normal(key) }) {
				keys = append(keys, key)
			}
		}
		for i := range len(keys) - 1 {
			doc := map[string]any{keys[i]: group.value, keys[i+1]: group.value}
			if group.canonical != keyRemote && group.canonical != keyModifiedAt {
				doc[keys[i+1]] = "9" + group.value
			}
			fields := parsedFields(t, s, doc)
			rest, _ := fields[keyUnmapped].(map[string]any)
			if fields[group.canonical] != group.want && fields[group.canonical] != group.value {
				t.Errorf("%s and %s: %s is %v", keys[i], keys[i+1], group.canonical, fields[group.canonical])
			}
			if rest[keys[i+1]] != doc[keys[i+1]] {
				t.Errorf("%s lost to %s and is gone: %v", keys[i+1], keys[i], rest)
			}
			doc[keys[i]] = " "
			want := doc[keys[i+1]]
			if group.want != "" {
				want = group.want
			}
			if fields := parsedFields(t, s, doc); fields[group.canonical] != want {
				t.Errorf("%s beside an empty %s: %s is %v, want %v", keys[i+1], keys[i], group.canonical, fields[group.canonical], want)
			}
		}
	}
}

// Of two spellings of one key Convoso's own wins, whichever comes first.
func TestSpellingsOfOneKey(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, body := range []string{`{"callLogId":1,"call_log_id":2,"status":"CB"}`, `{"call_log_id":2,"callLogId":1,"status":"CB"}`} {
		facts, err := s.Parse(post(jsonType, body, ""))
		if err != nil || facts[0].Row.CallLogID != "2" {
			t.Errorf("%s: facts %v, error %v", body, ids(facts), err)
		}
	}
}

func TestIDMeansLeadOrCall(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	tests := []struct {
		name       string
		doc        map[string]any
		call, lead any
	}{
		{"a lead record", map[string]any{"id": "5", "email": "a@b.example"}, nil, "5"},
		{"beside a call id", map[string]any{"id": "5", "call_log_id": "7"}, "7", "5"},
		{"equal to the call id", map[string]any{"id": "7", "call_log_id": "7"}, "7", nil},
		{"equal to the lead id", map[string]any{"id": "5", "lead_id": "5", "call_date": "2025-06-03"}, nil, "5"},
		{"both ids told", map[string]any{"id": "9", "call_log_id": "7", "lead_id": "5"}, "7", "5"},
		{"a call log entry", map[string]any{"id": "7", "lead_id": "5", "call_length": "187", "number_dialed": "5035550142"}, "7", "5"},
		{"a call log entry without lead", map[string]any{"id": "7", "call_length": "187", "status": "CB"}, "7", nil},
		{"lead id and call fields", map[string]any{"id": "7", "lead_id": "5", "length_in_sec": "187"}, "7", "5"},
		{"lead id and lead fields", map[string]any{"id": "7", "lead_id": "5", "city": "Salem"}, nil, "5"},
		{"lead fields with a call's, in the adaptor's names", map[string]any{"id": "5", "call_date": "2025-06-03", "city": "Salem"}, nil, "5"},
		{"no id at all", map[string]any{"id": "0", "city": "Salem"}, nil, nil},
	}
	for _, tt := range tests {
		fields := parsedFields(t, s, tt.doc)
		if fields[keyCall] != tt.call || fields[keyLead] != tt.lead {
			t.Errorf("%s: call %v, lead %v, want %v, %v", tt.name, fields[keyCall], fields[keyLead], tt.call, tt.lead)
		}
	}
}

func TestValuesThatSayNothing(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	fields := parsedFields(t, s, map[string]any{
		"lead_id": "0", "call_log_id": 0, "remote_id": "not a uuid", "call_date": "0000-00-00 00:00:00", "recording": "", "city": "Salem",
	})
	for _, key := range []string{keyLead, keyCall, keyRemote, keyCallDate, keyRecording} {
		if value, ok := fields[key]; ok {
			t.Errorf("%s is %v, want nothing", key, value)
		}
	}
	rest, _ := fields[keyUnmapped].(map[string]any)
	if rest["remote_id"] != "not a uuid" || rest["call_date"] != "0000-00-00 00:00:00" {
		t.Errorf("what was sent is gone: %v", rest)
	}
}
