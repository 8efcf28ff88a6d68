package dialedin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Call runs any operation for an operator, by the names of Described and with the vendor's parameters. A read returns the
// answer: as it came where it is JSON, else {"answer": its text}. Anything else returns a vendorapi.Report, beside an error
// unless the effect is confirmed. It is sent once; an insert whose outcome is unknown is for SearchLead to settle.
//
// Numbers are given as ten digits or in E.164. CallbackDate may be a time with its offset, which is written by the customer's
// clock. Wrong arguments are an error, and nothing is sent.
func (c *Client) Call(ctx context.Context, name string, args map[string]string) (json.RawMessage, error) {
	op, ok := operationNamed(name)
	if !ok {
		return nil, fmt.Errorf("dialedin: there is no operation %q", name)
	}
	form, notes, err := op.form(&c.config, c.fields, args)
	if err != nil {
		return nil, err
	}
	personal := personalOf(&op, args)
	if op.effect == vendorapi.Reads {
		return c.ask(ctx, op, form, personal)
	}
	if args["CallbackDate"] != "" {
		// The vendor may note a second callback (contract section 5).
		op.repeatable = false
	}
	outcome, err := c.push(ctx, op, form, personal)
	if op.name == nameInsertDNC && outcome.Reason == ReasonDuplicatePhone {
		outcome.State, outcome.Reason, err = pipeline.OutcomeConfirmed, ReasonAlreadyThere, nil
	}
	report := vendorapi.Report{Operation: op.name, State: outcome.State, Reason: outcome.Reason, Detail: outcome.Detail, Reference: args["ClientId"], Notes: notes}
	raw, encodeErr := json.Marshal(report)
	return raw, errors.Join(err, encodeErr)
}

// CheckCall finds everything wrong with the arguments of a Call without sending anything. Values are not quoted.
func CheckCall(name string, args map[string]string) error {
	op, ok := operationNamed(name)
	if !ok {
		return errors.New("dialedin: there is no such operation")
	}
	config := Defaults()
	_, _, err := op.form(&config, newFieldMap(nil, &faults{}), args)
	return err
}

// ask sends a read.
func (c *Client) ask(ctx context.Context, op operation, form url.Values, personal []string) (json.RawMessage, error) {
	if c.scripts[op.group] == "" {
		_, err := c.unsent(op, pipeline.OutcomeDenied, ReasonNoScript)
		return nil, err
	}
	resp, err := c.post(ctx, op, form, personal)
	if err != nil {
		if v, ok := errors.AsType[*vendorapi.Error](err); ok {
			// A lead's fields hold names, and here nobody knows which words they are.
			v.Detail = ""
		}
		return nil, err
	}
	body := []byte(strings.TrimSpace(strings.TrimPrefix(string(resp.Body), "\ufeff")))
	if json.Valid(body) {
		return body, nil
	}
	failed := &vendorapi.Error{Vendor: c.api.Vendor, Op: op.name, Kind: vendorapi.Malformed, Status: resp.Status, Code: ReasonUnreadable, Sent: true}
	state, reason := c.rules.judge(resp.Body, personal...)
	text := normalise(resp.Body)
	switch {
	case state == pipeline.OutcomeDenied:
		c.api.Deny(ctx)
		failed.Kind, failed.Code = vendorapi.Denied, reason
		return nil, failed
	case op.name == nameSearch, text == "", page.Match(resp.Body), curlError.MatchString(text):
		// A search without an answer says nothing of the lead, least of all that it is not there.
		failed.Code = reason
		return nil, failed
	}
	return json.Marshal(map[string]string{"answer": text})
}

// form returns the parameters of a request without credentials, or all that is wrong with them. Notes tell what was cut.
func (o *operation) form(config *Config, fields *fieldMap, args map[string]string) (url.Values, []string, error) {
	described := vendorapi.Operation{Name: o.name, Params: o.params, Further: o.further}
	if err := described.Check(args); err != nil {
		return nil, nil, fmt.Errorf("dialedin %s: %w", o.name, err)
	}
	form, errs, notes := url.Values{}, []error(nil), []string(nil)
	if o.action != "" {
		form.Set("Action", o.action)
	}
	for _, name := range slices.Sorted(maps.Keys(args)) {
		i := slices.IndexFunc(o.params, func(p vendorapi.Param) bool { return p.Name == name })
		if i < 0 || isLeadField(name) {
			note, err := o.field(form, fields, name, args[name])
			if note != "" {
				notes = append(notes, note)
			}
			errs = append(errs, err)
			continue
		}
		errs = append(errs, o.set(form, o.params[i], args[name]))
	}
	if form.Get("SearchField") == "Phone" {
		// Leads are stored with ten digits, and found by the same (contract section 3).
		ten, ok := tenDigits(form.Get("Identifier"))
		if !ok {
			errs = append(errs, fmt.Errorf("%s: is no North American number", "Identifier"))
		}
		form.Set("Identifier", ten)
	}
	errs = append(errs, setCallback(form, args))
	switch o.name {
	case nameInsert:
		insertDefaults(form, config)
	case nameUpdate:
		if len(form) <= 2 {
			errs = append(errs, errors.New("there is no field to set"))
		}
	case nameSearch:
		if !form.Has("Detailed") {
			form.Set("Detailed", "0")
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, fmt.Errorf("dialedin %s: %w", o.name, err)
	}
	return form, notes, nil
}

// isLeadField tells a field of the lead from a parameter of the request.
func isLeadField(name string) bool {
	_, standard := standardFields()[name]
	return standard
}

func (o *operation) field(form url.Values, fields *fieldMap, given, value string) (note string, err error) {
	name, err := fieldName(given)
	if err != nil {
		return "", err
	}
	fitting, note := fields.fit(name, value)
	if fitting != "" {
		form.Set(name, fitting)
	}
	return note, nil
}

// longest are the vendor's limits of parameters that are no fields (contract section 4.3).
func longest(name string) int {
	switch name {
	case "ClientId", "Campaign", "Subcampaign":
		return maxName
	}
	return 0
}

// set adds one parameter to the form. What would be cut is refused: a cut key finds another lead.
func (o *operation) set(form url.Values, p vendorapi.Param, text string) error {
	value := strings.ToValidUTF8(strings.TrimSpace(text), "")
	switch p.Type {
	case "phone":
		ten, ok := tenDigits(value)
		if !ok {
			return fmt.Errorf("%s: is no North American number", p.Name)
		}
		value = ten
	case "integer":
		if strings.Trim(value, "0123456789") != "" {
			return fmt.Errorf("%s: is no whole number", p.Name)
		}
	}
	if limit := longest(p.Name); limit > 0 {
		if _, cut := pipeline.Clip(value, limit); cut {
			return fmt.Errorf("%s: is longer than %d characters", p.Name, limit)
		}
	}
	if p.Name != zoneParam && p.Name != "CallbackDate" {
		form.Set(p.Name, value)
	}
	return nil
}

// insertDefaults fills in the settings, the safe ones where there are none (contract section 4.1).
func insertDefaults(form url.Values, config *Config) {
	for name, value := range map[string]string{
		"Campaign": config.Campaign, "Subcampaign": config.Subcampaign, "timezone": flag(config.CheckHours),
		"DuplicatesCheck": fmt.Sprint(config.DuplicatesCheck), "ImportOnly": flag(!config.Dial),
	} {
		if !form.Has(name) && value != "" {
			form.Set(name, value)
		}
	}
	form.Set("AllowDialingDups", "0")
	form.Set("DialNonCallables", "0")
}

// tenDigits reads a North American number as people write it.
func tenDigits(text string) (string, bool) {
	digits := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "").Replace(text)
	switch {
	case strings.HasPrefix(digits, "+"):
		return pipeline.TenDigits(digits)
	case len(digits) == 11 && digits[0] == '1':
		return pipeline.TenDigits("+" + digits)
	}
	return pipeline.TenDigits("+1" + digits)
}

// personalOf returns what of the arguments must not be quoted.
func personalOf(op *operation, args map[string]string) []string {
	var values []string
	for name, value := range args {
		i := slices.IndexFunc(op.params, func(p vendorapi.Param) bool { return p.Name == name })
		if i >= 0 && (op.params[i].Values != nil || op.params[i].Type == "integer") {
			continue
		}
		values = append(values, value)
		if ten, ok := tenDigits(value); ok {
			values = append(values, pipeline.PhoneForms("+1"+ten)...)
		}
	}
	slices.Sort(values)
	return values
}
