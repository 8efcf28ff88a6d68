package pipeline

import (
	"maps"
	"slices"
)

// Differs names the fields in which two views of a lead differ, in a fixed order. Ids, second phones and the source, which
// no destination lets us change, are left out.
func (v LeadView) Differs(o LeadView) []Field {
	var fields []Field
	for _, f := range []struct {
		name Field
		a, b string
	}{
		{FieldBusinessName, v.BusinessName, o.BusinessName},
		{FieldContactFirstName, v.FirstName, o.FirstName},
		{FieldContactLastName, v.LastName, o.LastName},
		{FieldEmail, v.Email, o.Email},
		{FieldPhone, v.Phone, o.Phone},
		{FieldIndustry, v.Industry, o.Industry},
		{FieldMonthlyRevenue, v.MonthlyRevenue, o.MonthlyRevenue},
		{FieldRequestedAmount, v.RequestedAmount, o.RequestedAmount},
		{FieldPriority, v.Priority, o.Priority},
		{FieldTimezone, v.Timezone, o.Timezone},
		{FieldCity, v.City, o.City},
		{FieldState, v.State, o.State},
		{FieldPostalCode, v.PostalCode, o.PostalCode},
	} {
		if f.a != f.b {
			fields = append(fields, f.name)
		}
	}
	if !slices.Equal(v.Tags, o.Tags) {
		fields = append(fields, FieldTags)
	}
	if !maps.Equal(v.Custom, o.Custom) {
		fields = append(fields, FieldCustom)
	}
	return fields
}
