package convoso

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// localLayouts are the forms of section 6 without a zone. The texts come in lower case, which only names of months ignore. No text fits two of them with different results.
var localLayouts = [...]string{
	"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006-01-02t15:04:05", "2006-01-02t15:04",
	"1/2/2006", "1/2/06", "1/2/2006 15:04:05", "1/2/2006 15:04", "1/2/06 15:04:05", "1/2/06 15:04",
	"1/2/2006 3:04 pm", "1/2/06 3:04 pm", "1/2/2006 3:04pm", "1/2/06 3:04pm", "1/2/2006 3:04:05 pm", "1/2/06 3:04:05 pm",
	"2-1-06", "20060102", "20060102t150405", "1.2.06", "1.2.2006",
	"January 2, 2006, 3:04 pm", "January 2, 2006 3:04 pm", "January 2, 2006", "Jan 2, 2006, 3:04 pm", "Jan 2, 2006 3:04 pm",
	"2, 1, 2006", "Mon Jan 2 15:04:05 2006",
}

// zonedLayouts carry an offset. They are no choice of Convoso's, yet what stands between it and us may write them.
var zonedLayouts = [...]string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05 Z0700"}

const (
	literalZLayout = "20060102t150405z"
	verboseLayout  = "Mon Jan 2 15:04:05 2006"
)

// abbreviations are the zones that the verbose form may name, in seconds east of UTC; others count as unknown.
var abbreviations = map[string]int{
	"utc": 0, "gmt": 0, "z": 0,
	"nst": -12600, "ndt": -9000, "ast": -4 * 3600, "adt": -3 * 3600,
	"est": -5 * 3600, "edt": -4 * 3600, "cst": -6 * 3600, "cdt": -5 * 3600, "mst": -7 * 3600, "mdt": -6 * 3600,
	"pst": -8 * 3600, "pdt": -7 * 3600, "akst": -9 * 3600, "akdt": -8 * 3600, "hst": -10 * 3600,
	"aest": 10 * 3600, "aedt": 11 * 3600, "awst": 8 * 3600,
}

// Years in UTC that a date may be in. Postgres and JSON refuse years far outside, and none of a call or a lead is.
const minYear, maxYear = 1900, 2200

var (
	unixSeconds = regexp.MustCompile(`^\d{9,10}(\.\d{1,9})?$`)
	unixMillis  = regexp.MustCompile(`^\d{12,13}$`)
	blanks      = regexp.MustCompile(`\s+`)
)

// readDate reads a date of section 6. assumed tells that its zone was taken from the settings; ok is false for text that is
// empty, zero, an age, or beyond the years that can be stored and answered everywhere.
func (s Settings) readDate(text string) (at time.Time, assumed, ok bool) {
	text = strings.ToLower(blanks.ReplaceAllString(strings.TrimSpace(text), " "))
	if zeroDate(text) || len(text) > 64 {
		return time.Time{}, false, false
	}
	at, assumed, ok = s.parseDate(text)
	at = at.UTC().Truncate(time.Microsecond)
	if !ok || at.Year() < minYear || at.Year() > maxYear {
		return time.Time{}, false, false
	}
	return at, assumed, true
}

func (s Settings) parseDate(text string) (at time.Time, assumed, ok bool) {
	if at, ok := readUnix(text); ok {
		return at, false, true
	}
	if at, err := time.Parse(literalZLayout, text); err == nil {
		if s.TrustLiteralZ {
			return at, false, true
		}
		return inZone(at, s.zone()), true, true
	}
	for _, layout := range localLayouts {
		if wall, err := time.Parse(layout, text); err == nil {
			return inZone(wall, s.zone()), true, true
		}
	}
	upper := strings.ToUpper(text)
	for _, layout := range zonedLayouts {
		if at, err := time.Parse(layout, upper); err == nil {
			return at, false, true
		}
	}
	return s.readVerbose(text)
}

func readUnix(text string) (time.Time, bool) {
	if unixMillis.MatchString(text) {
		ms, err := strconv.ParseInt(text, 10, 64)
		return time.UnixMilli(ms), err == nil
	}
	if !unixSeconds.MatchString(text) {
		return time.Time{}, false
	}
	whole, fraction, _ := strings.Cut(text, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	nanos, err2 := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return time.Unix(sec, nanos), err == nil && err2 == nil
}

// readVerbose reads "Fri Mar 15 14:30:00 MST 2024". Go would take an abbreviation it does not know for UTC.
func (s Settings) readVerbose(text string) (at time.Time, assumed, ok bool) {
	words := strings.Split(text, " ")
	if len(words) != 6 {
		return time.Time{}, false, false
	}
	zone := words[4]
	wall, err := time.Parse(verboseLayout, strings.Join(append(words[:4:4], words[5]), " "))
	if err != nil {
		return time.Time{}, false, false
	}
	if east, known := abbreviations[zone]; known {
		return wall.Add(-time.Duration(east) * time.Second), false, true
	}
	return inZone(wall, s.zone()), true, true
}

// zeroDate tells whether the text is one of the ways to write no date: nothing, 0, 0000-00-00 00:00:00.
func zeroDate(text string) bool { return strings.Trim(text, "0-/:.,tTzZ ") == "" }

// inZone returns the instant at which clocks of the zone show wall (given as if in UTC). A time that the clocks skip is
// shifted forward by what they skip; of a time that they show twice the first is taken.
func inZone(wall time.Time, zone *time.Location) time.Time {
	// A day before and after, the offsets are those on either side of a change.
	_, before := wall.Add(-36 * time.Hour).In(zone).Zone()
	_, after := wall.Add(36 * time.Hour).In(zone).Zone()
	first, second := wall.Add(-time.Duration(max(before, after))*time.Second), wall.Add(-time.Duration(min(before, after))*time.Second)
	for _, at := range []time.Time{first, second} {
		if _, offset := at.In(zone).Zone(); wall.Add(-time.Duration(offset) * time.Second).Equal(at) {
			return at
		}
	}
	return wall.Add(-time.Duration(before) * time.Second)
}
