package pipeline

import (
	"testing"
	"time"
)

// TestNamesakes tells a lead that only a phone makes one, of people with different names, from others.
func TestNamesakes(t *testing.T) {
	t.Parallel()
	phone := Key{Kind: KeyPhone, Value: "+13055550123"}
	ipscape := func(id string) Key { return Key{Kind: KeyIPSCAPELead, Account: "a", Value: id} }
	convoso := func(id string) Key { return Key{Kind: KeyConvosoLead, Account: "a", Value: id} }
	fact := func(first, last string, keys ...Key) LeadFact {
		return LeadFact{Keys: keys, Fields: map[Field]string{FieldContactFirstName: first, FieldContactLastName: last}}
	}
	for name, c := range map[string]struct {
		facts []LeadFact
		want  bool
	}{
		"one lead, renamed":          {[]LeadFact{fact("Ann", "Lee", ipscape("1"), phone), fact("Anna", "Lee", ipscape("1"), phone)}, false},
		"two, of one name":           {[]LeadFact{fact("Ann", "Lee", ipscape("1"), phone), fact(" ann", "LEE", convoso("2"), phone)}, false},
		"two, one without a name":    {[]LeadFact{fact("Ann", "Lee", ipscape("1"), phone), fact("", "", convoso("2"), phone)}, false},
		"two, of two names":          {[]LeadFact{fact("Ann", "Lee", ipscape("1"), phone), fact("Bob", "Lee", convoso("2"), phone)}, true},
		"two, tied by a strong key":  {[]LeadFact{fact("Ann", "Lee", ipscape("1"), phone), fact("Bob", "Lee", convoso("2"), ipscape("1"), phone)}, false},
		"a lead and a mere number":   {[]LeadFact{fact("Ann", "Lee", ipscape("1"), phone), fact("Bob", "", phone)}, true},
		"three, the third ties them": {[]LeadFact{fact("Ann", "", ipscape("1"), phone), fact("Bob", "", convoso("2"), phone), fact("", "", ipscape("1"), convoso("2"))}, false},
	} {
		for _, turned := range []bool{false, true} {
			var told []Told
			for i := range c.facts {
				at := i
				if turned {
					at = len(c.facts) - 1 - i
				}
				told = append(told, Told{Ref: string(rune('a' + at)), Stamp: Stamp{At: time.Unix(int64(at), 0)}, Facts: Facts{Leads: c.facts[at : at+1]}})
			}
			got := Fold(told, Rules{}).Leads
			if len(got) != 1 || got[0].Namesakes != c.want {
				t.Errorf("%s, turned %t: %d leads, %+v", name, turned, len(got), got)
			}
		}
	}
}
