package export

import (
	"io"
)

// jsonlEncoder writes one JSON object a line, its members in the columns' order. JSON columns and arrays are JSON, times are
// RFC 3339. A numeric is text with every digit: most readers of JSON take a number with a point for a float.
type jsonlEncoder struct {
	w       io.Writer
	columns []column
	// heads are what stands before each value.
	heads [][]byte
	buf   []byte
}

func newJSONL(w io.Writer, columns []column) *jsonlEncoder {
	e := &jsonlEncoder{w: w, columns: columns, buf: make([]byte, 0, buffered+4<<10)}
	for i := range columns {
		head := []byte{','}
		if i == 0 {
			head[0] = '{'
		}
		e.heads = append(e.heads, append(appendJSONString(head, []byte(columns[i].name)), ':'))
	}
	return e
}

// write implements encoder.
func (e *jsonlEncoder) write(row [][]byte) error {
	for i, value := range row {
		e.buf = append(e.buf, e.heads[i]...)
		if value == nil {
			e.buf = append(e.buf, "null"...)
			continue
		}
		switch e.columns[i].kind {
		case kindInt, kindBigint:
			e.buf = append(e.buf, value...)
		case kindFloat:
			e.float(value)
		case kindBool:
			e.buf = appendBool(e.buf, value)
		case kindInstant:
			e.buf = append(appendInstant(append(e.buf, '"'), value), '"')
		case kindClock:
			e.buf = append(appendClock(append(e.buf, '"'), value), '"')
		case kindJSON, kindArray:
			e.json(value)
		case kindText, kindDate, kindNumeric:
			e.buf = appendJSONString(e.buf, value)
		}
	}
	e.buf = append(e.buf, '}', '\n')
	if len(e.buf) >= buffered {
		return e.flush()
	}
	return nil
}

// float writes a number; NaN and infinity are none to JSON, and become text.
func (e *jsonlEncoder) float(value []byte) {
	switch value[len(value)-1] {
	case 'N', 'y':
		e.buf = appendJSONString(e.buf, value)
	default:
		e.buf = append(e.buf, value...)
	}
}

// json writes JSON as it is. The type json keeps its writer's line breaks, which stand between tokens only.
func (e *jsonlEncoder) json(value []byte) {
	from := len(e.buf)
	e.buf = append(e.buf, value...)
	for i := from; i < len(e.buf); i++ {
		if e.buf[i] == '\n' || e.buf[i] == '\r' {
			e.buf[i] = ' '
		}
	}
}

func (e *jsonlEncoder) flush() error {
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

// close implements encoder.
func (e *jsonlEncoder) close() error { return e.flush() }
