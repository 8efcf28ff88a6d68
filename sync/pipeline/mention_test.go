package pipeline

import (
	"regexp"
	"slices"
	"testing"
)

func TestMentions(t *testing.T) {
	t.Parallel()
	const us, au = "+13055550123", "+61412345678"
	re := regexp.MustCompile(MentionPattern([]string{us, au}, []string{"Jo.Doe+x@a-b.example"}))
	for text, want := range map[string]bool{
		`{"phone":"+13055550123"}`:             true,
		`{"phone":13055550123}`:                true,
		`3055550123`:                           true,
		`(305) 555-0123`:                       true,
		`call 305.555.0123, now`:               true,
		`phone=%2B1%20305%20555%200123&x=1`:    true,
		`phone=%28305%29+555-0123`:             true,
		`0011 1 305 555 0123`:                  true,
		`"\u002b1305\u00205550123"`:            true,
		`0412 345 678`:                         true,
		`{"lead_id":412345678}`:                false,
		`+61 (0) 412 345 678`:                  true,
		`0061412345678`:                        true,
		`Jo.Doe+X@A-B.example`:                 true,
		`email=jo.doe%2Bx%40a-b.example&p=`:    true,
		`mail jo.doe+x@a-b.example.`:           true,
		`{"id":93055550123,"phone":"x"}`:       false,
		`30555501234`:                          false,
		`305 555 0124`:                         false,
		`mary.jo.doe+x@a-b.example`:            false,
		`jo.doe+x@a-b.example.org`:             false,
		`jo.doe@a-b.example`:                   false,
		`{"a":"305","b":"555","c":"01234567"}`: false,
	} {
		if got := re.MatchString(text); got != want {
			t.Errorf("%s: found %t", text, got)
		}
	}
	if MentionPattern(nil, nil) != "" {
		t.Error("nobody is found somewhere")
	}
}

func TestMentionsOfAnybody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"phone":"+1 (305) 555-0123"}`:       "13055550123",
		`{"phone": 3055550123, "x": 12}`:      "3055550123",
		`phone=%2B1%20305%20555%200123&x=1`:   "13055550123",
		`011 1 305 555 0123`:                  "13055550123",
		`0412 345 678`:                        "0412345678",
		`broken { "phone":"305\u002d555-0123`: "3055550123",
	} {
		if digits, _ := Mentions([]byte(text)); !slices.Contains(digits, want) {
			t.Errorf("%s: found %q", text, digits)
		}
	}
	if _, emails := Mentions([]byte(`a=1&email=Jo.Doe%2Bx%40a-b.example`)); !slices.Contains(emails, "jo.doe+x@a-b.example") {
		t.Errorf("found %q", emails)
	}
	if got := Digits("+61412345678"); !slices.Equal(got, []string{"61412345678", "0412345678"}) {
		t.Errorf("digits: %q", got)
	}
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"jo@a.example": true, "Jo.Doe+x@a-b.example": true, "none": false, "n/a": false, "none@none": false, "@": false, "": false,
		"Jo <jo@a.example>": false, "jo@": false, "jo@.": false, "no e-mail": false,
	} {
		if got := Mailbox(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	if got := MentionPattern(nil, []string{"none", "n/a"}); got != "" {
		t.Errorf("words are searched for: %s", got)
	}
}

func TestMentionsAreNoTimes(t *testing.T) {
	t.Parallel()
	re := regexp.MustCompile(MentionPattern([]string{"+12026030512"}, nil))
	for text, want := range map[string]bool{
		`{"at":"2026-03-05 12:34:56"}`:                         false,
		`{"at":"2026-03-05T12:34:56.789Z"}`:                    false,
		`at=2026-03-05+12%3A34%3A56&x=1`:                       false,
		`at=%222026%2F03%2F05%2012%3A34`:                       false,
		`{"at":"2026-03-05 12:34:56","phone":"202 603 0512"}`:  true,
		`at=2026-03-05+12%3A34%3A56&phone=%28202%29+603-0512`:  true,
		`{"at":"2026-03-05 12:34:56","phone":"+1 2026030512"}`: true,
	} {
		if got := re.MatchString(WithoutTimes(text)); got != want {
			t.Errorf("%s: found %t", text, got)
		}
		digits, _ := Mentions([]byte(text))
		if got := slices.Contains(digits, "2026030512") || slices.Contains(digits, "12026030512"); got != want {
			t.Errorf("%s: found %q", text, digits)
		}
	}
}
