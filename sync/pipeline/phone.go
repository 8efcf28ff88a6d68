package pipeline

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Phone is a number as given and what the numbering plan says of it.
type Phone struct {
	// Raw is the text as the source gave it.
	Raw string
	// E164 is the number with country code, set only when Valid.
	E164 string
	// Valid tells whether the numbering plan knows such a number. Only valid numbers link leads or are dialled.
	Valid bool
}

// readPhones is what ParsePhone has read lately, in the whole process.
var readPhones phoneMemo

// ParsePhone reads a number, taking region (ISO 3166, such as AU) for one written without country code.
func ParsePhone(raw, region string) Phone {
	p := Phone{Raw: raw}
	of := phoneText{strings.TrimSpace(raw), strings.ToUpper(region)}
	if of.text == "" {
		return p
	}
	e164, known := readPhones.get(of)
	if !known {
		e164 = readPhone(of)
		readPhones.put(of, e164)
	}
	p.E164, p.Valid = e164, e164 != ""
	return p
}

// readPhone asks the numbering plan; it returns nothing for what is no number.
func readPhone(of phoneText) string {
	n, err := phonenumbers.Parse(of.text, of.region)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return ""
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}

// Best returns the E.164 form where there is one, else the text as given.
func (p Phone) Best() string {
	if p.Valid {
		return p.E164
	}
	return p.Raw
}

// PhoneZones returns the IANA names of the zones that a number in E.164 may be in: many for a number that is not bound to
// a place. It returns nothing for text that is no number.
func PhoneZones(e164 string) []string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return nil
	}
	zones, err := phonenumbers.GetTimezonesForNumber(n)
	if err != nil {
		return nil
	}
	// The library hands out a slice that it shares.
	return slices.DeleteFunc(slices.Clone(zones), func(z string) bool { return z == phonenumbers.UNKNOWN_TIMEZONE })
}
