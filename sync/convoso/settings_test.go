package convoso

import (
	"strings"
	"testing"
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
