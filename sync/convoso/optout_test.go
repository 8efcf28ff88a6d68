package convoso

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCodeSet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text    string
		in, out []string
	}{
		{"", []string{"DNC", "dnca", " DNCQ ", "DNCLCC"}, []string{"", "DNCNFD", "dncnfd", "CB", "XDNC", "DN"}},
		{"OPTOUT, stop", []string{"DNC", "OPTOUT", "Stop"}, []string{"DNCNFD", "STOPPED"}},
		{"OPT*", []string{"OPT", "OPTOUT"}, []string{"OP"}},
		{"-DNCRT", []string{"DNC", "DNCA"}, []string{"DNCRT"}},
		{"DNCNFD", []string{"DNCNFD"}, nil},
		{"-DNC*,DNC", []string{"DNC"}, []string{"DNCA", "DNCNFD"}},
		{"-DNCQ*,DNCQX", []string{"DNC", "DNCQX"}, []string{"DNCQ", "DNCQY"}},
		{"STOP,-STOP", nil, []string{"STOP"}},
	}
	for _, tt := range tests {
		set, err := ParseCodeSet(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
		}
		for _, code := range tt.in {
			if !set.Has(code) {
				t.Errorf("%q leaves %q out", tt.text, code)
			}
		}
		for _, code := range tt.out {
			if set.Has(code) {
				t.Errorf("%q takes %q in", tt.text, code)
			}
		}
	}
	var zero CodeSet
	if !zero.Has("DNC") || zero.Has("DNCNFD") || zero.Has("CB") {
		t.Error("the zero set is not the default one")
	}
}

// A region that the numbering plan does not know makes numbers unreadable, not opt-outs void.
func TestSuppressionInAStrangeRegion(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{Region: "XX"})
	facts, err := s.Parse(post("", `{"status":"DNC","phone":"503 555-0142"}`, ""))
	if err != nil {
		t.Fatal(err)
	}
	if found := s.Suppressions(facts); len(found) != 1 || found[0].Phone != "+5035550142" {
		t.Errorf("suppressions %+v", found)
	}
}

func TestSuppressions(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	tests := []struct {
		name, body, query string
		want              []Suppression
	}{
		{"sample 8.5", samples()[5].json, "event=dnc", []Suppression{{Phone: "+15035550142", LeadID: "48213377", Stream: "dnc", ObjectID: "call:2073617533:DNC", Reason: "DNC"}}},
		{"disposition with a code", `{"call_log_id":7,"lead_id":5,"status":"dncq","phone":"5035550142"}`, "event=disposition", []Suppression{{Phone: "+15035550142", LeadID: "5", Stream: "dnc", ObjectID: "call:7:DNCQ", Reason: "dncq"}}},
		{"lead only", `{"call_log_id":7,"lead_id":5,"do_not_call":"1"}`, "", []Suppression{{LeadID: "5", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "do_not_call"}}},
		{"remote id only", `{"call_log_id":7,"remote_id":"6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11"}`, "event=dnc", []Suppression{{RemoteID: "6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11", CallID: "7", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "dnc"}}},
		{"call only", `{"call_log_id":7}`, "event=dnc", []Suppression{{CallID: "7", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "dnc"}}},
		{"call and a phone that is none", `{"call_log_id":7,"status":"DNC","phone":"x"}`, "", []Suppression{{CallID: "7", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"}}},
		{"the account's own code", `{"call_log_id":7,"lead_id":5,"status":"REMOVE"}`, "event=dnc", []Suppression{{LeadID: "5", Stream: "dnc", ObjectID: "call:7:REMOVE", Reason: "REMOVE"}}},
		{"two numbers", `{"call_log_id":7,"status":"DNC","phone_number":"5035550142","phone_number_call":"5035550143"}`, "", []Suppression{
			{Phone: "+15035550142", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"}, {Phone: "+15035550143", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"},
		}},
		{"a number the plan does not know", `{"call_log_id":7,"status":"DNC","phone":"1235550142"}`, "", []Suppression{{Phone: "+11235550142", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"}}},
		{"country code", `{"call_log_id":7,"status":"DNC","phone":"0412345678","phone_code":"61"}`, "", []Suppression{{Phone: "+61412345678", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"}}},
		{"country letters", `{"call_log_id":7,"status":"DNC","phone":"0412345678","country_code":"au"}`, "", []Suppression{{Phone: "+61412345678", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"}}},
		{"code in the query", `{"call_log_id":7,"lead_id":5,"status":"CB"}`, "lead_status=DNC", []Suppression{{LeadID: "5", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"}}},
		{"repeated key", `call_log_id=7&lead_id=5&status=CB&status=DNC`, "", []Suppression{{LeadID: "5", Stream: "dnc", ObjectID: "call:7:DNC", Reason: "DNC"}}},
		{"none", samples()[0].json, "event=disposition", nil},
		{"number not found", `{"call_log_id":7,"lead_id":5,"status":"DNCNFD"}`, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			facts, err := s.Parse(post("", tt.body, tt.query))
			if err != nil {
				t.Fatal(err)
			}
			found := s.Suppressions(facts)
			for i := range found {
				at := slices.IndexFunc(facts, func(f Fact) bool { return f.Stream == found[i].Stream && f.ObjectID == found[i].ObjectID })
				if at < 0 {
					t.Fatalf("%+v names no record", found[i])
				}
				found[i].ObjectID = ids(facts)[at]
			}
			if diff := cmp.Diff(tt.want, found); diff != "" {
				t.Errorf("suppressions (-want +got):\n%s", diff)
			}
		})
	}
}
