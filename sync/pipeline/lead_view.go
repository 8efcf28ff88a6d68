package pipeline

import "strings"

// LeadView is a lead as a destination sees it. Absent values are empty.
type LeadView struct {
	// ID is our lead id.
	ID string
	// Phone and SecondPhone are E.164; only valid numbers come here.
	Phone, SecondPhone string
	FirstName          string
	LastName           string
	BusinessName       string
	Email              string
	Address            string
	City               string
	State              string
	PostalCode         string
	Industry           string
	// MonthlyRevenue and RequestedAmount are exact decimal strings.
	MonthlyRevenue  string
	RequestedAmount string
	Priority        string
	Source          string
	// Timezone is the IANA name that somebody stated for the lead.
	Timezone string
	Custom   map[string]string
	Tags     []string
}

// shortCustom is the length below which a custom value is too common to be told apart from ordinary words.
const shortCustom = 4

// Personal returns the values of the lead that must not show in logs, errors and stored excerpts (law 11), for Mask.
func (v LeadView) Personal() []string {
	values := append(PhoneForms(v.Phone), PhoneForms(v.SecondPhone)...)
	for _, name := range []string{v.FirstName, v.LastName} {
		values = append(values, name)
		values = append(values, strings.Fields(name)...)
	}
	values = append(values, strings.TrimSpace(v.FirstName+" "+v.LastName), v.BusinessName, v.Email, v.Address)
	for _, value := range v.Custom {
		if len(value) >= shortCustom {
			values = append(values, value)
		}
	}
	return values
}

// PhoneForms returns the ways in which a number in E.164 is written to destinations and quoted by them: with and without the
// plus sign, and the ten digits of a North American one.
func PhoneForms(e164 string) []string {
	if e164 == "" {
		return nil
	}
	forms := []string{e164, strings.TrimPrefix(e164, "+")}
	if ten, ok := TenDigits(e164); ok {
		forms = append(forms, ten)
	}
	return forms
}

// TenDigits returns the national form of a North American number in E.164 (+1NXXNXXXXXX), and false for any other number.
func TenDigits(e164 string) (string, bool) {
	ten, ok := strings.CutPrefix(e164, "+1")
	if !ok || len(ten) != 10 || ten[0] < '2' || ten[3] < '2' {
		return "", false
	}
	for _, r := range ten {
		if r < '0' || r > '9' {
			return "", false
		}
	}
	return ten, true
}
