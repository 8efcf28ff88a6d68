package convolo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Described returns the vendor's one operation as an operator may ask for it; Call runs it.
func Described() []vendorapi.Operation {
	return []vendorapi.Operation{{
		Name: opStartCall, Aliases: []string{"add_call_api", "add_call"}, Effect: vendorapi.Rings,
		Summary: "call an agent and then the lead, now",
		Params: []vendorapi.Param{
			{Name: "lc_number", Type: "phone", Required: true, Help: "the lead's number as +…; without country code only with a country"},
			{Name: "lc_number_2", Type: "phone", Help: "another number of the lead"},
			{Name: "country", Type: "text", Help: "two letters; CONVOLO_COUNTRY unless given"},
			{Name: "lc_message", Type: "text", Help: "voice message for the agent; the vendor calls it obsolete"},
			{Name: customPrefix + "ref", Type: "text", Help: "our reference, which comes back in webhooks; made up unless given"},
			{Name: customPrefix + "name", Type: "text", Help: "the lead's name"},
			{Name: customPrefix + "email", Type: "text", Help: "the lead's address"},
		},
		Further: customPrefix + "NAME, with a name of up to 20 letters, digits and underscores; " + customPrefix + "agent01name with " + customPrefix +
			"agent01phone and so on call these agents in place of the group, and of CONVOLO_AGENTS",
	}}
}

var (
	localPhone = regexp.MustCompile(`^[0-9]{6,14}$`)
	agentParam = regexp.MustCompile(`^` + customPrefix + `agent([0-9]+)(name|phone)$`)
)

// Call starts one call for an operator, by the arguments of Described. ref is our reference where lc_param_ref gives none. It
// is sent once and returns a vendorapi.Report, beside an error unless the vendor took the call on. Wrong arguments are an
// error, and nothing is sent.
func (c *Client) Call(ctx context.Context, ref string, args map[string]string) (json.RawMessage, error) {
	body, notes, err := operatorBody(&c.config, ref, args)
	if err != nil {
		return nil, err
	}
	personal := slices.Collect(maps.Values(body))
	for _, value := range body {
		personal = append(personal, pipeline.PhoneForms(value)...)
	}
	personal = slices.DeleteFunc(personal, func(value string) bool { return value == body[customPrefix+"ref"] || value == body["country"] })
	outcome, err := c.send(ctx, body, personal)
	report := vendorapi.Report{
		Operation: opStartCall, State: outcome.State, Reason: outcome.Reason, ExternalID: outcome.ExternalID,
		Reference: body[customPrefix+"ref"], Detail: outcome.Detail, Notes: notes,
	}
	raw, encodeErr := json.Marshal(report)
	return raw, errors.Join(err, encodeErr)
}

// CheckCall finds everything wrong with the arguments of a Call without sending anything. Values are not quoted.
func CheckCall(args map[string]string) error {
	config := Defaults()
	_, _, err := operatorBody(&config, "-", args)
	return err
}

// operatorBody returns the request without keys, or all that is wrong with the arguments.
func operatorBody(config *Config, ref string, args map[string]string) (body map[string]string, notes []string, err error) {
	if err := Described()[0].Check(args); err != nil {
		return nil, nil, fmt.Errorf("convolo %s: %w", opStartCall, err)
	}
	body = map[string]string{}
	var errs []error
	for _, given := range slices.Sorted(maps.Keys(args)) {
		name := strings.ToLower(given)
		custom, isCustom := strings.CutPrefix(name, customPrefix)
		value, cut := pipeline.Clip(args[given], maxValue)
		switch {
		case isCustom && !paramName.MatchString(custom):
			errs = append(errs, fmt.Errorf("%s: the name must have 1 to 20 letters, digits and underscores after %s", given, customPrefix))
		case !isCustom && !slices.Contains([]string{"lc_number", "lc_number_2", "country", "lc_message"}, name):
			errs = append(errs, fmt.Errorf("there is no argument %s; parameters of your own begin with %s", given, customPrefix))
		case body[name] != "":
			errs = append(errs, fmt.Errorf("%s: is given twice; case does not tell names apart", given))
		case cut && name == customPrefix+"ref":
			errs = append(errs, fmt.Errorf("%s: is longer than %d characters", given, maxValue))
		}
		if cut {
			notes = append(notes, fmt.Sprintf("%s cut to %d characters", name, maxValue))
		}
		if value != "" {
			body[name] = value
		}
	}
	if body[customPrefix+"ref"] == "" {
		body[customPrefix+"ref"] = ref
	}
	errs = append(errs, settleNumbers(body, config), settleAgents(body, config))
	if err := errors.Join(errs...); err != nil {
		return nil, nil, fmt.Errorf("convolo %s: %w", opStartCall, err)
	}
	return body, notes, nil
}

// settleNumbers checks the numbers and fills in the country.
func settleNumbers(body map[string]string, config *Config) error {
	country := strings.ToUpper(body["country"])
	if country == "" {
		country = config.Country
	}
	if country != "" {
		body["country"] = country
	}
	var errs []error
	if country != "" && !countryForm.MatchString(country) {
		errs = append(errs, errors.New("country: must be two letters, such as US"))
	}
	for _, name := range []string{"lc_number", "lc_number_2"} {
		number := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "").Replace(body[name])
		switch {
		case number == "":
			continue
		case e164.MatchString(number), localPhone.MatchString(number) && country != "":
			body[name] = number
		default:
			errs = append(errs, fmt.Errorf("%s: must be a number such as +15035550142, or a local one with its country", name))
		}
	}
	return errors.Join(errs...)
}

// settleAgents checks that each agent has a name and a phone, and takes the configured ones where none is named.
func settleAgents(body map[string]string, config *Config) error {
	parts := map[string]int{}
	var errs []error
	for name, value := range body {
		m := agentParam.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		parts[m[1]]++
		if m[2] == "phone" && !agentPhone.MatchString(value) {
			errs = append(errs, fmt.Errorf("%s: is no phone number", name))
		}
	}
	for _, number := range slices.Sorted(maps.Keys(parts)) {
		if parts[number] != 2 {
			errs = append(errs, fmt.Errorf("%sagent%s: needs both its name and its phone", customPrefix, number))
		}
	}
	if len(parts) == 0 {
		for i, agent := range config.Agents {
			body[fmt.Sprintf("%sagent%02dname", customPrefix, i+1)] = agent.Name
			body[fmt.Sprintf("%sagent%02dphone", customPrefix, i+1)] = agent.Phone
		}
	}
	return errors.Join(errs...)
}
