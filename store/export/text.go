package export

import (
	"bytes"
	"unicode/utf8"
)

// appendInstant writes a time in RFC 3339, in UTC, from Postgres' text of it in a session whose zone is UTC. What RFC 3339
// cannot say (infinity, years before Christ) stays as Postgres writes it.
func appendInstant(dst, text []byte) []byte {
	const date = len("2006-01-02")
	if len(text) <= date || text[date] != ' ' || !bytes.HasSuffix(text, []byte("+00")) {
		return append(dst, text...)
	}
	dst = append(dst, text[:date]...)
	dst = append(dst, 'T')
	dst = append(dst, text[date+1:len(text)-len("+00")]...)
	return append(dst, 'Z')
}

// appendClock writes a time without zone as RFC 3339 does, without an offset.
func appendClock(dst, text []byte) []byte {
	const date = len("2006-01-02")
	start := len(dst)
	dst = append(dst, text...)
	if len(text) > date && text[date] == ' ' {
		dst[start+date] = 'T'
	}
	return dst
}

// appendBool writes true or false for Postgres' t or f.
func appendBool(dst, text []byte) []byte {
	if len(text) == 1 && text[0] == 't' {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

const hex = "0123456789abcdef"

// appendJSONString quotes text for JSON. Postgres gives valid UTF-8 without NUL; U+2028 and U+2029 are escaped, which some
// readers take for the end of a line.
func appendJSONString(dst, text []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(text); i++ {
		b := text[i]
		if b >= ' ' && b != '"' && b != '\\' && b != 0xe2 {
			continue
		}
		if b == 0xe2 {
			if r, _ := utf8.DecodeRune(text[i:]); r != '\u2028' && r != '\u2029' {
				continue
			}
			dst = append(dst, text[from:i]...)
			dst = append(dst, '\\', 'u', '2', '0', '2', hex[text[i+2]&0xf])
			i += 2
			from = i + 1
			continue
		}
		dst = append(dst, text[from:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&0xf])
		}
		from = i + 1
	}
	dst = append(dst, text[from:]...)
	return append(dst, '"')
}

// isNumber tells whether text is a plain decimal number, such as -5, 0.25 or +14155550100: as a formula it says itself.
func isNumber(text []byte) bool {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	digits, points := 0, 0
	for _, b := range text {
		switch {
		case b >= '0' && b <= '9':
			digits++
		case b == '.' && digits > 0:
			points++
		default:
			return false
		}
	}
	return digits > 0 && points <= 1
}
