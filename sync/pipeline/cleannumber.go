package pipeline

import "bytes"

// Limits of Postgres' numeric, which jsonb keeps numbers in.
const (
	maxWholeDigits    = 131072
	maxFractionDigits = 16383
	// maxExponent is beyond every number that fits, zeros aside, and keeps the sums below from overflowing.
	maxExponent = 1_000_000
)

// number consumes a number and checks that numeric can hold it.
func (c *cleaner) number(i int) (int, *UnstorableError) {
	start := i
	if c.at(i) == '-' {
		i++
	}
	whole := i
	i = c.digits(i)
	if i == whole || (c.in[whole] == '0' && i > whole+1) {
		return start, c.fail(ReasonNotJSON, start)
	}
	point := i
	if c.at(i) == '.' {
		fraction := i + 1
		if i = c.digits(fraction); i == fraction {
			return start, c.fail(ReasonNotJSON, start)
		}
	}
	mantissa := i
	exponent := 0
	if c.at(i)|0x20 == 'e' {
		var ok bool
		if i, exponent, ok = c.exponent(i + 1); !ok {
			return start, c.fail(ReasonNotJSON, start)
		}
	}
	if exponent == 0 && i-start < maxFractionDigits {
		return i, nil
	}
	if !numericHolds(c.in[whole:point], c.in[point:mantissa], exponent) {
		return start, c.fail(ReasonNumber, start)
	}
	return i, nil
}

// exponent consumes sign and digits; values beyond maxExponent are cut to just outside it.
func (c *cleaner) exponent(i int) (next, value int, ok bool) {
	negative := c.at(i) == '-'
	if negative || c.at(i) == '+' {
		i++
	}
	first := i
	for ; c.at(i) >= '0' && c.at(i) <= '9'; i++ {
		value = min(value*10+int(c.in[i]-'0'), maxExponent+1)
	}
	if negative {
		value = -value
	}
	return i, value, i > first
}

// numericHolds tells whether numeric has room for whole.fraction × 10^exponent; fraction still has its point, if any.
func numericHolds(whole, fraction []byte, exponent int) bool {
	if exponent > maxExponent || exponent < -maxExponent {
		return false
	}
	decimals := max(len(fraction)-1, 0)
	if decimals-exponent > maxFractionDigits {
		return false
	}
	// The place of the first digit that counts, as in 10^place.
	if n := len(bytes.TrimLeft(whole, "0")); n > 0 {
		return n+exponent <= maxWholeDigits
	}
	if decimals == 0 {
		return true
	}
	zeros := decimals - len(bytes.TrimLeft(fraction[1:], "0"))
	return zeros == decimals || exponent-zeros <= maxWholeDigits
}

func (c *cleaner) digits(i int) int {
	for c.at(i) >= '0' && c.at(i) <= '9' {
		i++
	}
	return i
}

// at returns the byte at i, or 0 past the end.
func (c *cleaner) at(i int) byte {
	if i < len(c.in) {
		return c.in[i]
	}
	return 0
}
