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
		`0412 345 678`:                        "412345678",
		`broken { "phone":"305\u002d555-0123`: "3055550123",
	} {
		if digits, _ := Mentions([]byte(text)); !slices.Contains(digits, want) {
			t.Errorf("%s: found %q", text, digits)
		}
	}
	if _, emails := Mentions([]byte(`a=1&email=Jo.Doe%2Bx%40a-b.example`)); !slices.Contains(emails, "jo.doe+x@a-b.example") {
		t.Errorf("found %q", emails)
	}
	if got := Digits("+61412345678"); !slices.Equal(got, []string{"61412345678", "412345678"}) {
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
