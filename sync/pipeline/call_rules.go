package pipeline

import (
	_ "embed" // the rules are a file
	"slices"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
)

//go:embed call_rules.csv
var callRulesFile string

// federal is the rule of every place that has none of its own.
const federal = "US"

// callRule says when people of one place may be called by their own clock, and how often.
type callRule struct {
	place string
	zones []*time.Location
	// byDay is indexed by time.Weekday; the zero window is closed all day.
	byDay [7]CallWindow
	// dailyCap is how many dials within DialCapSpan are allowed; 0 = any number.
	dailyCap int
}

// CallRules are the rules of all places (law 7): the federal window, and the stricter ones of states and countries.
type CallRules struct {
	byPlace map[string]*callRule
	// states finds a state's place by its code or name in lower case.
	states map[string]string
}

// DefaultCallRules returns the rules that come with this version.
func DefaultCallRules() (*CallRules, error) { return ParseCallRules(callRulesFile) }

// Zones returns the zones that the lead may be in. A stated zone is the one. Else they are those of its numbers (LeadZones) and
// of its stated state together: a number may have been kept after a move. Of a number that is bound to no place the state
// decides alone.
func (r *CallRules) Zones(lead LeadView) []*time.Location {
	state := r.byPlace[r.stateOf(lead.State)]
	if state == nil || placeZone(strings.TrimSpace(lead.Timezone)) != nil {
		return LeadZones(lead.Timezone, lead.Phone, lead.SecondPhone)
	}
	zones := slices.Clone(state.zones)
	for _, phone := range []string{lead.Phone, lead.SecondPhone} {
		if phone == "" || placelessNumber(phone) {
			continue
		}
		for _, zone := range LeadZones("", phone) {
			if !slices.ContainsFunc(zones, func(z *time.Location) bool { return z.String() == zone.String() }) {
				zones = append(zones, zone)
			}
		}
	}
	return zones
}

// placelessNumber tells of a North American number that rings anywhere, such as a toll-free one.
func placelessNumber(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "")
	return err == nil && n.GetCountryCode() == 1 && phonenumbers.GetLengthOfGeographicalAreaCode(n) == 0
}

func (r *CallRules) stateOf(text string) string {
	return r.states[strings.ToLower(strings.TrimSpace(text))]
}

// rulesOf returns the rules that bind calls to the lead: of the stated state, and of the state or country of each number. The
// federal one stands in for what has none.
func (r *CallRules) rulesOf(lead LeadView) []*callRule {
	places := []string{}
	if state := r.stateOf(lead.State); state != "" {
		places = append(places, state)
	}
	for _, phone := range []string{lead.Phone, lead.SecondPhone} {
		if phone != "" {
			places = append(places, r.placeOf(phone))
		}
	}
	var rules []*callRule
	for _, place := range places {
		rule := r.byPlace[place]
		if rule == nil {
			rule = r.byPlace[federal]
		}
		if !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	if len(rules) == 0 {
		rules = append(rules, r.byPlace[federal])
	}
	return rules
}

// placeOf returns the state or country to which a number's area belongs.
func (r *CallRules) placeOf(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return federal
	}
	country := phonenumbers.GetRegionCodeForNumber(n)
	if country != federal {
		return country
	}
	area, err := phonenumbers.GetGeocodingForNumber(n, "en")
	if err != nil {
		return federal
	}
	// San Francisco, CA, or the state's name where the area is larger than a city.
	if at := strings.LastIndex(area, ", "); at >= 0 {
		area = area[at+2:]
	}
	if state := r.stateOf(area); state != "" {
		return state
	}
	return federal
}

// Cap returns how many dials within DialCapSpan the rules allow to the lead; 0 = any number.
func (r *CallRules) Cap(lead LeadView) int {
	least := 0
	for _, rule := range r.rulesOf(lead) {
		if rule.dailyCap > 0 && (least == 0 || rule.dailyCap < least) {
			least = rule.dailyCap
		}
	}
	return least
}

// Open tells whether all rules that bind calls to the lead allow one at an instant, in every zone it may be in.
func (r *CallRules) Open(lead LeadView, at time.Time) bool {
	zones := r.Zones(lead)
	for _, rule := range r.rulesOf(lead) {
		for _, zone := range zones {
			if !rule.open(at.In(zone)) {
				return false
			}
		}
	}
	return len(zones) > 0
}

// Next returns the earliest instant from at on, in UTC, at which Open holds, and false when there is none within eight days.
func (r *CallRules) Next(lead LeadView, at time.Time) (time.Time, bool) {
	zones, rules := r.Zones(lead), r.rulesOf(lead)
	if len(zones) == 0 {
		return time.Time{}, false
	}
	// As in CallWindow.Next: each moves the instant on, never past its own next opening.
	next, limit := at, at.Add(nextHorizon)
	for moved := true; moved; {
		moved = false
		for _, rule := range rules {
			for _, zone := range zones {
				opens, ok := rule.next(next, zone)
				if !ok || opens.After(limit) {
					return time.Time{}, false
				}
				if opens.After(next) {
					next, moved = opens, true
				}
			}
		}
	}
	return next.UTC(), true
}

func (c *callRule) open(local time.Time) bool {
	w := c.byDay[local.Weekday()]
	return w.Always || w.covers(wall(local))
}

// next returns the earliest instant from at on at which one rule allows calls in one zone.
func (c *callRule) next(at time.Time, zone *time.Location) (time.Time, bool) {
	local := at.In(zone)
	for ahead := range 9 {
		// Noon exists on every day, whatever the clocks do.
		noon := time.Date(local.Year(), local.Month(), local.Day()+ahead, 12, 0, 0, 0, zone)
		w := c.byDay[noon.Weekday()]
		if w == (CallWindow{}) {
			continue
		}
		from := at
		if ahead > 0 {
			from = time.Date(noon.Year(), noon.Month(), noon.Day(), 0, 0, 0, 0, zone)
			if from.Before(at) {
				from = at
			}
		}
		opens := from
		if !w.Always {
			opens = w.nextIn(from, zone)
		}
		if opens.In(zone).YearDay() == noon.YearDay() {
			return opens, true
		}
	}
	return time.Time{}, false
}
