package dialedin

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Config is one DialedIn account. Start from Defaults. AllowDialingDups and DialNonCallables are not in it: they stay 0.
type Config struct {
	// BaseURL is DIALEDIN_BASE_URL, the folder that holds the scripts; a missing slash at its end is added.
	BaseURL string
	// Token is DIALEDIN_TOKEN.
	Token vendorapi.Secret
	// AccID is DIALEDIN_ACCID, the customer's own account id.
	AccID string
	// Campaign is DIALEDIN_CAMPAIGN; it must exist at the vendor.
	Campaign string
	// Subcampaign is DIALEDIN_SUBCAMPAIGN; empty sends none.
	Subcampaign string
	// Dial is DIALEDIN_DIAL; without it leads are imported and not dialled (ImportOnly=1).
	Dial bool
	// DuplicatesCheck is DIALEDIN_DUPLICATES_CHECK: 0 same campaign, 1 allow duplicates, 2 all campaigns, 3 same campaign and
	// sub-campaign.
	DuplicatesCheck int
	// CheckHours is DIALEDIN_CHECK_HOURS: the vendor's own check of calling hours, beside ours (timezone=1).
	CheckHours bool
	// Fields is DIALEDIN_FIELDS: our attribute name to their field name. ParseFields reads its text.
	Fields map[string]string
	// Timeout is DIALEDIN_TIMEOUT, for one request.
	Timeout time.Duration
	// Patterns is DIALEDIN_PATTERN_<CLASS>: regular expressions that replace the default ones of a class. They are matched
	// without case against the answer's text without tags.
	Patterns map[Class]string
	// Scripts is DIALEDIN_SCRIPT_<GROUP>: script names that replace the default ones.
	Scripts map[Group]string
}

// Defaults returns the safe settings of interface.md section 3; credentials and campaign are left to set.
func Defaults() Config {
	return Config{
		BaseURL:         "https://api.chasedatacorp.com/HttpImport/",
		DuplicatesCheck: 2,
		CheckHours:      true,
		Timeout:         15 * time.Second,
	}
}

// Group is a family of operations that one script serves (contract section 2).
type Group string

// The script groups, as DIALEDIN_SCRIPT_<GROUP> names them in upper case. Only the first three have a known script.
const (
	GroupInsert        Group = "insert"
	GroupUpdate        Group = "update"
	GroupLead          Group = "lead"
	GroupText          Group = "text"
	GroupCall          Group = "call"
	GroupAgentDialList Group = "agent_dial_list"
	GroupPlaylist      Group = "playlist"
	GroupSkillList     Group = "skill_list"
)

// defaultScripts has an empty name where the contract only assumes one: such operations refuse to run until it is set.
func defaultScripts() map[Group]string {
	return map[Group]string{
		GroupInsert: "InjectLead.php", GroupUpdate: "UpdateLead.php", GroupLead: "LeadOperations.php",
		GroupText: "", GroupCall: "", GroupAgentDialList: "", GroupPlaylist: "", GroupSkillList: "",
	}
}

// maxName is the vendor's limit on campaign names (contract section 4.1).
const maxName = 50

var scriptForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*$`)

// faults collects what is wrong with a configuration, one line a setting, without quoting values.
type faults []error

func (f *faults) add(name, text string) { *f = append(*f, fmt.Errorf("%s: %s", name, text)) }

// check returns the parsed settings or every fault at once.
func (c *Config) check() (*url.URL, map[Group]string, *rules, *fieldMap, error) {
	var f faults
	base := c.checkBase(&f)
	if c.Token == "" {
		f.add("DIALEDIN_TOKEN", "is missing")
	} else if strings.ContainsFunc(c.Token.Reveal(), unprintable) {
		f.add("DIALEDIN_TOKEN", "holds a blank or a line break")
	}
	if c.AccID == "" {
		f.add("DIALEDIN_ACCID", "is missing")
	} else if strings.ContainsFunc(c.AccID, unprintable) {
		f.add("DIALEDIN_ACCID", "holds a blank or a line break")
	}
	switch {
	case strings.TrimSpace(c.Campaign) == "":
		f.add("DIALEDIN_CAMPAIGN", "is missing")
	case utf8.RuneCountInString(c.Campaign) > maxName:
		f.add("DIALEDIN_CAMPAIGN", "is longer than 50 characters")
	}
	if utf8.RuneCountInString(c.Subcampaign) > maxName {
		f.add("DIALEDIN_SUBCAMPAIGN", "is longer than 50 characters")
	}
	if c.DuplicatesCheck < 0 || c.DuplicatesCheck > 3 {
		f.add("DIALEDIN_DUPLICATES_CHECK", "must be 0, 1, 2 or 3")
	}
	if c.Timeout <= 0 {
		f.add("DIALEDIN_TIMEOUT", "must be longer than 0s")
	}
	scripts := c.checkScripts(&f)
	rules := newRules(c.Patterns, &f)
	fields := newFieldMap(c.Fields, &f)
	return base, scripts, rules, fields, errors.Join(f...)
}

func (c *Config) checkBase(f *faults) *url.URL {
	u, err := vendorapi.ParseBase(c.BaseURL)
	if err != nil {
		f.add("DIALEDIN_BASE_URL", err.Error())
	}
	return u
}

func (c *Config) checkScripts(f *faults) map[Group]string {
	scripts := defaultScripts()
	for _, group := range slices.Sorted(maps.Keys(c.Scripts)) {
		variable := "DIALEDIN_SCRIPT_" + strings.ToUpper(string(group))
		if _, known := scripts[group]; !known {
			f.add(variable, "is no group of operations; there are INSERT, UPDATE, LEAD, TEXT, CALL, AGENT_DIAL_LIST, PLAYLIST and SKILL_LIST")
			continue
		}
		if !scriptForm.MatchString(c.Scripts[group]) {
			f.add(variable, "must be a script's name relative to DIALEDIN_BASE_URL, such as InjectLead.php")
			continue
		}
		scripts[group] = c.Scripts[group]
	}
	return scripts
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
