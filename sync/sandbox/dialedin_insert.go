package sandbox

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// callbackLayout is the vendor's date, local time of the customer's phone.
const callbackLayout = "01/02/2006 15:04:05"

// fieldLengths are the documented fields with their greatest length in characters; 0 is unlimited.
var fieldLengths = map[string]int{
	"ClientId": 50, "PrimaryPhone": 50, "FirstName": 100, "LastName": 100, "Address": 500, "City": 100, "State": 2, "ZipCode": 10,
	"Rep": 50, "CallStatus": 50, "Campaign": 50, "Notes": 0, "Subcampaign": 50,
}

// controlNames are parameters that are no lead fields.
var controlNames = []string{
	"token", "accid", "timezone", "AllowDialingDups", "DialNonCallables", "DuplicatesCheck", "ImportOnly", "CallbackAgent",
	"CallbackDate", "CallbackNotes", "SearchField", "Identifier", "Action", "Detailed", "Number",
}

// insertLead stores a lead and, unless it is an import, dials it (contract section 4).
func (d *DialedIn) insertLead(in *inbound, values url.Values) reply {
	d.checkSwitches(in, values)
	lead := DialedInLead{
		ClientID: values.Get("ClientId"), Campaign: values.Get("Campaign"), Subcampaign: values.Get("Subcampaign"),
		Phone: values.Get("PrimaryPhone"), Fields: map[string]string{}, ImportOnly: values.Get("ImportOnly") == "1",
		Created: d.box.now(),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempts[lead.ClientID]++
	if lead.ClientID == "" {
		in.violate("insert without a ClientId cannot be found again")
	}
	switch {
	case lead.Campaign == "":
		in.violate("missing required parameter Campaign")
		return result("Missing campaign name", 0)
	case lead.Phone == "":
		in.violate("missing required parameter PrimaryPhone")
		return result("Nothing to import", 0)
	case !d.campaigns[lead.Campaign]:
		return result("CURL error[400]: Campaign does not exist", 0)
	case !tenDigits.MatchString(lead.Phone):
		in.violate("PrimaryPhone is not ten digits of a North American number")
		return result("CURL error[400]: Invalid phone number", 0)
	}
	if in.faulty(FaultLyingOK) {
		return result("OK", 0)
	}
	if d.dnc[lead.Phone] {
		d.onDNC++
		lead.NonCallable = true
	}
	duplicate := d.duplicate(lead, values.Get("DuplicatesCheck"))
	if duplicate && values.Get("AllowDialingDups") != "1" {
		return result(fmt.Sprintf("CURL error[500]: Duplicated phone number %s ignored", lead.Phone), d.next())
	}
	lead.ID = d.next()
	lead.Dialled = !lead.ImportOnly && (!lead.NonCallable || values.Get("DialNonCallables") == "1")
	d.setFields(in, &lead, values, true)
	d.leads = append(d.leads, lead)
	d.enter(len(d.leads) - 1)
	d.accepted[lead.ClientID]++
	if in.faulty(FaultFrontTimeout) {
		return result("CURL error[28]: Operation timed out", 0)
	}
	return result("OK", lead.ID)
}

func (d *DialedIn) next() int64 {
	if len(d.leads) == 0 {
		return firstDialedInLead
	}
	return d.leads[len(d.leads)-1].ID + 1
}

// checkSwitches notes values that the contract does not list, and switches that call people who must not be called.
func (d *DialedIn) checkSwitches(in *inbound, values url.Values) {
	for name, allowed := range map[string][]string{
		"timezone": {"0", "1"}, "AllowDialingDups": {"0", "1"}, "DialNonCallables": {"0", "1"},
		"DuplicatesCheck": {"0", "1", "2", "3"}, "ImportOnly": {"0", "1"},
	} {
		if values.Has(name) && !slices.Contains(allowed, values.Get(name)) {
			in.violate(name + " has a value that is not documented")
		}
	}
	if values.Get("AllowDialingDups") == "1" {
		in.violate("AllowDialingDups=1 dials duplicates")
	}
	if values.Get("DialNonCallables") == "1" {
		in.violate("DialNonCallables=1 dials numbers on the do-not-call table")
	}
	d.checkCallback(in, values)
}

func (d *DialedIn) checkCallback(in *inbound, values url.Values) {
	date := values.Get("CallbackDate")
	if date == "" {
		return
	}
	if _, err := time.Parse(callbackLayout, date); err != nil {
		in.violate("CallbackDate is not in the form MM/dd/yyyy HH:mm:ss")
	}
	if values.Get("CallbackAgent") == "" {
		in.violate("CallbackDate without CallbackAgent")
	}
}

// duplicate looks for the phone, in the scope that the mode names (contract section 4.1). d.mu is held.
func (d *DialedIn) duplicate(lead DialedInLead, mode string) bool {
	return slices.ContainsFunc(d.index["Phone "+lead.Phone], func(at int) bool {
		other := &d.leads[at]
		switch mode {
		case "1":
			return false
		case "2":
			return true
		case "3":
			return other.Campaign == lead.Campaign && other.Subcampaign == lead.Subcampaign
		}
		return other.Campaign == lead.Campaign
	})
}

// setFields takes over the lead fields: documented ones cut to their length, custom ones with their prefix. On insert any
// custom field is one the account knows from then on. d.mu is held.
func (d *DialedIn) setFields(in *inbound, lead *DialedInLead, values url.Values, insert bool) {
	for name := range values {
		if slices.Contains(controlNames, name) {
			continue
		}
		value := values.Get(name)
		longest, standard := fieldLengths[name]
		custom := strings.HasPrefix(name, "adv_")
		if custom && insert {
			d.custom[name] = true
		}
		if !standard && (!custom || !d.custom[name]) {
			lead.Dropped = append(lead.Dropped, name)
			continue
		}
		if longest > 0 && utf8.RuneCountInString(value) > longest {
			in.violate(name + " is longer than the vendor stores")
			value = string([]rune(value)[:longest])
		}
		lead.Fields[name] = value
	}
	slices.Sort(lead.Dropped)
	lead.Dropped = slices.Compact(lead.Dropped)
}
