package ipscape

import (
	"bytes"
	"encoding/json"
)

// decoder walks JSON bytes without copying them: a pull parser for objects whose members are told apart by name. The items'
// bytes are kept as they came, so that only the fields we have columns for are worth reading; encoding/json takes several
// times as long for it. It never panics, whatever the bytes; bad is set when they were no JSON, but not everything that is
// wrong is noticed: pipeline.CleanJSON does that.
type decoder struct {
	b   []byte
	i   int
	bad bool
	// key is the name of the member that next found.
	key []byte
}

func (d *decoder) fail() {
	d.bad = true
	d.i = len(d.b)
}

// peek returns the next byte that is no blank, without consuming it, or 0 at the end.
func (d *decoder) peek() byte {
	for d.i < len(d.b) {
		switch c := d.b[d.i]; c {
		case ' ', '\n', '\t', '\r':
			d.i++
		default:
			return c
		}
	}
	return 0
}

// enter steps into the object that comes next. Anything else is skipped whole, and enter returns false.
func (d *decoder) enter() bool { return d.step('{') }

// list steps into the array that comes next. Anything else is skipped whole, and list returns false.
func (d *decoder) list() bool { return d.step('[') }

func (d *decoder) step(opener byte) bool {
	if d.peek() != opener {
		d.value()
		return false
	}
	d.i++
	return true
}

// next finds the next member of the object entered last and sets key; the member's value must be consumed before the next
// call. At the end of the object it steps out and returns false.
func (d *decoder) next() bool {
	c := d.peek()
	if c == ',' {
		d.i++
		c = d.peek()
	}
	if c == '}' {
		d.i++
		return false
	}
	if c != '"' {
		d.fail()
		return false
	}
	raw := d.value()
	if d.peek() != ':' {
		d.fail()
		return false
	}
	d.i++
	d.key = raw[1 : len(raw)-1]
	if bytes.IndexByte(d.key, '\\') >= 0 {
		d.key = []byte(unquote(raw))
	}
	return true
}

// more finds the next element of the array entered last; the element must be consumed before the next call. At the end of
// the array it steps out and returns false.
func (d *decoder) more() bool {
	c := d.peek()
	if c == ',' {
		d.i++
		c = d.peek()
	}
	if c == ']' {
		d.i++
		return false
	}
	if c == 0 {
		d.fail()
		return false
	}
	return true
}

// value consumes the next value and returns its bytes, or nil when there is none.
func (d *decoder) value() []byte {
	c := d.peek()
	start := d.i
	switch c {
	case '"':
		d.text()
	case '{', '[':
		d.container()
	default:
		for d.i < len(d.b) && !endsScalar(d.b[d.i]) {
			d.i++
		}
		if d.i == start {
			d.fail()
		}
	}
	if d.bad {
		return nil
	}
	return d.b[start:d.i]
}

func endsScalar(c byte) bool {
	switch c {
	case ',', ']', '}', ':', '"', '[', '{', ' ', '\n', '\t', '\r':
		return true
	}
	return false
}

// text consumes a string: up to the first quote that has no odd number of backslashes before it.
func (d *decoder) text() {
	from := d.i + 1
	for {
		n := bytes.IndexByte(d.b[from:], '"')
		if n < 0 {
			d.fail()
			return
		}
		end := from + n
		slashes := 0
		for end-1-slashes > d.i && d.b[end-1-slashes] == '\\' {
			slashes++
		}
		from = end + 1
		if slashes%2 == 0 {
			d.i = from
			return
		}
	}
}

func (d *decoder) container() {
	depth := 0
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case '"':
			d.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		d.i++
		if depth == 0 {
			return
		}
	}
	d.fail()
}

// unquote returns the text of a JSON string, quotes included in raw.
func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
