package convoso

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// formKey and formKeyLength are what the keys of an honest form look like; prose, XML and binary data with a stray "=" do not. The
// length is apart because a pattern that counts letters of all alphabets takes megabytes.
var formKey = regexp.MustCompile(`^[\pL_][\pL\pN_ .\-\[\]]*$`)

const formKeyLength = 128

// readForm reads a URL-encoded form. It takes what url.ParseQuery refuses, such as a lone percent sign, as it stands.
func readForm(text string) (pairs []pair, ok bool) {
	if !strings.Contains(text, "=") {
		return nil, false
	}
	honest := 0
	for part := range strings.SplitSeq(text, "&") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key = formText(key)
		if utf8.RuneCountInString(key) <= formKeyLength && formKey.MatchString(key) {
			honest++
		}
		pairs = append(pairs, newPair(key, formText(value)))
		if len(pairs) > maxKeys {
			return nil, false
		}
	}
	return pairs, honest > 0 && 2*honest >= len(pairs)
}

// formText undoes the encoding of a form. A percent sign that begins no escape stays.
func formText(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isHex(b byte) bool {
	return (b >= '0' && b <= '9') || (b|0x20 >= 'a' && b|0x20 <= 'f')
}

func unhex(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b | 0x20 - 'a' + 10
}
