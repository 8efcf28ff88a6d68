package pipeline

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestConditionMatches(t *testing.T) {
	t.Parallel()
	won := func(v string) Won { return Won{Value: v} }
	full := &Lead{
		Stage: "contacted",
		Fields: map[Field]Won{
			FieldSource: won("web_form"), FieldPriority: won("high"), FieldTags: won(`["mca","q&a","50% off"]`), FieldRequestedAmount: won("50000.00"),
		},
		Keys: []LinkedKey{{Evidence: "ipscape/leads/7"}, {Evidence: "convoso/dnc/8"}},
	}
	bare := &Lead{Fields: map[Field]Won{}}
	odd := &Lead{Fields: map[Field]Won{FieldTags: won(`{"not":"a list"}`), FieldRequestedAmount: won("much")}}
	for _, c := range []struct {
		text string
		lead *Lead
		want bool
	}{
		{"", full, true},
		{"", bare, true},
		{"source=web_form", full, true},
		{"source=ipscape", full, true},
		{"source=convoso", full, true},
		{"source=ips", full, false},
		{"source=leads", full, false},
		{"source=api", full, false},
		{"source=ipscape", bare, false},
		{"priority=high", full, true},
		{"priority=normal", full, false},
		{"priority=normal", bare, true},
		{"stage=contacted", full, true},
		{"stage=won", full, false},
		{"tag=mca", full, true},
		{"tag=q%26a", full, true},
		{"tag=50%25+off", full, true},
		{"tag=mc", full, false},
		{"tag=mca", bare, false},
		{"tag=mca", odd, false},
		{"min_amount=50000", full, true},
		{"min_amount=50000.01", full, false},
		{"min_amount=0.1", full, true},
		{"min_amount=0", bare, false},
		{"min_amount=0", odd, false},
		{"source=ipscape&priority=high&stage=contacted&tag=mca&min_amount=1", full, true},
		{"source=ipscape&priority=low", full, false},
		{"tag=mca&tag=q%26a", full, true},
		{"tag=mca&tag=other", full, false},
	} {
		condition, err := ParseCondition(c.text)
		if err != nil {
			t.Errorf("ParseCondition(%q): %v", c.text, err)
			continue
		}
		if got := condition.Matches(c.lead); got != c.want {
			t.Errorf("%q takes the lead: %t, want %t", c.text, got, c.want)
		}
	}
}

func TestParseConditionRefuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"source":                 "key=value",
		"source=":                "key=value",
		"=sekrit":                "source, priority, stage, tag, min_amount",
		"&":                      "key=value",
		"source=a&":              "key=value",
		"sekrit=red":             "source, priority, stage, tag, min_amount",
		"Source=sekrit":          "source, priority, stage, tag, min_amount",
		"tag=sekrit%zz":          "URL-encoded",
		"min_amount=sekrit":      "not a number",
		"min_amount=1,000":       "not a number",
		"min_amount=":            "key=value",
		"source=a;tag=b&sekrit":  "key=value",
		"source=a&min_amount=1x": "not a number",
	} {
		c, err := ParseCondition(text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("ParseCondition(%q) = %v, %v; want an error that says %q", text, c, err, says)
		}
		// The text may be a secret in the wrong place.
		if err != nil && strings.Contains(err.Error(), "sekrit") {
			t.Errorf("ParseCondition(%q): the error %v repeats the text", text, err)
		}
	}
}

// A route is told apart by its condition's text, so the same terms have to give the same text however they are written.
func TestConditionText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 4).Draw(t, "terms")
		var terms []term
		for range n {
			terms = append(terms, term{
				rapid.SampledFrom([]string{"source", "priority", "stage", "tag"}).Draw(t, "key"),
				rapid.StringN(1, 6, -1).Draw(t, "value"),
			})
		}
		text := Condition{terms}.String()
		c, err := ParseCondition(text)
		if err != nil {
			t.Fatalf("ParseCondition(%q): %v", text, err)
		}
		again, err := ParseCondition(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("%q reads back as %q (%v)", c, again, err)
		}
		shuffled, err := ParseCondition(Condition{rapid.Permutation(terms).Draw(t, "order")}.String())
		if err != nil || shuffled.String() != c.String() {
			t.Fatalf("in another order %q instead of %q (%v)", shuffled, c, err)
		}
		if len(again.terms) != n {
			t.Fatalf("%d terms of %q, want %d", len(again.terms), c, n)
		}
	})
}
