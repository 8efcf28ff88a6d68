package export

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"
)

// maxPrecision is how many digits a decimal of 16 bytes holds; what reads Parquet knows none longer.
const maxPrecision = 38

// decimal is the type of an exact number in Parquet.
type decimal struct{ precision, scale int }

func (d decimal) node() parquet.Node {
	return parquet.Decimal(d.scale, max(d.precision, 1), parquet.FixedLenByteArrayType(16))
}

// decimalOf finds the decimal that holds a column exactly. Where the column's type does not bound its digits, the rows say: they
// are read once more, in the same snapshot. It returns false where no decimal will do, for too many digits or what is no number.
func decimalOf(ctx context.Context, tx pgx.Tx, q *query, c *column) (decimal, bool, error) {
	if c.precision > 0 && c.precision <= maxPrecision && c.scale <= c.precision {
		return decimal{c.precision, c.scale}, true, nil
	}
	// As in query.sql, what is put in is a name out of the catalogue, quoted.
	name := c.quoted()
	sql := strings.NewReplacer("COLUMN", name).Replace(`select
  coalesce(max(scale(COLUMN)), 0),
  coalesce(max(length(trunc(abs(COLUMN))::text)) filter (where COLUMN not in ('NaN', 'Infinity', '-Infinity')), 1),
  coalesce(bool_and(COLUMN not in ('NaN', 'Infinity', '-Infinity')), true)`) + q.rest()
	var (
		scale, whole int
		finite       bool
	)
	if err := tx.QueryRow(ctx, sql, q.args...).Scan(&scale, &whole, &finite); err != nil {
		return decimal{}, false, fmt.Errorf("measuring column %s: %w", c.name, err)
	}
	return decimal{maxPrecision, scale}, finite && scale+whole <= maxPrecision, nil
}

// value reads Postgres' text of a number, such as -12.50.
func (d decimal) value(text []byte) (parquet.Value, error) {
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	if len(fraction) > d.scale {
		return parquet.Value{}, fmt.Errorf("a number has %d digits behind the point, more than %d", len(fraction), d.scale)
	}
	digits := make([]byte, 0, len(text)+d.scale)
	digits = append(append(digits, whole...), fraction...)
	for range d.scale - len(fraction) {
		digits = append(digits, '0')
	}
	n, ok := new(big.Int).SetString(string(digits), 10)
	if !ok || n.BitLen() > 127 {
		return parquet.Value{}, fmt.Errorf("a number does not fit a decimal of %d digits", d.precision)
	}
	if n.Sign() < 0 {
		// Two's complement of 16 bytes.
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return parquet.FixedLenByteArrayValue(n.FillBytes(make([]byte, 16))), nil
}
