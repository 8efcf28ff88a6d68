package ipscape

import (
	"bytes"
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
	"unicode"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// fieldName says which field of a lead a data field of that name fills, and how its value is read.
type fieldName struct {
	name  string
	field pipeline.Field
	read  func(raw json.RawMessage) (string, bool)
}

// fieldNames are the names that tenants give to what every lead has, as foldName leaves them. Where two names fill one
// field the earlier one does, and the other stays a custom field.
var fieldNames = [...]fieldName{
	{"firstname", pipeline.FieldContactFirstName, plainValue},
	{"contactfirstname", pipeline.FieldContactFirstName, plainValue},
	{"lastname", pipeline.FieldContactLastName, plainValue},
	{"contactlastname", pipeline.FieldContactLastName, plainValue},
	{"surname", pipeline.FieldContactLastName, plainValue},
	{"email", pipeline.FieldEmail, emailValue},
	{"emailaddress", pipeline.FieldEmail, emailValue},
	{"businessname", pipeline.FieldBusinessName, plainValue},
	{"companyname", pipeline.FieldBusinessName, plainValue},
	{"company", pipeline.FieldBusinessName, plainValue},
	{"industry", pipeline.FieldIndustry, plainValue},
	{"monthlyrevenue", pipeline.FieldMonthlyRevenue, amountValue},
	{"requestedamount", pipeline.FieldRequestedAmount, amountValue},
	{"loanamount", pipeline.FieldRequestedAmount, amountValue},
	{"city", pipeline.FieldCity, plainValue},
	{"state", pipeline.FieldState, plainValue},
	{"postalcode", pipeline.FieldPostalCode, plainValue},
	{"postcode", pipeline.FieldPostalCode, plainValue},
	{"zipcode", pipeline.FieldPostalCode, plainValue},
	{"zip", pipeline.FieldPostalCode, plainValue},
}

// foldName makes "First_Name", "first name" and "firstName" one.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// leadFields sorts dataFields into the fields they are by name, and the rest into the custom ones.
func leadFields(fields map[pipeline.Field]string, dataFields json.RawMessage) {
	rest := map[string]json.RawMessage{}
	// byName holds the exact name behind a folded one: of two that fold alike the lesser fills the field, since the order of
	// members means nothing and Postgres does not keep it.
	byName := map[string]string{}
	d := decoder{b: dataFields}
	if d.peek() != '{' || !d.enter() {
		return
	}
	for d.next() {
		name := string(d.key)
		raw := d.value()
		if absent(raw) {
			delete(rest, name)
			continue
		}
		rest[name] = raw
	}
	for name := range rest {
		folded := foldName(name)
		if other, ok := byName[folded]; !ok || name < other {
			byName[folded] = name
		}
	}
	for _, known := range fieldNames {
		name, ok := byName[known.name]
		if !ok || fields[known.field] != "" {
			continue
		}
		if value, ok := known.read(rest[name]); ok {
			fields[known.field] = value
			delete(rest, name)
		}
	}
	if custom, ok := canonical(rest); ok {
		fields[pipeline.FieldCustom] = custom
	}
}

// canonical writes custom fields with all names sorted, so that equal fields are equal bytes whatever order they came in. It
// is false for none, and for values that are no JSON, which no stored payload holds.
func canonical(rest map[string]json.RawMessage) (string, bool) {
	tree := make(map[string]any, len(rest))
	for name, raw := range rest {
		dec := json.NewDecoder(bytes.NewReader(raw))
		// Numbers stay as they are written: amounts are exact.
		dec.UseNumber()
		var value any
		if dec.Decode(&value) != nil {
			return "", false
		}
		tree[name] = value
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if len(tree) == 0 || enc.Encode(tree) != nil {
		return "", false
	}
	return strings.TrimSuffix(out.String(), "\n"), true
}

// plainValue takes a text or a number.
func plainValue(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case 't', 'f':
		return "", false
	}
	f := fields{decoder: decoder{b: raw}}
	value := strings.TrimSpace(f.text("").v)
	return value, value != ""
}

func emailValue(raw json.RawMessage) (string, bool) {
	value, ok := plainValue(raw)
	at := strings.IndexByte(value, '@')
	if !ok || at < 1 || at == len(value)-1 || strings.ContainsAny(value, " \t\r\n<>,;") {
		return "", false
	}
	return value, true
}

// Bounds of an amount of money; what lies outside stays a custom field.
const (
	maxAmountWhole  = 15
	maxAmountPlaces = 6
)

// amountText is a plain number, one with commas between thousands, or one with an exponent. Nothing looser: of "25.000,50" or
// "1,5" nobody can say what was meant.
var amountText = regexp.MustCompile(`^\$?\s*((?:\d{1,3}(?:,\d{3})+|\d{1,20})(?:\.\d{1,20})?(?:[eE]\+?\d{1,2})?)$`)

// amountValue reads "25000", 25000.50, 2.5e4 and "$25,000.00" as an exact decimal without superfluous zeros.
func amountValue(raw json.RawMessage) (string, bool) {
	value, _ := plainValue(raw)
	match := amountText.FindStringSubmatch(value)
	if match == nil {
		return "", false
	}
	amount, ok := new(big.Rat).SetString(strings.ReplaceAll(match[1], ",", ""))
	if !ok {
		return "", false
	}
	places, exact := amount.FloatPrec()
	if !exact || places > maxAmountPlaces {
		return "", false
	}
	text := amount.FloatString(places)
	whole, _, _ := strings.Cut(text, ".")
	return text, len(whole) <= maxAmountWhole
}
