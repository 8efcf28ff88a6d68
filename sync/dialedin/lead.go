package dialedin

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Insert inserts the lead: a hot lead that may be dialled within moments, or a plain import without dialling (contract
// section 4). It is sent once and never repeated here; an unknown outcome is Search's to settle. Numbers outside North America
// are rejected without a request. A confirmed outcome's Detail has the answer, and what was cut or left out of the lead.
func (c *Client) Insert(ctx context.Context, lead pipeline.LeadView) (pipeline.Outcome, error) {
	form, notes, reason := c.insertForm(lead)
	if reason != "" {
		return c.unsent(c.op(nameInsert), pipeline.OutcomeRejected, reason)
	}
	outcome, err := c.push(ctx, c.op(nameInsert), form, lead.Personal())
	if err == nil {
		outcome.Note(notes)
	}
	return outcome, err
}

// insertForm returns the parameters of an insert without credentials, or the reason why there can be none.
func (c *Client) insertForm(lead pipeline.LeadView) (form url.Values, notes []string, reason string) {
	phone, ok := pipeline.TenDigits(lead.Phone)
	if !ok {
		return nil, nil, ReasonNotNANP
	}
	if !usableID(lead.ID) {
		return nil, nil, ReasonNoClientID
	}
	fields, notes := c.fields.fill(lead)
	form = values(fields)
	// Settings go last: no field may stand in for one.
	form.Set("Campaign", c.config.Campaign)
	if c.config.Subcampaign != "" {
		form.Set("Subcampaign", c.config.Subcampaign)
	}
	form.Set("PrimaryPhone", phone)
	form.Set("ClientId", lead.ID)
	form.Set("timezone", flag(c.config.CheckHours))
	form.Set("DuplicatesCheck", fmt.Sprint(c.config.DuplicatesCheck))
	form.Set("ImportOnly", flag(!c.config.Dial))
	// These two would call people twice, and people who asked not to be called. They are no settings.
	form.Set("AllowDialingDups", "0")
	form.Set("DialNonCallables", "0")
	return form, notes, ""
}

// Fields returns the lead's fields as an insert would send them, by the vendor's names, without phone, ClientId and settings;
// the argument for Update. Notes tell what was cut or left out.
func (c *Client) Fields(lead pipeline.LeadView) (fields map[string]string, notes []string) {
	return c.fields.fill(lead)
}

// Update sets fields of the lead that we inserted under clientID. Names are the vendor's, as Fields returns them; custom names
// without prefix get it. Empty values are left out, since what the vendor makes of them is unknown. It never creates a lead nor
// dials (contract section 5) and may be repeated. Fields that the vendor does not know are dropped there in silence.
func (c *Client) Update(ctx context.Context, clientID string, fields map[string]string) (pipeline.Outcome, error) {
	form, reason := c.updateForm(clientID, fields)
	if reason != "" {
		return c.unsent(c.op(nameUpdate), pipeline.OutcomeRejected, reason)
	}
	return c.push(ctx, c.op(nameUpdate), form, slices.Sorted(maps.Values(fields)))
}

func (c *Client) updateForm(clientID string, fields map[string]string) (form url.Values, reason string) {
	if !usableID(clientID) {
		return nil, ReasonNoClientID
	}
	fitting := map[string]string{}
	for given, value := range fields {
		name, err := fieldName(given)
		if err != nil {
			return nil, ReasonBadField
		}
		if value, _ = c.fields.fit(name, value); value != "" {
			fitting[name] = value
		}
	}
	if len(fitting) == 0 {
		return nil, ReasonNothingToUpdate
	}
	form = values(fitting)
	form.Set("SearchField", "ClientId")
	form.Set("Identifier", clientID)
	return form, ""
}

// InsertDNC puts a number on the vendor's do-not-call table and marks every lead that has it (contract section 6). It may be
// repeated; a number that is there already is confirmed.
func (c *Client) InsertDNC(ctx context.Context, e164 string) (pipeline.Outcome, error) {
	number, ok := pipeline.TenDigits(e164)
	if !ok {
		return c.unsent(c.op(nameInsertDNC), pipeline.OutcomeRejected, ReasonNotNANP)
	}
	outcome, err := c.push(ctx, c.op(nameInsertDNC), dncForm(number), pipeline.PhoneForms(e164))
	if outcome.Reason == ReasonDuplicatePhone {
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed, Reason: ReasonAlreadyThere, Detail: outcome.Detail}, nil
	}
	return outcome, err
}

func dncForm(number string) url.Values {
	return url.Values{"Action": {"InsertDnc"}, "Number": {number}}
}

// Render returns the request that an operation would send for the lead, as a person may see it: credentials are masked, and so
// are phones. The operation is one of InsertLead, UpdateLead, SearchLead and InsertDnc in any letter case. The error names the
// reason why no request would be sent.
func (c *Client) Render(op string, lead pipeline.LeadView) (pipeline.Rendered, error) {
	var (
		form   url.Values
		notes  []string
		reason string
		spec   operation
	)
	switch strings.ToLower(op) {
	case "insertlead":
		spec = c.op(nameInsert)
		form, notes, reason = c.insertForm(lead)
	case "updatelead":
		spec = c.op(nameUpdate)
		var fields map[string]string
		fields, notes = c.Fields(lead)
		form, reason = c.updateForm(lead.ID, fields)
	case "searchlead":
		spec, form = c.op(nameSearch), c.searchForm(lead.ID)
	case "insertdnc":
		spec = c.op(nameInsertDNC)
		number, ok := pipeline.TenDigits(lead.Phone)
		if !ok {
			reason = ReasonNotNANP
		}
		form = dncForm(number)
	default:
		return pipeline.Rendered{}, fmt.Errorf("rendering a dialedin request: no operation %q", op)
	}
	return c.rendered(spec, form, lead, notes, reason)
}

// RenderUpdate returns the request that Update would send, as Render does; lead is who it is about.
func (c *Client) RenderUpdate(lead pipeline.LeadView, fields map[string]string) (pipeline.Rendered, error) {
	form, reason := c.updateForm(lead.ID, fields)
	return c.rendered(c.op(nameUpdate), form, lead, nil, reason)
}

func (c *Client) rendered(spec operation, form url.Values, lead pipeline.LeadView, notes []string, reason string) (pipeline.Rendered, error) {
	if reason != "" {
		return pipeline.Rendered{}, fmt.Errorf("rendering dialedin %s: would be rejected: %s", spec.name, reason)
	}
	return pipeline.Rendered{
		Method: http.MethodPost, URL: c.api.Base.String() + c.scripts[spec.group],
		Params: c.maskForm(form, lead), Notes: notes,
	}, nil
}

// maskForm returns a form's parameters for people to read.
func (c *Client) maskForm(form url.Values, lead pipeline.LeadView) map[string]string {
	phones := append(pipeline.PhoneForms(lead.Phone), pipeline.PhoneForms(lead.SecondPhone)...)
	params := map[string]string{"token": c.config.Token.String(), "accid": "[redacted]"}
	for name := range form {
		value := form.Get(name)
		if slices.Contains(phones, value) {
			value = pipeline.MaskPhone(value)
		}
		params[name] = value
	}
	return params
}

func values(fields map[string]string) url.Values {
	form := make(url.Values, len(fields)+8)
	for name, value := range fields {
		form.Set(name, value)
	}
	return form
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
