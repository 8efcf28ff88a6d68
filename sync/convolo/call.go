package convolo

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	customPrefix = "lc_param_"
	// maxValue is our own limit on values; the vendor documents none (contract section 2).
	maxValue = 255
)

var (
	paramName = regexp.MustCompile(`^[A-Za-z0-9_]{1,20}$`)
	// reservedName are custom names with a meaning of their own: the vendor's, and our reference.
	reservedName = regexp.MustCompile(`^(?:ref|name|email|agent[0-9]+(?:name|phone))$`)
	e164         = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
)

// callBody returns the request without keys, or the reason why there can be none. Notes tell what was left out.
func (c *Client) callBody(ref string, lead pipeline.LeadView, params map[string]string) (body map[string]string, notes []string, reason string) {
	if !e164.MatchString(lead.Phone) {
		return nil, nil, ReasonNoPhone
	}
	if ref = strings.TrimSpace(ref); ref == "" || len(ref) > maxValue {
		return nil, nil, ReasonNoReference
	}
	body = map[string]string{"lc_number": lead.Phone, customPrefix + "ref": ref}
	if c.config.Country != "" {
		body["country"] = c.config.Country
	}
	if second := lead.SecondPhone; second != "" && second != lead.Phone {
		if e164.MatchString(second) {
			body["lc_number_2"] = second
		} else {
			notes = append(notes, "lc_number_2 left out: not in international form")
		}
	}
	custom := map[string]string{"name": lead.FirstName + " " + lead.LastName, "email": lead.Email}
	for i, agent := range c.config.Agents {
		custom[fmt.Sprintf("agent%02dname", i+1)] = agent.Name
		custom[fmt.Sprintf("agent%02dphone", i+1)] = agent.Phone
	}
	for given, value := range params {
		name := strings.ToLower(given)
		if !paramName.MatchString(given) || reservedName.MatchString(name) {
			return nil, nil, ReasonBadParameter
		}
		if _, taken := custom[name]; taken {
			// The vendor takes names that differ by case only for one.
			return nil, nil, ReasonBadParameter
		}
		custom[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		value, cut := pipeline.Clip(custom[name], maxValue)
		if cut {
			notes = append(notes, fmt.Sprintf("%s%s cut to %d characters", customPrefix, name, maxValue))
		}
		if value != "" {
			body[customPrefix+name] = value
		}
	}
	return body, notes, ""
}

// encode adds the keys and renders the request.
func (c *Client) encode(body map[string]string) ([]byte, error) {
	whole := maps.Clone(body)
	whole["widget_key"] = c.config.WidgetKey.Reveal()
	whole["api_key"] = c.config.APIKey.Reveal()
	return json.Marshal(whole)
}
