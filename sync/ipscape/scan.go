package ipscape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Sizes of the scanner.
const (
	scanBuffer = 64 << 10
	// bigToken is the capacity above which a token's buffer is not kept for the next one.
	bigToken = 1 << 20
	// maxIdleReads is how often a reader may return nothing without an error before it counts as stuck.
	maxIdleReads = 100
)

// errPageTooLarge is reported when an answer is larger than its limit.
var errPageTooLarge = errors.New("answer is too large")

// syntaxError is an answer that is no JSON, or not of the shape expected. Its text holds nothing of the answer.
type syntaxError struct{ text string }

func (e *syntaxError) Error() string { return e.text }

func malformed(format string, args ...any) error { return &syntaxError{fmt.Sprintf(format, args...)} }

// scanner cuts a stream of JSON into values with bounded memory. It finds where values end, by quotes and brackets; whether
// a value is sound inside is left to whoever reads it. A stream that ends too early gives io.ErrUnexpectedEOF.
type scanner struct {
	src      io.Reader
	buf      []byte
	pos, end int
	// left is how many bytes the answer may still have.
	left  int64
	token []byte
	// nesting has a bit for each open bracket: 1 for an object.
	nesting []uint64
}

func newScanner(src io.Reader, limit int64) *scanner {
	return &scanner{src: src, buf: make([]byte, scanBuffer), left: limit}
}

// fill reads on when everything read so far has been consumed. At the end of the stream it returns io.EOF.
func (s *scanner) fill() error {
	if s.pos < s.end {
		return nil
	}
	s.pos, s.end = 0, 0
	for range maxIdleReads {
		n, err := s.src.Read(s.buf)
		if s.left -= int64(n); s.left < 0 {
			return errPageTooLarge
		}
		if n > 0 {
			// An error that comes along with bytes comes again without them.
			s.end = n
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// peek returns the next byte that is no blank, without consuming it; io.EOF when there is none.
func (s *scanner) peek() (byte, error) {
	for {
		if err := s.fill(); err != nil {
			return 0, err
		}
		for ; s.pos < s.end; s.pos++ {
			switch c := s.buf[s.pos]; c {
			case ' ', '\n', '\t', '\r':
			default:
				return c, nil
			}
		}
	}
}

// need is peek where the stream must go on.
func (s *scanner) need() (byte, error) {
	c, err := s.peek()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return c, err
}

// expect consumes the next byte, which must be c.
func (s *scanner) expect(c byte) error {
	got, err := s.need()
	if err != nil {
		return err
	}
	if got != c {
		return malformed("%q is missing", c)
	}
	s.pos++
	return nil
}

// ended checks that nothing but blanks is left.
func (s *scanner) ended() error {
	switch _, err := s.peek(); {
	case err == nil:
		return malformed("there is more after the end of the JSON")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// skipMark consumes a byte order mark at the very start.
func (s *scanner) skipMark() error {
	const mark = "\xef\xbb\xbf"
	for i := range len(mark) {
		if err := s.fill(); err != nil {
			return err
		}
		if s.buf[s.pos] != mark[i] {
			if i == 0 {
				return nil
			}
			return malformed("answer begins with a broken byte order mark")
		}
		s.pos++
	}
	return nil
}

// head returns up to n of the bytes that are read and not consumed.
func (s *scanner) head(n int) []byte { return s.buf[s.pos:min(s.end, s.pos+n)] }

// value consumes the next value and returns a copy of its bytes. Of a value longer than limit only the first limit bytes are
// returned, and size tells the real length.
func (s *scanner) value(limit int64) (raw []byte, size int64, err error) {
	c, err := s.need()
	if err != nil {
		return nil, 0, err
	}
	if cap(s.token) > bigToken {
		s.token = nil
	}
	s.token = s.token[:0]
	v := valueScan{}
	for !v.done {
		if err := s.fill(); err != nil {
			if !errors.Is(err, io.EOF) {
				return nil, 0, err
			}
			if c == '"' || c == '{' || c == '[' || size == 0 {
				return nil, 0, io.ErrUnexpectedEOF
			}
			// A bare scalar ends with the stream; what is missing after it is the caller's to notice.
			break
		}
		start := s.pos
		if err := s.advance(&v); err != nil {
			return nil, 0, err
		}
		chunk := s.buf[start:s.pos]
		size += int64(len(chunk))
		if room := limit - int64(len(s.token)); int64(len(chunk)) > room {
			chunk = chunk[:room]
		}
		if v.done && len(s.token) == 0 {
			return bytes.Clone(chunk), size, nil
		}
		s.token = append(s.token, chunk...)
	}
	return bytes.Clone(s.token), size, nil
}

// valueScan is how far value has come.
type valueScan struct {
	started, scalar, done bool
	inText, escaped       bool
	depth                 int
}

// advance moves pos through the buffered bytes, up to the end of the value if it is among them.
func (s *scanner) advance(v *valueScan) error {
	for s.pos < s.end {
		c := s.buf[s.pos]
		switch {
		case v.inText:
			s.text(v)
		case v.scalar && endsScalar(c):
			v.done = true
		case v.scalar:
			s.pos++
		case c == '"':
			v.inText = true
			s.pos++
		case c == '{' || c == '[':
			s.push(v, c == '{')
			s.pos++
		case !v.started && endsScalar(c):
			return malformed("a value is missing")
		case c == '}' || c == ']':
			if !s.pop(v, c == '}') {
				return malformed("brackets do not match")
			}
			s.pos++
			v.done = v.depth == 0
		case v.depth == 0:
			v.scalar = true
			s.pos++
		default:
			s.pos++
		}
		v.started = true
		if v.done {
			return nil
		}
	}
	return nil
}

// text moves through a string, and past its end.
func (s *scanner) text(v *valueScan) {
	if v.escaped {
		v.escaped = false
		s.pos++
		return
	}
	for ; s.pos < s.end; s.pos++ {
		switch s.buf[s.pos] {
		case '\\':
			v.escaped = true
			s.pos++
			return
		case '"':
			v.inText = false
			v.done = v.depth == 0
			s.pos++
			return
		}
	}
}

func (s *scanner) push(v *valueScan, object bool) {
	word, bit := v.depth/64, uint64(1)<<(v.depth%64)
	if word == len(s.nesting) {
		s.nesting = append(s.nesting, 0)
	}
	s.nesting[word] &^= bit
	if object {
		s.nesting[word] |= bit
	}
	v.depth++
}

func (s *scanner) pop(v *valueScan, object bool) bool {
	if v.depth == 0 {
		return false
	}
	v.depth--
	return (s.nesting[v.depth/64]&(1<<(v.depth%64)) != 0) == object
}
