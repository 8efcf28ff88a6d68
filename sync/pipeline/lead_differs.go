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

// OrElse is what somebody knows of a lead who was told one of two views, nobody knows which: of a field that only one of them has
// as the lead has it now, it takes the other. So what is told is all that may be lacking.
func (v LeadView) OrElse(other, now LeadView) *LeadView {
	return v.With(other, now.Differs(other))
}

// With returns the view with the given fields as another one has them.
func (v LeadView) With(other LeadView, fields []Field) *LeadView {
	for _, f := range []struct {
		name Field
		v    *string
		o    string
	}{
		{FieldBusinessName, &v.BusinessName, other.BusinessName},
		{FieldContactFirstName, &v.FirstName, other.FirstName},
		{FieldContactLastName, &v.LastName, other.LastName},
		{FieldEmail, &v.Email, other.Email},
		{FieldPhone, &v.Phone, other.Phone},
		{FieldIndustry, &v.Industry, other.Industry},
		{FieldMonthlyRevenue, &v.MonthlyRevenue, other.MonthlyRevenue},
		{FieldRequestedAmount, &v.RequestedAmount, other.RequestedAmount},
		{FieldPriority, &v.Priority, other.Priority},
		{FieldTimezone, &v.Timezone, other.Timezone},
		{FieldCity, &v.City, other.City},
		{FieldState, &v.State, other.State},
		{FieldPostalCode, &v.PostalCode, other.PostalCode},
	} {
		if slices.Contains(fields, f.name) {
			*f.v = f.o
		}
	}
	if slices.Contains(fields, FieldTags) {
		v.Tags = other.Tags
	}
	if slices.Contains(fields, FieldCustom) {
		v.Custom = other.Custom
	}
	return &v
}
