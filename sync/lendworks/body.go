package lendworks

import (
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// CustomLeadID is the custom field that carries our id of a lead, by which it is known when it comes back.
const CustomLeadID = "trunkline_lead_id"

// Limits of the vendor's fields, in characters (contract section 7.2).
const (
	maxBusiness = 255
	maxText     = 100
	maxPhone    = 20
)

func sources() []string {
	return []string{"manual", "csv_import", "api", "web_form", "referral", "dialer"}
}

func priorities() []string { return []string{"low", "normal", "high", "urgent"} }

var (
	tag     = regexp.MustCompile(`<[^>]*>?`)
	decimal = regexp.MustCompile(`^\d{1,18}(\.\d{1,4})?$`)
)

// LeadBody returns a lead as LendWorks takes it, and what was cut or left out. Blank values are left out, for "" is refused
// where a name is expected. A create tells the source too, which an update may not (contract section 7.2).
func LeadBody(lead pipeline.LeadView, create bool) (body map[string]any, notes []string) {
	body = map[string]any{}
	put := func(name, value string, limit int) {
		clipped, cut := pipeline.Clip(tag.ReplaceAllString(value, ""), limit)
		if cut {
			notes = append(notes, fmt.Sprintf("%s cut to %d characters", name, limit))
		}
		if clipped != "" {
			body[name] = clipped
		}
	}
	put("businessName", lead.BusinessName, maxBusiness)
	put("contactFirstName", lead.FirstName, maxText)
	put("contactLastName", lead.LastName, maxText)
	put("industry", lead.Industry, maxText)
	only := func(name, value string, good bool) {
		if good {
			body[name] = value
		} else if value != "" {
			notes = append(notes, name+" left out: not in the vendor's form")
		}
	}
	address, err := mail.ParseAddress(lead.Email)
	only("email", lead.Email, err == nil && address.Address == lead.Email)
	only("phone", lead.Phone, lead.Phone != "" && len(lead.Phone) <= maxPhone)
	only("monthlyRevenue", lead.MonthlyRevenue, decimal.MatchString(lead.MonthlyRevenue))
	only("requestedAmount", lead.RequestedAmount, decimal.MatchString(lead.RequestedAmount))
	only("priority", lead.Priority, slices.Contains(priorities(), lead.Priority))
	if len(lead.Tags) > 0 {
		body["tags"] = lead.Tags
	}
	custom := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(lead.Custom)) {
		custom[name] = lead.Custom[name]
	}
	custom[CustomLeadID] = lead.ID
	body["customFields"] = custom
	if create {
		body["source"] = "api"
		if slices.Contains(sources(), lead.Source) {
			body["source"] = lead.Source
		}
	}
	return body, notes
}

// hideable returns the texts of a body that must not be quoted.
func hideable(body map[string]any) []string {
	var values []string
	for name, value := range body {
		switch v := value.(type) {
		case string:
			if !slices.Contains([]string{"source", "priority", "eventType", "direction", "status", "disposition", "occurredAt"}, name) {
				values = append(values, v)
				values = append(values, strings.Fields(v)...)
			}
			if strings.HasPrefix(v, "+") {
				values = append(values, pipeline.PhoneForms(v)...)
			}
		case map[string]any:
			values = append(values, hideable(v)...)
		}
	}
	return slices.DeleteFunc(values, func(v string) bool { return len(v) < 4 })
}
