package dialedin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	customPrefix = "adv_"
	// ourCustom begins the name of one of the lead's custom fields in DIALEDIN_FIELDS.
	ourCustom = "customFields."
)

// overLong says what to do with a value that is longer than the vendor's field.
type overLong int

const (
	cutOff overLong = iota
	// leaveOut is for values that mean something else when cut, such as a postal code.
	leaveOut
)

type limit struct {
	max  int // characters; 0 for none
	over overLong
}

// standardFields are the vendor's lead fields that data may fill (contract section 4.3).
func standardFields() map[string]limit {
	return map[string]limit{
		"FirstName": {100, cutOff}, "LastName": {100, cutOff}, "Address": {500, cutOff}, "City": {100, cutOff},
		"State": {2, leaveOut}, "ZipCode": {10, leaveOut}, "Rep": {50, leaveOut}, "CallStatus": {50, leaveOut}, "Notes": {0, cutOff},
	}
}

// reserved are the parameters that settings, credentials and our own keys fill; data never does, least of all the switches
// that decide who is called (contract sections 4.1, 5, 6).
func reserved(name string) bool {
	switch strings.ToLower(name) {
	case "token", "accid", "groupid", "securitycode", "campaign", "subcampaign", "primaryphone", "clientid", "timezone",
		"allowdialingdups", "dialnoncallables", "duplicatescheck", "importonly", "callbackagent", "callbackdate",
		"callbacknotes", "searchfield", "identifier", "action", "detailed", "number":
		return true
	}
	return false
}

// attributes are the lead's values by the names of the API's attributes (contracts/lendworks.md section 7), and those that the
// API does not have.
func attributes() map[string]func(pipeline.LeadView) string {
	return map[string]func(pipeline.LeadView) string{
		"id":               func(v pipeline.LeadView) string { return v.ID },
		"businessName":     func(v pipeline.LeadView) string { return v.BusinessName },
		"contactFirstName": func(v pipeline.LeadView) string { return v.FirstName },
		"contactLastName":  func(v pipeline.LeadView) string { return v.LastName },
		"email":            func(v pipeline.LeadView) string { return v.Email },
		"phone":            func(v pipeline.LeadView) string { return dialled(v.Phone) },
		"secondPhone":      func(v pipeline.LeadView) string { return dialled(v.SecondPhone) },
		"industry":         func(v pipeline.LeadView) string { return v.Industry },
		"monthlyRevenue":   func(v pipeline.LeadView) string { return v.MonthlyRevenue },
		"requestedAmount":  func(v pipeline.LeadView) string { return v.RequestedAmount },
		"source":           func(v pipeline.LeadView) string { return v.Source },
		"priority":         func(v pipeline.LeadView) string { return v.Priority },
		"address":          func(v pipeline.LeadView) string { return v.Address },
		"city":             func(v pipeline.LeadView) string { return v.City },
		"state":            func(v pipeline.LeadView) string { return v.State },
		"postalCode":       func(v pipeline.LeadView) string { return v.PostalCode },
		"timezone":         func(v pipeline.LeadView) string { return v.Timezone },
		"tags":             func(v pipeline.LeadView) string { return strings.Join(v.Tags, ", ") },
	}
}

// dialled writes a number as the vendor expects it: the ten digits where it has them.
func dialled(e164 string) string {
	if ten, ok := pipeline.TenDigits(e164); ok {
		return ten
	}
	return e164
}

// fieldMap fills the vendor's fields from a lead.
type fieldMap struct {
	// from holds the source of each field by the vendor's name.
	from  map[string]func(pipeline.LeadView) string
	limit map[string]limit
}

// newFieldMap adds the configured fields to those that are sent anyway. A configured field replaces a default of the same name.
func newFieldMap(configured map[string]string, f *faults) *fieldMap {
	ours := attributes()
	m := &fieldMap{limit: standardFields(), from: map[string]func(pipeline.LeadView) string{
		"FirstName": ours["contactFirstName"], "LastName": ours["contactLastName"],
		"Address": ours["address"], "City": ours["city"], "State": ours["state"], "ZipCode": ours["postalCode"],
	}}
	taken := map[string]bool{}
	for _, our := range slices.Sorted(maps.Keys(configured)) {
		value := ours[our]
		if name, custom := strings.CutPrefix(our, ourCustom); custom && name != "" {
			value = func(v pipeline.LeadView) string { return v.Custom[name] }
		}
		if value == nil {
			f.add("DIALEDIN_FIELDS", fmt.Sprintf("%q is no attribute of a lead; custom fields are written customFields.NAME", our))
			continue
		}
		theirs, err := fieldName(configured[our])
		switch {
		case err != nil:
			f.add("DIALEDIN_FIELDS", fmt.Sprintf("%q: %v", our, err))
		case taken[theirs]:
			f.add("DIALEDIN_FIELDS", fmt.Sprintf("%q: two attributes go to the same field %q", our, theirs))
		default:
			taken[theirs], m.from[theirs] = true, value
		}
	}
	return m
}

// fieldName returns the name under which a field is sent: standard ones as they are, custom ones with prefix and with two
// underscores for each blank (contract section 3).
func fieldName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "", errors.New("the field's name is missing")
	}
	if reserved(name) {
		return "", fmt.Errorf("%q is not for data to fill", name)
	}
	for standard := range standardFields() {
		if name == standard {
			return name, nil
		}
		if strings.EqualFold(name, standard) {
			return "", fmt.Errorf("%q: names must match to the letter, write %s (or adv_%s for a custom field of that name)", name, standard, name)
		}
	}
	custom, prefixed := strings.CutPrefix(name, customPrefix)
	if custom == "" {
		return "", errors.New("the custom field's name is missing")
	}
	if !prefixed && strings.Contains(custom, "__") {
		return "", fmt.Errorf("%q: a custom field whose name holds two underscores cannot be addressed", name)
	}
	return customPrefix + strings.ReplaceAll(custom, " ", "__"), nil
}

// fill returns the lead's fields by the vendor's names, absent values left out, and notes on what was cut or dropped.
func (m *fieldMap) fill(v pipeline.LeadView) (fields map[string]string, notes []string) {
	fields = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m.from)) {
		value, note := m.fit(name, m.from[name](v))
		if note != "" {
			notes = append(notes, note)
		}
		if value != "" {
			fields[name] = value
		}
	}
	return fields, notes
}

// fit makes a value fit its field (contract section 4.3; what the vendor does with a longer one is not documented).
func (m *fieldMap) fit(name, value string) (fitting, note string) {
	lim := m.limit[name]
	fitting, cut := pipeline.Clip(value, lim.max)
	if !cut {
		return fitting, ""
	}
	if lim.over == leaveOut {
		return "", fmt.Sprintf("%s left out: longer than %d characters", name, lim.max)
	}
	return fitting, fmt.Sprintf("%s cut to %d characters", name, lim.max)
}

// ParseFields reads the text of DIALEDIN_FIELDS: our=theirs, parted by commas. The error names every entry that is no such pair.
func ParseFields(text string) (map[string]string, error) {
	fields := map[string]string{}
	var errs []error
	for i, entry := range strings.Split(text, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		our, theirs, ok := strings.Cut(entry, "=")
		our, theirs = strings.TrimSpace(our), strings.TrimSpace(theirs)
		switch {
		case !ok || our == "" || theirs == "":
			errs = append(errs, fmt.Errorf("entry %d: want our=theirs", i+1))
		case fields[our] != "":
			errs = append(errs, fmt.Errorf("entry %d: %q is given twice", i+1, our))
		default:
			fields[our] = theirs
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return fields, nil
}
