package export

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"
)

// A row group is held in memory until it is whole, so it ends at a number of rows or of bytes of text, whichever comes first.
const (
	groupRows  = 128 << 10
	groupBytes = 12 << 20
	pageBytes  = 32 << 10
)

// parquetEncoder writes Parquet with Snappy: every column optional, times in microseconds of UTC, numerics as exact decimals,
// JSON and arrays as text.
type parquetEncoder struct {
	w       *parquet.GenericWriter[any]
	columns []parquetColumn
	rows    int
	bytes   int
	one     [1]parquet.Value
}

// parquetColumn turns Postgres' text of a value into Parquet's value.
type parquetColumn struct {
	name   string
	index  int
	node   parquet.Node
	value  func(text []byte) (parquet.Value, error)
	writer *parquet.ColumnWriter
}

func newParquet(ctx context.Context, tx pgx.Tx, w io.Writer, q *query) (*parquetEncoder, error) {
	e := &parquetEncoder{}
	for i := range q.columns {
		c, err := parquetOf(ctx, tx, q, &q.columns[i])
		if err != nil {
			return nil, err
		}
		c.name, c.index, c.node = q.columns[i].name, i, parquet.Optional(c.node)
		e.columns = append(e.columns, c)
	}
	e.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("row", inOrder(e.columns)), parquet.Compression(&parquet.Snappy), parquet.PageBufferSize(pageBytes),
		parquet.CreatedBy("trunkline", "", ""))
	for i, writer := range e.w.ColumnWriters() {
		e.columns[i].writer = writer
	}
	return e, nil
}

// parquetOf chooses what a column is in Parquet.
func parquetOf(ctx context.Context, tx pgx.Tx, q *query, c *column) (parquetColumn, error) {
	switch c.kind {
	case kindInt:
		return parquetColumn{node: parquet.Int(32), value: func(text []byte) (parquet.Value, error) {
			n, err := strconv.ParseInt(string(text), 10, 32)
			return parquet.Int32Value(int32(n)), err
		}}, nil
	case kindBigint:
		return parquetColumn{node: parquet.Int(64), value: func(text []byte) (parquet.Value, error) {
			n, err := strconv.ParseInt(string(text), 10, 64)
			return parquet.Int64Value(n), err
		}}, nil
	case kindFloat:
		return parquetColumn{node: parquet.Leaf(parquet.DoubleType), value: func(text []byte) (parquet.Value, error) {
			f, err := strconv.ParseFloat(string(text), 64)
			return parquet.DoubleValue(f), err
		}}, nil
	case kindBool:
		return parquetColumn{node: parquet.Leaf(parquet.BooleanType), value: func(text []byte) (parquet.Value, error) {
			return parquet.BooleanValue(text[0] == 't'), nil
		}}, nil
	case kindInstant:
		return parquetColumn{node: parquet.Timestamp(parquet.Microsecond), value: func(text []byte) (parquet.Value, error) {
			at, err := time.Parse("2006-01-02 15:04:05.999999-07", string(text))
			return parquet.Int64Value(at.UnixMicro()), err
		}}, nil
	case kindClock:
		return parquetColumn{node: parquet.TimestampAdjusted(parquet.Microsecond, false), value: func(text []byte) (parquet.Value, error) {
			at, err := time.Parse("2006-01-02 15:04:05.999999", string(text))
			return parquet.Int64Value(at.UnixMicro()), err
		}}, nil
	case kindDate:
		return parquetColumn{node: parquet.Date(), value: func(text []byte) (parquet.Value, error) {
			day, err := time.Parse(time.DateOnly, string(text))
			return parquet.Int32Value(int32(day.Unix() / (24 * 60 * 60))), err
		}}, nil
	case kindNumeric:
		d, exact, err := decimalOf(ctx, tx, q, c)
		if err != nil || exact {
			return parquetColumn{node: d.node(), value: d.value}, err
		}
	case kindText, kindJSON, kindArray:
	}
	return parquetColumn{node: parquet.String(), value: func(text []byte) (parquet.Value, error) { return parquet.ByteArrayValue(text), nil }}, nil
}

// write implements encoder.
func (e *parquetEncoder) write(row [][]byte) error {
	for i, text := range row {
		c := &e.columns[i]
		if text == nil {
			e.one[0] = parquet.NullValue().Level(0, 0, i)
		} else {
			v, err := c.value(text)
			if err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
			e.one[0] = v.Level(0, 1, i)
		}
		if _, err := c.writer.WriteRowValues(e.one[:]); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		e.bytes += len(text) + 1
	}
	e.rows++
	if e.rows < groupRows && e.bytes < groupBytes {
		return nil
	}
	e.rows, e.bytes = 0, 0
	return e.w.Flush()
}

// close implements encoder.
func (e *parquetEncoder) close() error { return e.w.Close() }

// ordered is a group whose fields keep their order; the library's own sorts them by name.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func inOrder(columns []parquetColumn) ordered {
	o := ordered{Group: parquet.Group{}}
	for i := range columns {
		o.Group[columns[i].name] = columns[i].node
		o.fields = append(o.fields, field{columns[i].node, columns[i].name})
	}
	return o
}

// Fields implements parquet.Node.
func (o ordered) Fields() []parquet.Field { return o.fields }

// field is one field of such a group.
type field struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f field) Name() string { return f.name }

// Value implements parquet.Field. Rows are never written as Go values here.
func (f field) Value(base reflect.Value) reflect.Value { return base.FieldByName(f.name) }
