package ipscape

import (
	"errors"
	"strings"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// aliases are names that the contract's titles and the vendor's own words suggest.
func aliases() map[string][]string {
	return map[string][]string{
		OpBulkCreateLeads:   {"bulk_lead_create"},
		OpSetRecording:      {"start/stop call recording", "update_call_recording"},
		OpOutboundInfo:      {"get_outbound_campaign_info"},
		OpInboundStatistics: {"get_inbound_campaign_statistics"},
	}
}

// Described returns the 20 operations as an operator may ask for them; Call runs them by these names.
func Described() []vendorapi.Operation {
	var list []vendorapi.Operation
	other := aliases()
	for _, op := range Catalogue() {
		d := vendorapi.Operation{Name: op.Name, Aliases: other[op.Name], Summary: op.Summary, Effect: op.effect()}
		for _, p := range op.Params {
			d.Params = append(d.Params, vendorapi.Param{Name: p.Name, Required: p.Required, Type: string(p.Type), Values: p.Values, Help: p.Help})
		}
		if op.Guessed {
			d.Note = "the vendor shows no path for it; it is asked at " + op.Path + " unless IPSCAPE_PATH_" + strings.ToUpper(op.Name) + " says otherwise"
		}
		list = append(list, d)
	}
	return list
}

func (o *Operation) effect() vendorapi.Effect {
	switch {
	case o.Irreversible:
		return vendorapi.Deletes
	case o.Rings:
		return vendorapi.Rings
	case o.Writes:
		return vendorapi.Writes
	}
	return vendorapi.Reads
}

// CheckCall finds everything wrong with the parameters of a Call without sending anything. Values are not quoted.
func CheckCall(op string, params map[string]string) error {
	described, ok := Describe(op)
	if !ok {
		return errors.New("ipscape: there is no such operation")
	}
	settled, err := (&Config{}).dials()
	if err != nil {
		return err
	}
	in, err := (&Client{cfg: settled}).read(&described, params)
	if err != nil {
		return err
	}
	switch {
	case op == OpUpdateLead && len(in.body) == 0:
		return errors.New("ipscape " + op + ": nothing to change")
	case op == OpRemovePersonalData && len(in.query) == 0:
		return errors.New("ipscape " + op + ": phoneNumber or emailAddress is required")
	case op == OpBulkCreateLeads:
		leads, _ := in.body["leads"].([]NewLead)
		_, err = LeadRefs(leads)
	}
	return err
}
