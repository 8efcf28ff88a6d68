package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

const (
	convoloPath   = "/rest/v1/ext/add_call_api/"
	convoloPrefix = "lc_param_"
)

// OpAddCall is Convolo's only request.
const OpAddCall = "add_call"

var (
	e164        = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	localPhone  = regexp.MustCompile(`^[0-9]{6,14}$`)
	countryCode = regexp.MustCompile(`^[A-Z]{2}$`)
	customName  = regexp.MustCompile(`^[A-Za-z0-9_]{1,20}$`)
	agentName   = regexp.MustCompile(`^agent[0-9]+(name|phone)$`)
)

func (c *Convolo) routes(mux *http.ServeMux) {
	op := func(*inbound) string { return OpAddCall }
	mux.Handle(convoloPath+"{$}", c.box.serve(VendorConvolo, op, c.addCall))
	// Without its last slash the vendor redirects, which turns a POST into a GET for those who follow.
	mux.Handle(strings.TrimSuffix(convoloPath, "/"), c.box.serve(VendorConvolo, op, func(in *inbound) reply {
		in.violate("path without its last slash")
		return reply{status: http.StatusMovedPermanently, header: http.Header{"Location": {convoloPath}}}
	}))
}

// addCall starts a call (contract sections 1 to 4).
func (c *Convolo) addCall(in *inbound) reply {
	values, bad := c.parameters(in)
	if bad != "" {
		return refuseCall(http.StatusBadRequest, bad)
	}
	if values["widget_key"] != c.box.secrets.widgetKey {
		return refuseCall(http.StatusForbidden, "unknown widget")
	}
	if values["api_key"] != c.box.secrets.convoloKey {
		return refuseCall(http.StatusForbidden, "wrong api key")
	}
	if problems := checkCall(values); len(problems) > 0 {
		for _, p := range problems {
			in.violate(p)
		}
		return refuseCall(http.StatusBadRequest, problems[0])
	}
	c.start(values["lc_number"], values["lc_number_2"], custom(values))
	return jsonReply(http.StatusOK, map[string]any{"success": true})
}

func refuseCall(status int, why string) reply {
	return jsonReply(status, map[string]any{"success": false, "debug": why})
}

// parameters reads a POST's JSON object or a GET's query.
func (c *Convolo) parameters(in *inbound) (map[string]string, string) {
	values := map[string]string{}
	switch in.Method {
	case http.MethodGet:
		in.violate("sent with GET")
		for name := range in.query {
			values[name] = in.query.Get(name)
		}
		return values, ""
	case http.MethodPost:
	default:
		return nil, "method"
	}
	if !strings.HasPrefix(in.Header.Get("Content-Type"), "application/json") {
		in.violate("body is not announced as JSON")
	}
	if len(in.query) > 0 {
		in.violate("parameters in the url")
	}
	fields := map[string]any{}
	if err := json.Unmarshal(in.body, &fields); err != nil {
		in.violate("body is not a JSON object")
		return nil, "body is not a JSON object"
	}
	for name, value := range fields {
		text, isText := value.(string)
		if !isText {
			in.violate(fmt.Sprintf("%.40s is not a string", name))
			text = fmt.Sprint(value)
		}
		values[name] = text
	}
	return values, ""
}

// checkCall says what of a request the contract forbids, without the values.
func checkCall(values map[string]string) []string {
	var out []string
	country := values["country"]
	if country == "undefined" {
		country = ""
	}
	if country != "" && !countryCode.MatchString(country) {
		out = append(out, "country is not a two-letter code")
	}
	switch phone := values["lc_number"]; {
	case phone == "":
		out = append(out, "missing required parameter lc_number")
	case !e164.MatchString(phone) && (country == "" || !localPhone.MatchString(phone)):
		out = append(out, "lc_number is not in international form")
	}
	if phone := values["lc_number_2"]; phone != "" && !e164.MatchString(phone) && (country == "" || !localPhone.MatchString(phone)) {
		out = append(out, "lc_number_2 is not in international form")
	}
	return append(out, checkNames(values)...)
}

func checkNames(values map[string]string) []string {
	var out []string
	seen := map[string]bool{}
	agents := map[string]int{}
	known := []string{"widget_key", "api_key", "lc_number", "lc_number_2", "lc_message", "country"}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		lower := strings.ToLower(name)
		rest, isCustom := strings.CutPrefix(lower, convoloPrefix)
		switch {
		case slices.Contains(known, name):
			continue
		case !isCustom:
			out = append(out, fmt.Sprintf("unknown parameter %.40s", name))
			continue
		case len(rest) > 20:
			out = append(out, "custom parameter name over 20 characters")
		case !customName.MatchString(rest):
			out = append(out, "custom parameter name with characters that are not allowed")
		case seen[lower]:
			out = append(out, "custom parameter names that differ by case only")
		}
		seen[lower] = true
		if agentName.MatchString(rest) {
			agents[strings.TrimSuffix(strings.TrimSuffix(rest, "name"), "phone")]++
		}
	}
	for _, agent := range slices.Sorted(maps.Keys(agents)) {
		if agents[agent] != 2 {
			out = append(out, "agent override without its name or phone")
		}
	}
	return out
}
