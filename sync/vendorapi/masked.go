package vendorapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// maskedMax is how much of an example is shown.
const maskedMax = 300

// Masked shows what a body looks like without what it tells of people: keys and punctuation stay, letters become x and
// digits 0.
func Masked(body []byte) string {
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if dec.Decode(&v) == nil && !dec.More() {
		text, err := json.Marshal(masked(v))
		if err == nil {
			return cutMasked(string(text))
		}
	}
	if form, err := url.ParseQuery(string(body)); err == nil && strings.Contains(string(body), "=") {
		for _, values := range form {
			for i := range values {
				values[i] = maskText(values[i])
			}
		}
		shown := url.Values{}
		for key, values := range form {
			shown[maskKey(key)] = append(shown[maskKey(key)], values...)
		}
		return cutMasked(shown.Encode())
	}
	return fmt.Sprintf("%d bytes that are neither JSON nor a form", len(body))
}

func masked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for k := range v {
			shown[maskKey(k)] = masked(v[k])
		}
		return shown
	case []any:
		for i := range v {
			v[i] = masked(v[i])
		}
		return v
	case string:
		return maskText(v)
	case json.Number:
		return json.Number("0")
	}
	return v
}

// fieldName is what a key looks like that is one; a whole JSON text may be the key of a form.
var fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z_.\[\]-]{0,63}[0-9]{0,3}\]?$`)

func maskKey(key string) string {
	if fieldName.MatchString(key) {
		return key
	}
	return maskText(key)
}

func maskText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsDigit(r):
			return '0'
		case unicode.IsLetter(r) && unicode.IsUpper(r):
			return 'X'
		case unicode.IsLetter(r):
			return 'x'
		case r < 0x80 && unicode.IsPrint(r):
			return r
		}
		return '.'
	}, s)
}

func cutMasked(s string) string {
	if r := []rune(s); len(r) > maskedMax {
		return string(r[:maskedMax]) + "…"
	}
	return s
}
