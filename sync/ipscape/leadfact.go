package ipscape

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// leadSource is what pipeline leads carry as source when a dialler told of them (interface.md section 4).
const leadSource = "dialer"

// leadFacts makes a lead of a lead: its keys, and the fields that it has a value for.
func (s Settings) leadFacts(payload []byte) (pipeline.Facts, error) {
	l, _, err := s.parseLead(payload)
	if err != nil {
		return pipeline.Facts{}, err
	}
	fact := pipeline.LeadFact{
		Keys:      []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: s.Account, Value: l.id.id()}},
		Fields:    map[pipeline.Field]string{pipeline.FieldSource: leadSource},
		CreatedAt: l.created.t,
	}
	if key := strings.TrimSpace(l.customerKey.v); namesCustomer(key) {
		fact.Keys = append(fact.Keys, pipeline.Key{Kind: pipeline.KeyCustomer, Account: s.Account, Value: key})
	}
	if zone := strings.TrimSpace(l.timezone.v); zone != "" {
		fact.Fields[pipeline.FieldTimezone] = zone
	}
	s.leadPhones(&fact, l.phones)
	leadFields(fact.Fields, l.dataFields)
	return pipeline.Facts{Leads: []pipeline.LeadFact{fact}}, nil
}

// namesCustomer tells whether a customer key is one. Forms and imports fill the field with words for "none", which would
// make one lead of all who have them; what is too long for a key is none either.
func namesCustomer(key string) bool {
	if strings.Trim(key, "0- ") == "" || len(key) > pipeline.KeyMax {
		return false
	}
	switch strings.ToLower(key) {
	case "null", "none", "n/a", "na", "unknown", "test":
		return false
	}
	return true
}

// leadPhones makes a key of each valid number; the first is the lead's phone. Without a valid one the first as given is.
func (s Settings) leadPhones(fact *pipeline.LeadFact, phones json.RawMessage) {
	numbers := phoneNumbers(phones)
	for _, raw := range numbers {
		p := pipeline.ParsePhone(raw, s.Region)
		if !p.Valid {
			continue
		}
		key := pipeline.Key{Kind: pipeline.KeyPhone, Value: p.E164}
		if slices.Contains(fact.Keys, key) {
			continue
		}
		fact.Keys = append(fact.Keys, key)
		if fact.Fields[pipeline.FieldPhone] == "" {
			fact.Fields[pipeline.FieldPhone] = p.E164
		}
	}
	if fact.Fields[pipeline.FieldPhone] == "" && len(numbers) > 0 {
		fact.Fields[pipeline.FieldPhone] = numbers[0]
	}
}
