package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// An opt-out may name nothing but the call in which it was said.
func TestFoldDNCByCallOnly(t *testing.T) {
	t.Parallel()
	const phone, other = "+15032221111", "+15032221112"
	key := CallKey{SourceConvoso, "default", "2073"}
	out := told(SourceConvoso, "dnc", "d", 2, Facts{Calls: []CallFact{{Key: key}}, DNC: []DNCFact{{Call: key, Reason: "DNC"}}})
	lead := told(SourceConvoso, "lead_updates", "u", 1, leadFact(nil, convosoKey("48"), phoneKey(phone)))
	call := func(f CallFact) Told {
		f.Key = key
		return told(SourceConvoso, "dispositions", "c", 3, Facts{Calls: []CallFact{f}})
	}
	// So many leads that the phone links none of them.
	var crowd []Told
	for _, id := range []string{"1", "2", "3", "4"} {
		crowd = append(crowd, told(SourceIPSCAPE, "leads", id, 1, leadFact(nil, ipscapeKey(id), phoneKey(phone))))
	}
	tests := []struct {
		name   string
		in     []Told
		phones []string
		leads  int // how many of the leads must not be called
	}{
		{"nothing known of the call", []Told{out, lead}, nil, 0},
		{"nobody told of the call", []Told{told(SourceConvoso, "dnc", "d", 2, Facts{DNC: []DNCFact{{Call: key}}}), lead}, nil, 0},
		{"the call's lead", []Told{out, lead, call(CallFact{Lead: []Key{convosoKey("48")}})}, []string{phone}, 1},
		{"the call's lead, not who else was dialled", []Told{out, lead, call(CallFact{Lead: []Key{convosoKey("48")}, Direction: Outbound, ToNumber: other})}, []string{phone}, 1},
		{"lead of the call by phone", []Told{out, lead, call(CallFact{Lead: []Key{phoneKey(phone)}})}, []string{phone}, 1},
		{"dialled number of nobody", []Told{out, call(CallFact{Direction: Outbound, FromNumber: other, ToNumber: phone})}, []string{phone}, 0},
		{"caller whom nobody knows", []Told{out, call(CallFact{Direction: Inbound, FromNumber: phone, ToNumber: other})}, []string{phone}, 0},
		{"a number that is none", []Told{out, call(CallFact{Direction: Outbound, ToNumber: "anonymous"})}, nil, 0},
		{"a number without country code", []Told{out, call(CallFact{Direction: Outbound, ToNumber: "5032221111"})}, nil, 0},
		{"direction unknown", []Told{out, call(CallFact{FromNumber: other, ToNumber: phone})}, nil, 0},
		{"shared phone", append([]Told{out, call(CallFact{Lead: []Key{phoneKey(phone)}, Direction: Outbound, ToNumber: phone})}, crowd...), []string{phone}, 4},
		{"shared phone, direction unknown", append([]Told{out, call(CallFact{Lead: []Key{phoneKey(phone)}})}, crowd...), []string{phone}, 4},
		{"another call", []Told{out, lead, told(SourceConvoso, "dispositions", "c", 3, Facts{Calls: []CallFact{{
			Key: CallKey{SourceConvoso, "second", "2073"}, Lead: []Key{convosoKey("48")},
		}}})}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Fold(tt.in, Rules{})
			var phones []string
			for _, d := range got.DNC {
				if d.Active() {
					phones = append(phones, d.Phone)
				}
			}
			leads := 0
			for _, l := range got.Leads {
				if l.DNC {
					leads++
				}
			}
			if diff := cmp.Diff(tt.phones, phones); diff != "" || leads != tt.leads {
				t.Errorf("%d leads, want %d; phones (-want +got):\n%s", leads, tt.leads, diff)
			}
		})
	}
	lift := told(SourceOperator, "lifts", "l1", 10, Facts{DNC: []DNCFact{{Phone: phone, Lift: true}}})
	byNumber := call(CallFact{Direction: Outbound, ToNumber: phone})
	if row := Fold([]Told{out, byNumber, lift}, Rules{}).DNC; len(row) != 1 || row[0].Active() {
		t.Errorf("an opt-out by call cannot be lifted: %+v", row)
	}
}

func TestCutCode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 400, 1200).Draw(t, "text")
		got := CutCode(text)
		if len(text) <= KeyMax {
			if got != text {
				t.Fatalf("%q became %q", text, got)
			}
			return
		}
		if len(got) > KeyMax || len(got) < KeyMax-3 || text[:len(got)] != got || CleanText(got) != CleanText(text)[:len(CleanText(got))] {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// TestLiftReachesWhateverTheFactReached: an opt-out that named phone and lead is lifted for both by a lift of the phone, and
// one that named the lead only is lifted by a lift of one of its phones. A later opt-out holds.
func TestLiftReachesWhateverTheFactReached(t *testing.T) {
	t.Parallel()
	lead := []Key{{Kind: KeyConvosoLead, Account: "default", Value: "9"}}
	first, second := "+13055550123", "+13055550124"
	tell := told(SourceConvoso, "leads", "9", 1, Facts{Leads: []LeadFact{{Keys: append(lead,
		Key{Kind: KeyPhone, Value: first}, Key{Kind: KeyPhone, Value: second})}}})
	lift := told(SourceOperator, "do_not_call", "l1", 10, Facts{DNC: []DNCFact{{Phone: first, Lift: true}}})
	for name, out := range map[string]DNCFact{
		"phone and lead": {Phone: first, Lead: lead, Reason: "DNC"},
		"lead only":      {Lead: lead, Reason: "DNC"},
	} {
		early := told(SourceConvoso, "dnc", "d1", 5, Facts{DNC: []DNCFact{out}})
		late := told(SourceConvoso, "dnc", "d2", 20, Facts{DNC: []DNCFact{out}})
		for _, tc := range []struct {
			told []Told
			want bool
		}{
			{[]Told{tell, early}, true}, {[]Told{tell, early, lift}, false}, {[]Told{tell, early, lift, late}, true},
		} {
			got := Fold(tc.told, Rules{})
			if len(got.Leads) != 1 || got.Leads[0].DNC != tc.want {
				t.Errorf("%s, %d records: lead opted out is %v, want %v", name, len(tc.told), got.Leads[0].DNC, tc.want)
			}
			for _, row := range got.DNC {
				if row.Active() != tc.want {
					t.Errorf("%s, %d records: phone opted out is %v, want %v", name, len(tc.told), row.Active(), tc.want)
				}
			}
		}
	}
}
