package pipeline

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"time"
)

// echoSlack is how far apart our clock and a source's may be.
const echoSlack = 5 * time.Minute

// echoes are what we told sources of one lead, a list by time for each time that a source has the lead. What comes back has the
// source's time of now, and the same time for all its fields: taken for the source's own word it would beat whatever others told
// a moment before, and had nothing to do with. A value that the source takes up again, after we told it another one, is its own.
type echoes map[Source][][]ToldValues

func (e echoes) add(t *Told, f *LeadFact) {
	if len(f.Told) > 0 {
		told := slices.SortedStableFunc(slices.Values(f.Told), func(a, b ToldValues) int { return a.At.Compare(b.At) })
		e[t.Stamp.Source] = append(e[t.Stamp.Source], told)
	}
}

// without returns what is left of a field that a source told, and false where nothing is: it repeats us. Of custom fields each is
// looked at by itself.
func (e echoes) without(at Stamp, field Field, value string) (string, bool) {
	var custom map[string]json.RawMessage
	if field == FieldCustom && len(e[at.Source]) > 0 {
		_ = json.Unmarshal([]byte(value), &custom) // what is no object repeats nothing
	}
	repeated := false
	for _, told := range e[at.Source] {
		for i := range told {
			ours, ok := told[i].Fields[field]
			if !ok || told[i].At.After(at.At.Add(echoSlack)) || i+1 < len(told) && told[i+1].At.Before(at.At.Add(-echoSlack)) {
				continue
			}
			if custom == nil {
				repeated = repeated || sameValue(ours, value)
				continue
			}
			var was map[string]json.RawMessage
			_ = json.Unmarshal([]byte(ours), &was)
			maps.DeleteFunc(custom, func(name string, v json.RawMessage) bool {
				repeats := was[name] != nil && customText(was[name]) == customText(v)
				repeated = repeated || repeats
				return repeats
			})
		}
	}
	if custom == nil || !repeated {
		return value, !repeated
	}
	text, err := json.Marshal(custom)
	if err != nil {
		return value, true
	}
	return string(text), len(custom) > 0
}

// customText is a custom value as text: a destination is told all of them as texts.
func customText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// sameValue compares amounts as numbers, so that 5000 and 5000.00 are the same, and all else as it is written.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, ok := new(big.Rat).SetString(a)
	if !ok {
		return false
	}
	y, ok := new(big.Rat).SetString(b)
	return ok && x.Cmp(y) == 0
}
