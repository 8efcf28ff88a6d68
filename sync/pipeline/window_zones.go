package pipeline

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
)

// LeadZones returns the zones that a lead may be in, sorted by name; a call window must be open in all of them.
//
// A stated zone wins when it is the IANA name of a place. Otherwise each of the lead's numbers in E.164 adds the zones that it
// may be in: those of its area, or all of its country's for one that is bound to no area (toll-free, most mobiles outside
// North America). A number of the plan +1 that cannot be read adds every zone of that plan, from Guam to Newfoundland.
// Where nothing at all is known, as for a satellite phone, it is the whole world: no hour suits all of it within the
// default window, so that such a lead is not called before its zone is stated.
func LeadZones(stated string, phones ...string) []*time.Location {
	if zone := placeZone(strings.TrimSpace(stated)); zone != nil {
		return []*time.Location{zone}
	}
	var names []string
	for _, phone := range phones {
		if phone != "" {
			names = append(names, numberZones(phone)...)
		}
	}
	if len(names) == 0 {
		names = worldZones()
	}
	slices.Sort(names)
	return load(slices.Compact(names))
}

// placeless are zone names that say nothing about a place: systems put the first kind where they know nothing, and the last
// three mean a wall clock that nobody with summer time has.
func placeless(name string) bool {
	switch name {
	case "", "Local", "localtime", "posixrules", "Factory",
		"UTC", "UCT", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich", "Universal", "Zulu",
		"EST", "MST", "HST":
		return true
	}
	return strings.HasPrefix(name, "Etc/")
}

// placeZone returns the zone of an IANA name that is bound to a place, or nil.
func placeZone(name string) *time.Location {
	if placeless(name) {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}

// noPlace is a toll-free number: it may ring anywhere in the North American plan.
const noPlace = "+18005550100"

func numberZones(e164 string) []string {
	names := PhoneZones(e164)
	if n, err := phonenumbers.Parse(e164, ""); err == nil && phonenumbers.GetLengthOfGeographicalAreaCode(n) == 0 {
		// Bound to no area: the numbering data then names one zone for the country's mobiles, and an Australian one may be in Perth.
		names = append(names, countryZones(n)...)
	}
	switch {
	case len(names) > 0:
		return names
	case strings.HasPrefix(e164, "+1"):
		return PhoneZones(noPlace)
	default:
		return worldZones()
	}
}

func countryZones(n *phonenumbers.PhoneNumber) []string {
	zones, err := phonenumbers.GetTimezonesForPrefix(strconv.Itoa(int(n.GetCountryCode())))
	if err != nil || slices.Contains(zones, phonenumbers.UNKNOWN_TIMEZONE) {
		return nil
	}
	return zones
}

// worldZones stand for all zones: the outermost ones and enough between them that no window fits all unless it is nearly always open.
func worldZones() []string {
	return []string{
		"Pacific/Pago_Pago", "Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Chicago",
		"America/New_York", "America/Sao_Paulo", "Atlantic/Azores", "Europe/London", "Europe/Berlin", "Europe/Moscow",
		"Asia/Karachi", "Asia/Dhaka", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland", "Pacific/Kiritimati",
	}
}

// load leaves out a zone only when this machine's tables lack it. Were all lacking, the result is empty and no window opens.
func load(names []string) []*time.Location {
	zones := make([]*time.Location, 0, len(names))
	for _, name := range names {
		if zone, err := time.LoadLocation(name); err == nil {
			zones = append(zones, zone)
		}
	}
	return zones
}
