package pipeline

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxNesting is far below the depth at which Postgres runs out of stack, and far above any honest payload.
const maxNesting = 500

// Reasons why bytes cannot become jsonb.
const (
	ReasonNotJSON = "not JSON"
	ReasonNesting = "nested too deeply"
	ReasonNumber  = "number out of range"
)

const replacement = string(utf8.RuneError)

// UnstorableError says why bytes cannot become jsonb. Keep them as bytes, beside the reason.
type UnstorableError struct {
	// Reason is one of a few fixed texts, fit for grouping.
	Reason string
	// Offset is where in the bytes the trouble was found.
	Offset int
}

// Error renders the reason and the place, and nothing of the content.
func (e *UnstorableError) Error() string {
	return fmt.Sprintf("jsonb cannot hold this: %s, at byte %d", e.Reason, e.Offset)
}

// CleanJSON returns raw as JSON that Postgres takes as jsonb: escapes of NUL, lone surrogate escapes and bytes that are no
// UTF-8 become U+FFFD. It also checks the grammar, so that what it returns without an error is storable whatever came in.
// Bytes that need no change are returned as they are, without a copy; changed tells. The error is an *UnstorableError.
func CleanJSON(raw []byte) (clean []byte, changed bool, err error) {
	c := cleaner{in: raw}
	if e := c.document(); e != nil {
		return nil, false, e
	}
	if c.out == nil {
		return raw, false, nil
	}
	return append(c.out, raw[c.copied:]...), true, nil
}

// CleanText returns s as text that Postgres takes: without NUL, and with U+FFFD in place of bytes that are no UTF-8.
func CleanText(s string) string {
	// In this order, lest the halves of two broken runes meet where a NUL was.
	return strings.ReplaceAll(strings.ToValidUTF8(s, replacement), "\x00", "")
}

// cleaner walks a document once. out stays nil until the first change; from then on it holds the clean form of in[:copied].
type cleaner struct {
	in     []byte
	out    []byte
	copied int
	// objects has bit n set when the container at depth n+1 is an object.
	objects [(maxNesting + 63) / 64]uint64
	depth   int
}

func (c *cleaner) fail(reason string, at int) *UnstorableError {
	return &UnstorableError{Reason: reason, Offset: at}
}

// document checks the whole input: one value, blanks around it.
func (c *cleaner) document() *UnstorableError {
	i := 0
	for {
		var err *UnstorableError
		var opened bool
		if i, opened, err = c.value(c.space(i)); err != nil {
			return err
		}
		if opened {
			continue
		}
		var done bool
		if i, done, err = c.after(i); err != nil || done {
			return err
		}
	}
}

// value consumes a scalar or an empty container, or else opens one: then it stops where the container's first value begins.
func (c *cleaner) value(i int) (next int, opened bool, err *UnstorableError) {
	if i >= len(c.in) {
		return i, false, c.fail(ReasonNotJSON, i)
	}
	switch c.in[i] {
	case '{', '[':
		return c.open(i)
	case '"':
		next, err = c.text(i)
	case 't':
		next, err = c.literal(i, "true")
	case 'f':
		next, err = c.literal(i, "false")
	case 'n':
		next, err = c.literal(i, "null")
	default:
		next, err = c.number(i)
	}
	return next, false, err
}

func (c *cleaner) open(i int) (next int, opened bool, err *UnstorableError) {
	object := c.in[i] == '{'
	if c.depth == maxNesting {
		return i, false, c.fail(ReasonNesting, i)
	}
	word, bit := c.depth/64, uint64(1)<<(c.depth%64)
	if object {
		c.objects[word] |= bit
	} else {
		c.objects[word] &^= bit
	}
	c.depth++
	i = c.space(i + 1)
	if i < len(c.in) && ((object && c.in[i] == '}') || (!object && c.in[i] == ']')) {
		c.depth--
		return i + 1, false, nil
	}
	if object {
		i, err = c.key(i)
	}
	return i, true, err
}

// after consumes what follows a value: closing brackets, then a comma, with the next key where we are in an object.
func (c *cleaner) after(i int) (next int, done bool, err *UnstorableError) {
	for {
		i = c.space(i)
		if c.depth == 0 {
			if i != len(c.in) {
				return i, false, c.fail(ReasonNotJSON, i)
			}
			return i, true, nil
		}
		if i == len(c.in) {
			return i, false, c.fail(ReasonNotJSON, i)
		}
		top := c.depth - 1
		object := c.objects[top/64]&(1<<(top%64)) != 0
		switch b := c.in[i]; {
		case b == ',' && object:
			i, err = c.key(c.space(i + 1))
			return i, false, err
		case b == ',':
			return i + 1, false, nil
		case b == '}' && object, b == ']' && !object:
			c.depth--
			i++
		default:
			return i, false, c.fail(ReasonNotJSON, i)
		}
	}
}

// key consumes a member's name and its colon.
func (c *cleaner) key(i int) (int, *UnstorableError) {
	if i >= len(c.in) || c.in[i] != '"' {
		return i, c.fail(ReasonNotJSON, i)
	}
	i, err := c.text(i)
	if err != nil {
		return i, err
	}
	i = c.space(i)
	if i >= len(c.in) || c.in[i] != ':' {
		return i, c.fail(ReasonNotJSON, i)
	}
	return i + 1, nil
}

func (c *cleaner) space(i int) int {
	for i < len(c.in) && (c.in[i] == ' ' || c.in[i] == '\n' || c.in[i] == '\t' || c.in[i] == '\r') {
		i++
	}
	return i
}

func (c *cleaner) literal(i int, want string) (int, *UnstorableError) {
	if !bytes.HasPrefix(c.in[i:], []byte(want)) {
		return i, c.fail(ReasonNotJSON, i)
	}
	return i + len(want), nil
}

// replace puts U+FFFD in place of in[from:to].
func (c *cleaner) replace(from, to int) {
	if c.out == nil {
		c.out = make([]byte, 0, len(c.in)+16)
	}
	c.out = append(c.out, c.in[c.copied:from]...)
	c.out = append(c.out, replacement...)
	c.copied = to
}

// text consumes a string, opening quote included.
func (c *cleaner) text(i int) (int, *UnstorableError) {
	in := c.in
	for i++; i < len(in); {
		if i+8 <= len(in) && ordinary(binary.LittleEndian.Uint64(in[i:])) {
			i += 8
			continue
		}
		b := in[i]
		switch {
		case b == '"':
			return i + 1, nil
		case b == '\\':
			next, err := c.escape(i)
			if err != nil {
				return i, err
			}
			i = next
		case b < ' ':
			return i, c.fail(ReasonNotJSON, i)
		case b < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(in[i:])
			if r == utf8.RuneError && size == 1 {
				c.replace(i, i+1)
			}
			i += size
		}
	}
	return i, c.fail(ReasonNotJSON, i)
}

// ordinary tells whether eight bytes are all ASCII from blank on, without quote and backslash. It may say no wrongly, never
// yes: subtracting from each byte at once sets the byte's top bit when it is smaller (or borrows from a smaller neighbour).
func ordinary(word uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	return (word|(word-ones*' ')|((word^(ones*'"'))-ones)|((word^(ones*'\\'))-ones))&tops == 0
}

// escape consumes one escape, or the two of a surrogate pair.
func (c *cleaner) escape(i int) (int, *UnstorableError) {
	if i+1 >= len(c.in) {
		return i, c.fail(ReasonNotJSON, i)
	}
	switch c.in[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, nil
	case 'u':
	default:
		return i, c.fail(ReasonNotJSON, i)
	}
	unit, ok := c.unit(i)
	if !ok {
		return i, c.fail(ReasonNotJSON, i)
	}
	switch {
	case unit >= 0xd800 && unit < 0xdc00:
		if low, ok := c.unit(i + 6); ok && low >= 0xdc00 && low < 0xe000 {
			return i + 12, nil
		}
		c.replace(i, i+6)
	case unit == 0, unit >= 0xdc00 && unit < 0xe000:
		c.replace(i, i+6)
	}
	return i + 6, nil
}

// unit reads a \uXXXX escape at i.
func (c *cleaner) unit(i int) (unit int, ok bool) {
	if i+6 > len(c.in) || c.in[i] != '\\' || c.in[i+1] != 'u' {
		return 0, false
	}
	for _, b := range c.in[i+2 : i+6] {
		switch {
		case b >= '0' && b <= '9':
			b -= '0'
		case b >= 'a' && b <= 'f':
			b -= 'a' - 10
		case b >= 'A' && b <= 'F':
			b -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | int(b)
	}
	return unit, true
}
