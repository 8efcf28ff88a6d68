package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// updateLead sets fields of the leads found; it never creates and never dials (contract section 5).
func (d *DialedIn) updateLead(in *inbound, values url.Values) reply {
	if !searchable(in, values) {
		return result("Missing search parameters", 0)
	}
	d.checkCallback(in, values)
	if in.faulty(FaultLyingOK) {
		return result("OK", 0)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.search(values, false)
	if len(found) == 0 {
		return result("Lead not found", 0)
	}
	for _, i := range found {
		lead := &d.leads[i]
		d.setFields(in, lead, values, false)
		lead.Updates++
		lead.ClientID, lead.Phone = lead.Fields["ClientId"], lead.Fields["PrimaryPhone"]
	}
	d.reindexAfter(values)
	if in.faulty(FaultFrontTimeout) {
		return result("CURL error[28]: Operation timed out", 0)
	}
	return result("OK", int64(found[0]))
}

// reindexAfter is needed only when an update changed what leads are found by. d.mu is held.
func (d *DialedIn) reindexAfter(values url.Values) {
	if values.Has("ClientId") || values.Has("PrimaryPhone") {
		d.reindex()
	}
}

func searchable(in *inbound, values url.Values) bool {
	switch values.Get("SearchField") {
	case "ClientId", "LeadId", "Phone":
	case "":
		in.violate("missing required parameter SearchField")
		return false
	default:
		in.violate("SearchField has a value that is not documented")
		return false
	}
	if values.Get("Identifier") == "" {
		in.violate("missing required parameter Identifier")
		return false
	}
	return true
}

// search finds stored leads, newest last. With lag, those too new to be seen are left out. d.mu is held.
func (d *DialedIn) search(values url.Values, lag bool) []int {
	now := d.box.now()
	var out []int
	for _, i := range d.index[values.Get("SearchField")+" "+values.Get("Identifier")] {
		if !lag || now.Sub(d.leads[i].Created) >= d.lag {
			out = append(out, i)
		}
	}
	return out
}

func (d *DialedIn) leadOperation(in *inbound, values url.Values) reply {
	switch in.rec.Op {
	case OpSearchLead:
		return d.searchLead(in, values)
	case OpInsertDNC, OpDeleteDNC:
		return d.changeDNC(in, values)
	}
	in.violate("Action is missing or not documented")
	return result("Unknown action", 0)
}

// searchLead answers whether a lead exists (contract section 6). The id comes as number or as string and LeadExists in
// three spellings, since the contract leaves both open.
func (d *DialedIn) searchLead(in *inbound, values url.Values) reply {
	if !searchable(in, values) {
		return result("Missing search parameters", 0)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var hits []DialedInLead
	for _, i := range d.search(values, true) {
		l := d.leads[i]
		if same(values.Get("Campaign"), l.Campaign) && same(values.Get("Subcampaign"), l.Subcampaign) {
			hits = append(hits, l)
		}
	}
	if values.Get("Detailed") == "1" {
		return detailed(hits)
	}
	if len(hits) == 0 {
		return jsonReply(http.StatusOK, map[string]any{"id": nil, "LeadExists": false})
	}
	id := hits[0].ID
	answer := map[string]any{"id": id, "LeadExists": true}
	switch id % 3 {
	case 1:
		answer["id"] = strconv.FormatInt(id, 10)
	case 2:
		answer["LeadExists"] = "true"
	}
	return jsonReply(http.StatusOK, answer)
}

func detailed(hits []DialedInLead) reply {
	rows := []map[string]string{}
	for _, l := range hits {
		row := maps.Clone(l.Fields)
		row["LeadId"] = strconv.FormatInt(l.ID, 10)
		rows = append(rows, row)
	}
	text, err := json.Marshal(map[string]any{"Leads": rows})
	if err != nil {
		return result("Internal error", 0) // cannot happen: strings
	}
	return htmlReply(http.StatusOK, string(text))
}

// changeDNC adds or removes a number. Removing leaves the marks on leads, so the two do not undo each other.
func (d *DialedIn) changeDNC(in *inbound, values url.Values) reply {
	phone := values.Get("Number")
	if !tenDigits.MatchString(phone) {
		in.violate("Number is not ten digits of a North American number")
		return result("CURL error[400]: Invalid phone number", 0)
	}
	if in.faulty(FaultLyingOK) {
		return result("OK", 0)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if in.rec.Op == OpDeleteDNC {
		delete(d.dnc, phone)
	} else {
		d.entered[phone]++
		d.suppress(phone)
	}
	if in.faulty(FaultFrontTimeout) {
		return result("CURL error[28]: Operation timed out", 0)
	}
	return result("OK", int64(len(d.dnc)))
}
