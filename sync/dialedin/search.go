package dialedin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Search asks whether a lead was inserted under clientID, and for the vendor's id of it, which may be empty: in our campaign, and
// where it is not found there in all campaigns, since DIALEDIN_CAMPAIGN may have been another one when it was inserted. It says not
// found only when the vendor plainly said so both times; every other answer is an error. A lead that was just inserted may take
// a while to be found (contract sections 6 and 9).
func (c *Client) Search(ctx context.Context, clientID string) (found bool, externalID string, err error) {
	if !usableID(clientID) {
		_, err := c.unsent(c.op(nameSearch), pipeline.OutcomeRejected, ReasonNoClientID)
		return false, "", err
	}
	form := c.searchForm(clientID)
	if found, externalID, err = c.searchOnce(ctx, clientID, form); found || err != nil {
		return found, externalID, err
	}
	form.Del("Campaign")
	return c.searchOnce(ctx, clientID, form)
}

func (c *Client) searchOnce(ctx context.Context, clientID string, form url.Values) (found bool, externalID string, err error) {
	// No answer is quoted below: one with the lead's fields holds names, and here nobody knows which words they are.
	resp, err := c.post(ctx, c.op(nameSearch), form, nil)
	if err != nil {
		if v, ok := errors.AsType[*vendorapi.Error](err); ok {
			v.Detail = ""
		}
		return false, "", err
	}
	found, externalID, err = readSearch(resp.Body, clientID)
	if err == nil {
		return found, externalID, nil
	}
	v := &vendorapi.Error{
		Vendor: c.api.Vendor, Op: nameSearch, Kind: vendorapi.Malformed, Status: resp.Status, Code: ReasonUnreadable, Sent: true, Err: err,
	}
	if state, reason := c.rules.judge(resp.Body); state == pipeline.OutcomeDenied {
		c.api.Deny(ctx)
		v.Kind, v.Code = vendorapi.Denied, reason
	}
	return false, "", v
}

func (c *Client) searchForm(clientID string) url.Values {
	return url.Values{
		"Action": {"SearchLead"}, "SearchField": {"ClientId"}, "Identifier": {clientID}, "Detailed": {"0"}, "Campaign": {c.config.Campaign},
	}
}

var errUnclear = errors.New("answer does not say whether the lead exists")

// readSearch reads {"id": …, "LeadExists": …} with the types that the contract leaves open, or a list of leads.
func readSearch(body []byte, clientID string) (found bool, externalID string, err error) {
	var answer struct {
		ID         any `json:"id"`
		LeadExists any `json:"LeadExists"`
		Leads      []struct {
			LeadID   any    `json:"LeadId"`
			ClientID string `json:"ClientId"`
		} `json:"Leads"`
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	decoder.UseNumber()
	if decoder.Decode(&answer) != nil || !errors.Is(decoder.Decode(&struct{}{}), io.EOF) {
		// The decoder's own words may quote the answer.
		return false, "", errors.New("answer is no JSON object of the known form")
	}
	id, ok := scalar(answer.ID)
	if !ok {
		return false, "", errUnclear
	}
	switch exists, _ := scalar(answer.LeadExists); strings.ToLower(exists) {
	case "true", "1":
		return true, id, nil
	case "false", "0":
		if (id != "" && id != "0") || len(answer.Leads) > 0 {
			return false, "", errUnclear
		}
		return false, "", nil
	case "":
		for _, lead := range answer.Leads {
			if lead.ClientID == clientID {
				id, _ := scalar(lead.LeadID)
				return true, id, nil
			}
		}
	}
	return false, "", errUnclear
}

// scalar returns a JSON string, number or boolean as text, and null as nothing.
func scalar(value any) (text string, ok bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return strings.TrimSpace(v), true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}
