package convoso

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// defaultDNCCodes takes the do-not-call family without DNCNFD, by which a carrier reports that a number does not exist:
// that is no request of the consumer (section 3).
const defaultDNCCodes = "DNC*,-DNCNFD"

// CodeSet tells which raw disposition codes are opt-outs. Codes compare without case. The zero value is the default set.
type CodeSet struct {
	rules []codeRule
}

// codeRule puts one code, or all codes that begin with it, into the set or takes them out.
type codeRule struct {
	code   string
	prefix bool
	out    bool
}

var codeItem = regexp.MustCompile(`^(-?)([A-Za-z0-9][A-Za-z0-9 _.-]{0,31})(\*?)$`)

// ParseCodeSet reads a comma list of codes that extends the default "DNC*,-DNCNFD": "OPTOUT" adds a code, "OPT*" all codes
// that begin so, a leading minus takes a code or a family out. Where several rules fit, an exact code beats a beginning, a
// longer beginning a shorter one, and the later of two equal ones the earlier. The error joins all faults.
func ParseCodeSet(text string) (CodeSet, error) {
	var set CodeSet
	var faults []error
	for item := range items(defaultDNCCodes + "," + text) {
		m := codeItem.FindStringSubmatch(item)
		if m == nil {
			faults = append(faults, fmt.Errorf("CONVOSO_DNC_CODES: %q is not CODE, CODE*, -CODE or -CODE*", item))
			continue
		}
		set.rules = append(set.rules, codeRule{code: strings.ToUpper(strings.TrimSpace(m[2])), prefix: m[3] != "", out: m[1] != ""})
	}
	return set, errors.Join(faults...)
}

// Has tells whether the raw code is an opt-out.
func (c CodeSet) Has(raw string) bool {
	code := strings.ToUpper(strings.TrimSpace(raw))
	if code == "" {
		return false
	}
	rules := c.rules
	if rules == nil {
		rules = []codeRule{{code: "DNC", prefix: true}, {code: "DNCNFD", out: true}}
	}
	in, best := false, -1
	for _, r := range rules {
		if weight := r.weight(code); weight >= 0 && weight >= best {
			in, best = !r.out, weight
		}
	}
	return in
}

// weight returns how closely the rule fits the code, negative when it does not.
func (r codeRule) weight(code string) int {
	switch {
	case !r.prefix && r.code == code:
		return 1 << 20
	case r.prefix && strings.HasPrefix(code, r.code):
		return len(r.code)
	default:
		return -1
	}
}
