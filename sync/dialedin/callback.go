package dialedin

import (
	"errors"
	"net/url"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// callbackLayout is the vendor's date: 24 hours, by the clock at the customer's phone, no offset (contract section 3).
const callbackLayout = "01/02/2006 15:04:05"

// setCallback writes when an agent is to call back. A time of which nobody knows what it is at the customer's is refused, and
// so is one that the customer's clock shows twice or never.
func setCallback(form url.Values, args map[string]string) error {
	text, agent := args["CallbackDate"], args["CallbackAgent"]
	if text == "" {
		if agent != "" || args["CallbackNotes"] != "" || args[zoneParam] != "" {
			return errors.New("CallbackDate: is missing, and other arguments of a callback are given")
		}
		return nil
	}
	if agent == "" {
		return errors.New("CallbackAgent: is missing, and CallbackDate is given")
	}
	zone, err := callbackZone(form, args)
	if err != nil {
		return err
	}
	local := text
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if zone == nil {
			return errors.New(zoneParam + ": is missing, and the phone does not tell the customer's zone")
		}
		local = at.In(zone).Format(callbackLayout)
	} else if _, err := time.Parse(callbackLayout, text); err != nil {
		return errors.New("CallbackDate: must be a time with its offset, such as 2026-03-02T09:00:00-05:00, or MM/dd/yyyy HH:mm:ss by the customer's clock")
	}
	if zone != nil && !shownOnce(local, zone) {
		return errors.New("CallbackDate: the customer's clock shows this time twice or never, for it is changed then")
	}
	form.Set("CallbackDate", local)
	return nil
}

// callbackZone returns the customer's zone: the stated one, or that of the phone's area if it has one only; else nil.
func callbackZone(form url.Values, args map[string]string) (*time.Location, error) {
	if name := args[zoneParam]; name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			return nil, errors.New(zoneParam + ": must be an IANA zone, such as America/New_York")
		}
		return zone, nil
	}
	ten := form.Get("PrimaryPhone")
	if form.Get("SearchField") == "Phone" {
		ten, _ = tenDigits(form.Get("Identifier"))
	}
	if ten == "" {
		return nil, nil
	}
	if zones := pipeline.LeadZones("", "+1"+ten); len(zones) == 1 {
		return zones[0], nil
	}
	return nil, nil
}

// shownOnce tells whether a clock of the zone shows this local time exactly once.
func shownOnce(local string, zone *time.Location) bool {
	at, err := time.ParseInLocation(callbackLayout, local, zone)
	if err != nil || at.Format(callbackLayout) != local {
		return false
	}
	for _, shift := range []time.Duration{-time.Hour, time.Hour} {
		if at.Add(shift).Format(callbackLayout) == local {
			return false
		}
	}
	return true
}
