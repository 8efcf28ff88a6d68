package convoso

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestSettingsReportEveryFault(t *testing.T) {
	t.Parallel()
	_, err := NewSettings(Config{
		Aliases:      "phone=mobile,nonsense,foo=bar,phone=email,lead_id=",
		DNCCodes:     "OK,*,-,A*B",
		Dispositions: "CB,X=Not Ours,=y",
	})
	if err == nil {
		t.Fatal("no fault found")
	}
	lines := strings.Split(err.Error(), "\n")
	count := map[string]int{}
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		count[name]++
	}
	if count["CONVOSO_ALIASES"] != 4 || count["CONVOSO_DNC_CODES"] != 3 || count["CONVOSO_DISPOSITIONS"] != 3 {
		t.Errorf("faults by variable %v of:\n%s", count, err)
	}
}

func TestConfiguredAliases(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{Aliases: "phone=Mobile No, call_log_id=ticket,status=ergebnis,dnc=sperre"})
	fields := parsedFields(t, s, map[string]any{"mobile_no": "5035550142", "TICKET": 7, "Ergebnis": "CB"})
	if fields[keyPhone] != "5035550142" || fields[keyCall] != "7" || fields[keyStatus] != "CB" {
		t.Errorf("configured keys are not read: %v", fields)
	}
	if fields := parsedFields(t, s, map[string]any{"ticket": 7, "log_id": 8}); fields[keyCall] != "8" {
		t.Errorf("call id is %v, want the built-in key's", fields[keyCall])
	}
	for _, body := range []string{`{"lead_id":5,"ergebnis":"DNC","status":"CB"}`, `{"lead_id":5,"sperre":"yes"}`} {
		facts, err := s.Parse(post(jsonType, body, ""))
		if err != nil || len(s.Suppressions(facts)) != 1 {
			t.Errorf("%s: no opt-out, error %v", body, err)
		}
	}
	// Settings put together by hand read the same.
	byHand := Settings{Region: "US", Aliases: map[string][]string{keyCall: {"ticket"}}}
	if fields := parsedFields(t, byHand, map[string]any{"ticket": 7}); fields[keyCall] != "7" {
		t.Errorf("call id is %v", fields[keyCall])
	}
}

func TestDispositions(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{Dispositions: "FUND=funded, cb=call_back"})
	for code, want := range map[string]string{"CB": "call_back", "fund": "funded", "NI": "not_interested", "AM": "no_answer", " XYZ ": "xyz", "": ""} {
		if got := s.Disposition(code); got != want {
			t.Errorf("%q means %q, want %q", code, got, want)
		}
	}
	if s.Account != "default" || s.Region != "US" || s.Zone.String() != "America/Los_Angeles" {
		t.Errorf("defaults are %s, %s, %s", s.Account, s.Region, s.Zone)
	}
}

// What CONVOSO_DISPOSITIONS says has to reach the fold.
func TestRules(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{Dispositions: "FUND=funded,warm=interested,NI=no_answer,REMOVE=dnc"})
	rules := s.Rules()
	want := map[string]pipeline.Disposition{
		"FUND":   {Outcome: "funded", AsAnswered: true},
		"WARM":   {Outcome: "interested", Stage: pipeline.StageQualified, Contacted: true},
		"NI":     {Outcome: "no_answer"},
		"REMOVE": {Outcome: "dnc", Contacted: true, OptOut: true},
		"CB":     {Outcome: "callback", Stage: pipeline.StageContacted, Contacted: true},
	}
	for code, rule := range want {
		if diff := cmp.Diff(rule, rules[code]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", code, diff)
		}
	}
	// Without configuration nothing differs from the built-in rules.
	built, told := pipeline.DefaultDispositions(), settings(t, Config{}).Rules()
	for code, rule := range told {
		if of, mapped := built.Of(pipeline.SourceConvoso, code); !mapped || of != rule {
			t.Errorf("%s: %+v, built in %+v", code, rule, of)
		}
	}
	given := pipeline.NewDispositions(map[pipeline.Source]map[string]pipeline.Disposition{pipeline.SourceConvoso: rules})
	fold := func(code string) pipeline.Result {
		facts, err := s.Parse(post(jsonType, `{"call_log_id":7,"lead_id":5,"call_date":"1748971265","status":"`+code+`"}`, ""))
		if err != nil {
			t.Fatal(err)
		}
		answered, err := s.Parse(post(jsonType, `{"call_log_id":7,"timestamp":"1748971270"}`, "event=call_answered"))
		if err != nil {
			t.Fatal(err)
		}
		var in []pipeline.Told
		for _, f := range append(facts, answered...) {
			r := record(f)
			told, err := s.Facts(r)
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, pipeline.TellOf(&r, told))
		}
		return pipeline.Fold(in, pipeline.Rules{Dispositions: given})
	}
	for code, want := range map[string]struct {
		outcome, stage string
		contacted      bool
	}{
		"fund": {"funded", pipeline.StageContacted, true}, // an answered call, whatever came of it
		"WARM": {"interested", pipeline.StageQualified, true},
		"NI":   {"no_answer", pipeline.StageNew, false},
	} {
		got := fold(code)
		if c, l := got.Calls[0], got.Leads[0]; c.Disposition != want.outcome || c.Contacted != want.contacted || l.Stage != want.stage {
			t.Errorf("%s: outcome %s, contacted %v, stage %s; want %+v", code, c.Disposition, c.Contacted, l.Stage, want)
		}
	}
}

// Postgres refuses to index texts of any length: what is no key must not be one, and must stay readable.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	long := strings.Repeat("a", 199) + "é" + strings.Repeat("b", 3000)
	body := `{"call_log_id":"` + long + `","lead_id":"` + long + `","phone":"5035550142","user_id":"` + long + `","status":"` + long + `","email":"` + long + `@x.example"}`
	facts, err := s.Parse(post(jsonType, body, ""))
	if err != nil || len(facts) != 1 {
		t.Fatalf("%v, %v", facts, err)
	}
	f := facts[0]
	told, err := s.Facts(record(f))
	if err != nil {
		t.Fatal(err)
	}
	c := told.Calls[0]
	if len(c.Key.ExternalID) != len("sha256:")+64 || c.Key.ExternalID != f.Row.CallLogID || !strings.HasPrefix(c.Key.ExternalID, "sha256:") {
		t.Errorf("call %q, row %q", c.Key.ExternalID, f.Row.CallLogID)
	}
	if cut := strings.Repeat("a", 199); c.Agent.ID != cut || c.Disposition != cut || c.Events[0].Disposition != cut {
		t.Errorf("agent %d bytes, disposition %d bytes", len(c.Agent.ID), len(c.Disposition))
	}
	if diff := cmp.Diff([]pipeline.Key{anaPhone}, told.Leads[0].Keys); diff != "" || f.Row.LeadID != "" {
		t.Errorf("lead %q, keys (-want +got):\n%s", f.Row.LeadID, diff)
	}
	for _, key := range []string{"call_log_id", "lead_id", "user_id", "status"} {
		if !strings.Contains(string(f.Row.Unmapped), `"`+key+`":"`+long+`"`) {
			t.Errorf("what %s said is gone", key)
		}
	}
	// Two long ids are two calls, also under the bare key "id".
	for _, body := range []string{`{"call_log_id":"` + long + `x","status":"CB"}`, `{"id":"` + long + `","status":"CB","call_length":"9"}`} {
		facts, err := s.Parse(post(jsonType, body, ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := facts[0].Row.CallLogID; !strings.HasPrefix(got, "sha256:") || (got == c.Key.ExternalID) != strings.Contains(body, `"id"`) {
			t.Errorf("call %q", got)
		}
	}
	long = "DNC" + long
	facts, err = s.Parse(post(jsonType, `{"lead_id":"5","status":"`+long+`"}`, ""))
	if err != nil {
		t.Fatal(err)
	}
	if found := s.Suppressions(facts); len(found) != 1 || len(found[0].Reason) > pipeline.KeyMax {
		t.Errorf("an opt-out by a long code: %d", len(found))
	}
}
