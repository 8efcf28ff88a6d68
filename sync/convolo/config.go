package convolo

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Config is one Convolo widget. Start from Defaults.
type Config struct {
	// URL is CONVOLO_URL, the whole address of the request. The vendor redirects without the slash at its end, so a missing
	// one is added.
	URL string
	// WidgetKey is CONVOLO_WIDGET_KEY: an identifier, masked wherever it could be printed.
	WidgetKey vendorapi.Secret
	// APIKey is CONVOLO_API_KEY, the widget's own key and not the account's.
	APIKey vendorapi.Secret
	// Country is CONVOLO_COUNTRY, ISO 3166 with two capital letters; empty leaves it to the vendor's account.
	Country string
	// Timeout is CONVOLO_TIMEOUT, for one request.
	Timeout time.Duration
	// Agents is CONVOLO_AGENTS: they are called in place of the widget's own group. ParseAgents reads its text.
	Agents []Agent
}

// Agent is one person to call in place of the widget's call group.
type Agent struct {
	Name string
	// Phone is as the vendor takes it, preferably E.164.
	Phone string
}

// Defaults returns the settings of interface.md section 3; the keys are left to set.
func Defaults() Config {
	return Config{URL: "https://app.convolo.ai/rest/v1/ext/add_call_api/", Country: "US", Timeout: 15 * time.Second}
}

// maxAgents is what two digits can count: lc_param_agent01name to lc_param_agent99name.
const maxAgents = 99

var (
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	agentPhone  = regexp.MustCompile(`^\+?[0-9][0-9 ()-]{4,23}$`)
)

type faults []error

func (f *faults) add(name, text string) { *f = append(*f, fmt.Errorf("%s: %s", name, text)) }

// check returns the address of the request, or every fault at once without quoting values.
func (c *Config) check() (*url.URL, error) {
	var f faults
	u := c.checkURL(&f)
	for _, key := range []struct {
		name  string
		value vendorapi.Secret
	}{{"CONVOLO_WIDGET_KEY", c.WidgetKey}, {"CONVOLO_API_KEY", c.APIKey}} {
		if key.value == "" {
			f.add(key.name, "is missing")
		} else if strings.ContainsFunc(key.value.Reveal(), unprintable) {
			f.add(key.name, "holds a blank or a line break")
		}
	}
	if c.Country != "" && !countryForm.MatchString(c.Country) {
		f.add("CONVOLO_COUNTRY", "must be two capital letters, such as US")
	}
	if c.Timeout <= 0 {
		f.add("CONVOLO_TIMEOUT", "must be longer than 0s")
	}
	if len(c.Agents) > maxAgents {
		f.add("CONVOLO_AGENTS", "names more than 99 agents")
	}
	for i, agent := range c.Agents {
		if strings.TrimSpace(agent.Name) == "" || !agentPhone.MatchString(agent.Phone) {
			f.add("CONVOLO_AGENTS", fmt.Sprintf("entry %d: want a name and a phone", i+1))
		}
	}
	return u, errors.Join(f...)
}

func (c *Config) checkURL(f *faults) *url.URL {
	u, err := vendorapi.ParseBase(c.URL)
	if err != nil {
		f.add("CONVOLO_URL", err.Error())
	}
	return u
}

// ParseAgents reads the text of CONVOLO_AGENTS: name:phone, parted by commas. The error numbers every entry that is no such pair.
func ParseAgents(text string) ([]Agent, error) {
	var (
		agents []Agent
		errs   []error
	)
	for i, entry := range strings.Split(text, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		name, phone, ok := strings.Cut(entry, ":")
		agent := Agent{Name: strings.TrimSpace(name), Phone: strings.TrimSpace(phone)}
		if !ok || agent.Name == "" || agent.Phone == "" {
			errs = append(errs, fmt.Errorf("entry %d: want name:phone", i+1))
			continue
		}
		agents = append(agents, agent)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return agents, nil
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
