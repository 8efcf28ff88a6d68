package export

import (
	"bytes"
	"io"
)

// buffered is how many bytes of text go out in one write.
const buffered = 64 << 10

// csvEncoder writes RFC 4180: UTF-8, a line of names first, CRLF after every line. Null is nothing at all, an empty text is
// two quotes, as Postgres' COPY has it.
type csvEncoder struct {
	w       io.Writer
	columns []column
	// guard keeps spreadsheets from running a cell's text as a formula.
	guard bool
	buf   []byte
	cell  []byte
}

func newCSV(w io.Writer, columns []column, guard bool) *csvEncoder {
	e := &csvEncoder{w: w, columns: columns, guard: guard, buf: make([]byte, 0, buffered+4<<10)}
	for i := range columns {
		e.separate(i)
		e.quote([]byte(columns[i].name))
	}
	e.buf = append(e.buf, '\r', '\n')
	return e
}

func (e *csvEncoder) separate(i int) {
	if i > 0 {
		e.buf = append(e.buf, ',')
	}
}

// write implements encoder.
func (e *csvEncoder) write(row [][]byte) error {
	for i, value := range row {
		e.separate(i)
		if value == nil {
			continue
		}
		switch e.columns[i].kind {
		case kindInt, kindBigint, kindNumeric, kindFloat, kindDate:
			e.buf = append(e.buf, value...)
		case kindInstant:
			e.buf = appendInstant(e.buf, value)
		case kindClock:
			e.buf = appendClock(e.buf, value)
		case kindBool:
			e.buf = appendBool(e.buf, value)
		case kindText, kindJSON, kindArray:
			e.text(value)
		}
	}
	e.buf = append(e.buf, '\r', '\n')
	if len(e.buf) >= buffered {
		return e.flush()
	}
	return nil
}

// text writes a text's cell. A cell that begins as a formula gets an apostrophe in front, by the advice of OWASP; the text of a
// number, a phone in E.164 too, is harmless and stays.
func (e *csvEncoder) text(value []byte) {
	if e.guard && dangerous(value) {
		e.cell = append(append(e.cell[:0], '\''), value...)
		value = e.cell
	}
	e.quote(value)
}

// dangerous tells whether a spreadsheet may take a cell for a formula. Some leave out the blanks in front, and some take the
// full-width forms for the usual ones.
func dangerous(value []byte) bool {
	if len(value) == 0 {
		return false
	}
	switch value[0] {
	case '\t', '\r', '\n':
		return true
	}
	bare := bytes.TrimLeft(value, " \u00a0")
	for _, sign := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		if bytes.HasPrefix(bare, []byte(sign)) {
			return !isNumber(value)
		}
	}
	return false
}

func (e *csvEncoder) quote(value []byte) {
	if len(value) > 0 && !bytes.ContainsAny(value, ",\"\r\n") && value[0] != ' ' && value[len(value)-1] != ' ' {
		e.buf = append(e.buf, value...)
		return
	}
	e.buf = append(e.buf, '"')
	for {
		i := bytes.IndexByte(value, '"')
		if i < 0 {
			break
		}
		e.buf = append(e.buf, value[:i+1]...)
		e.buf = append(e.buf, '"')
		value = value[i+1:]
	}
	e.buf = append(e.buf, value...)
	e.buf = append(e.buf, '"')
}

func (e *csvEncoder) flush() error {
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

// close implements encoder.
func (e *csvEncoder) close() error { return e.flush() }
