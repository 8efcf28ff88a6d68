package ipscape

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// The vendor's habits are PHP's: a number may come as text, an empty object as [], nothing as null or "". So each value is
// read by what it is to become, and one that cannot become it is left out of the typed row and named in Item.Unread; the
// payload still has it.

// number is an integer that may be absent.
type number struct {
	v  int64
	ok bool
}

// text is a string that may be absent.
type text struct {
	v  string
	ok bool
}

// boolean is a truth value that may be absent.
type boolean struct{ v, ok bool }

// instant is a time that may be absent; it is UTC.
type instant struct {
	t       time.Time
	assumed bool
	ok      bool
}

func (n number) any() any {
	if !n.ok {
		return nil
	}
	return n.v
}

// int32 is for columns of type int: what does not fit is nil.
func (n number) int32() any {
	if !n.ok || n.v < math.MinInt32 || n.v > math.MaxInt32 {
		return nil
	}
	return int32(n.v)
}

// id returns the number as text when it can be an id: positive.
func (n number) id() string {
	if !n.ok || n.v <= 0 {
		return ""
	}
	return strconv.FormatInt(n.v, 10)
}

func (t text) any() any {
	if !t.ok {
		return nil
	}
	return t.v
}

func (f boolean) any() any {
	if !f.ok {
		return nil
	}
	return f.v
}

func (t instant) any() any {
	if !t.ok {
		return nil
	}
	return t.t
}

// rawAny is for jsonb columns.
func rawAny(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	return raw
}

// fields reads an item's values and notes what it made nothing of.
type fields struct {
	decoder
	zone *time.Location
	notes
}

// notes are what reading made nothing of: the columns whose values could not be read, and the members that nobody here knows of.
type notes struct{ unread, unknown []string }

// maxUnknown bounds how many unknown members of one item are told of.
const maxUnknown = 32

// strange passes over a member that nobody here knows of, and remembers its name.
func (f *fields) strange() {
	if len(f.unknown) < maxUnknown {
		f.unknown = append(f.unknown, string(f.key))
	}
	f.value()
}

func (f *fields) odd(name string) { f.unread = append(f.unread, name) }

// absent tells whether a value says nothing: null, [] or an empty text.
func absent(raw []byte) bool {
	return len(raw) == 0 || raw[0] == 'n' || bytes.Equal(raw, []byte(`""`)) || emptyList(raw)
}

func emptyList(raw []byte) bool {
	return len(raw) >= 2 && raw[0] == '[' && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
}

func (f *fields) number(name string) number {
	raw := f.value()
	if absent(raw) {
		return number{}
	}
	v, ok := parseNumber(raw)
	if !ok {
		f.odd(name)
	}
	return number{v, ok}
}

// small is number for a column of type int: what does not fit is unread.
func (f *fields) small(name string) number {
	n := f.number(name)
	if n.ok && n.int32() == nil {
		f.odd(name)
		return number{}
	}
	return n
}

// parseNumber reads an integer from a JSON number or text. A fraction of nought is allowed (41.0).
func parseNumber(raw []byte) (int64, bool) {
	if v, ok := parseDigits(raw); ok {
		return v, true
	}
	var s string
	switch c := raw[0]; {
	case c == '"':
		s = strings.TrimSpace(unquote(raw))
	case c == '-' || (c >= '0' && c <= '9'):
		s = string(raw)
	default:
		return 0, false
	}
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v, true
	}
	v, err := strconv.ParseFloat(s, 64)
	// Beyond 2^53 a float no longer tells neighbouring ids apart.
	if err != nil || v != math.Trunc(v) || math.Abs(v) > 1<<53 {
		return 0, false
	}
	return int64(v), true
}

// parseDigits is the quick way for what nearly every number is.
func parseDigits(raw []byte) (int64, bool) {
	if len(raw) == 0 || len(raw) > 18 {
		return 0, false
	}
	var v int64
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}

// text takes strings, and numbers and booleans in their JSON form. An empty text stays one.
func (f *fields) text(name string) text {
	raw := f.value()
	if len(raw) > 0 && raw[0] == '"' {
		return text{unquote(raw), true}
	}
	if absent(raw) {
		return text{}
	}
	switch raw[0] {
	case '{', '[':
		f.odd(name)
		return text{}
	}
	return text{string(raw), true}
}

func (f *fields) flag(name string) boolean {
	raw := f.value()
	if absent(raw) {
		return boolean{}
	}
	switch strings.ToLower(string(bytes.Trim(raw, `" `))) {
	case "true", "1", "yes", "y", "t", "on":
		return boolean{v: true, ok: true}
	case "false", "0", "no", "n", "f", "off":
		return boolean{v: false, ok: true}
	}
	f.odd(name)
	return boolean{}
}

func (f *fields) instant(name string) instant {
	raw := f.value()
	if absent(raw) {
		return instant{}
	}
	if raw[0] != '"' {
		f.odd(name)
		return instant{}
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		inner = []byte(unquote(raw))
	}
	inner = bytes.TrimSpace(inner)
	if len(inner) == 0 || bytes.HasPrefix(inner, []byte("0000-00-00")) {
		// PHP programs that keep times in MySQL show "no time" so.
		return instant{}
	}
	t, assumed, ok := parseTime(inner, f.zone)
	if !ok {
		f.odd(name)
		return instant{}
	}
	return instant{t, assumed, true}
}

// object takes a JSON object as it is; [] is PHP's way to write an empty one.
func (f *fields) object(name string) json.RawMessage {
	raw := f.value()
	switch {
	case len(raw) == 0 || raw[0] == 'n':
		return nil
	case raw[0] == '{':
		return raw
	case emptyList(raw):
		return json.RawMessage("{}")
	}
	f.odd(name)
	return nil
}

// structure takes an object or an array as it is.
func (f *fields) structure(name string) json.RawMessage {
	raw := f.value()
	switch {
	case len(raw) == 0 || raw[0] == 'n':
		return nil
	case raw[0] == '{' || raw[0] == '[':
		return raw
	}
	f.odd(name)
	return nil
}
