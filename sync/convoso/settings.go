package convoso

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Config is what an operator can set for a Convoso account; the empty value of each field takes the default named there.
type Config struct {
	// Account names the vendor account; "default".
	Account string
	// Zone is that of dates without one (section 6); America/Los_Angeles.
	Zone *time.Location
	// Region is the ISO 3166 country of phone numbers without country code; US.
	Region string
	// Aliases (CONVOSO_ALIASES) adds keys to those of section 5: "canonical=key,canonical=key2". The canonical name may be
	// any of the built-in keys for the same thing. Built-in keys come first, then those listed, in their order.
	Aliases string
	// DNCCodes (CONVOSO_DNC_CODES) adds to the opt-out codes: see ParseCodeSet.
	DNCCodes string
	// Dispositions (CONVOSO_DISPOSITIONS) adds to the map of section 3: "CODE=our_code,CODE2=our_code2".
	Dispositions string
	// TrustLiteralZ takes the Z of 20240315T143000Z for UTC; without it such a time counts as local.
	TrustLiteralZ bool
}

// Settings is how the posts of one account are read. Build it with NewSettings and do not change it afterwards.
type Settings struct {
	Account string
	Zone    *time.Location
	Region  string
	// Aliases holds the configured keys beside the built-in ones, by canonical name.
	Aliases map[string][]string
	// DNCCodes tells the codes that are opt-outs.
	DNCCodes CodeSet
	// Dispositions maps raw codes in upper case to ours, the defaults of section 3 included.
	Dispositions  map[string]string
	TrustLiteralZ bool

	index *index
}

// defaultDispositions is the suggested map of section 3.
const defaultDispositions = "CB=callback,NI=not_interested,SALE=interested," +
	"NA=no_answer,NAIC=no_answer,B=no_answer,AA=no_answer,AM=no_answer,AL=no_answer,A=no_answer"

// NewSettings reads the texts of a configuration. Its error joins every fault found, each naming the variable.
func NewSettings(c Config) (Settings, error) {
	s := Settings{
		Account:       cmp.Or(c.Account, "default"),
		Zone:          c.Zone,
		Region:        strings.ToUpper(cmp.Or(c.Region, "US")),
		Aliases:       map[string][]string{},
		Dispositions:  map[string]string{},
		TrustLiteralZ: c.TrustLiteralZ,
	}
	var faults []error
	if s.Zone == nil {
		zone, err := time.LoadLocation("America/Los_Angeles")
		if err != nil {
			faults = append(faults, fmt.Errorf("CONVOSO_TIMEZONE: loading the default zone: %w", err))
		}
		s.Zone = zone
	}
	s.index = newIndex()
	faults = append(faults, s.readAliases(c.Aliases)...)
	codes, err := ParseCodeSet(c.DNCCodes)
	if err != nil {
		faults = append(faults, err)
	}
	s.DNCCodes = codes
	faults = append(faults, s.readDispositions(defaultDispositions)...)
	faults = append(faults, s.readDispositions(c.Dispositions)...)
	return s, errors.Join(faults...)
}

// Disposition returns our code for a raw one: as mapped, else the code itself in lower case.
func (s Settings) Disposition(code string) string {
	if ours, ok := s.Dispositions[strings.ToUpper(strings.TrimSpace(code))]; ok {
		return ours
	}
	return strings.ToLower(strings.TrimSpace(code))
}

// Rules returns what each configured or default code means to the pipeline. A code mapped to an outcome that the built-in
// rules know, such as not_interested, does to the lead what that outcome does; of any other outcome it does nothing to the
// lead, and the call counts as a conversation when it was answered.
func (s Settings) Rules() map[string]pipeline.Disposition {
	known := pipeline.DefaultDispositions()
	rules := make(map[string]pipeline.Disposition, len(s.Dispositions))
	for code, ours := range s.Dispositions {
		rules[code] = pipeline.Disposition{Outcome: ours, AsAnswered: true}
		// The outcomes are the words of our own API; what only a dialler has, such as dnc, is its code too.
		for _, source := range []pipeline.Source{pipeline.SourceAPI, pipeline.SourceConvoso} {
			if rule, mapped := known.Of(source, ours); mapped && rule.Outcome == ours {
				rules[code] = rule
				break
			}
		}
	}
	return rules
}

func (s Settings) readAliases(text string) []error {
	var faults []error
	for item := range items(text) {
		name, key, ok := strings.Cut(item, "=")
		name, key = strings.TrimSpace(name), strings.TrimSpace(key)
		if !ok || normal(key) == "" {
			faults = append(faults, fmt.Errorf("CONVOSO_ALIASES: %q is not canonical=key", item))
			continue
		}
		of, known := s.index.of(name)
		if !known {
			faults = append(faults, fmt.Errorf("CONVOSO_ALIASES: %q is no field that Convoso posts are read for", name))
			continue
		}
		if other, taken := s.index.of(key); taken && other.canonical != of.canonical {
			faults = append(faults, fmt.Errorf("CONVOSO_ALIASES: key %q already stands for %s", key, other.canonical))
			continue
		}
		s.index.add(of.canonical, key)
		s.Aliases[of.canonical] = append(s.Aliases[of.canonical], key)
	}
	return faults
}

var ourCode = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (s Settings) readDispositions(text string) []error {
	var faults []error
	for item := range items(text) {
		raw, ours, _ := strings.Cut(item, "=")
		raw, ours = strings.TrimSpace(raw), strings.TrimSpace(ours)
		if raw == "" || !ourCode.MatchString(ours) {
			faults = append(faults, fmt.Errorf("CONVOSO_DISPOSITIONS: %q is not CODE=our_code, our code in lower case", item))
			continue
		}
		s.Dispositions[strings.ToUpper(raw)] = ours
	}
	return faults
}

// items yields the trimmed parts of a comma list, empty ones left out.
func items(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" && !yield(item) {
				return
			}
		}
	}
}

// keys returns the index of aliases, also for settings that were not built by NewSettings.
func (s Settings) keys() *index {
	if s.index != nil {
		return s.index
	}
	x := newIndex()
	for canonical, keys := range s.Aliases {
		for _, key := range keys {
			x.add(canonical, key)
		}
	}
	return x
}

func (s Settings) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}
