package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	miami      = "+13055550123"
	newYork    = "+12125550123"
	chicago    = "+13125550123"
	losAngeles = "+12135550123"
	dallas     = "+12145550123"
	providence = "+14015550123"
	pittsburgh = "+14125550123"
	seattle    = "+12065550123"
	phoenix    = "+16025550123"
	honolulu   = "+18085550123"
	anchorage  = "+19075550123"
	tollFree   = "+18005550100"
	toronto    = "+14165550123"
	sydney     = "+61291234567"
	auMobile   = "+61412345678"
	london     = "+442079460958"
)

// TestCallRules asks when a lead may be called, and when next. Times are local to the zone named, and written with their day:
// 1 March 2026 is a Sunday, the clocks of the United States go forward on 8 March and back on 1 November.
func TestCallRules(t *testing.T) {
	t.Parallel()
	rules, err := pipeline.DefaultCallRules()
	if err != nil {
		t.Fatal(err)
	}
	const ny, ch, de, la, ho, syd = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Pacific/Honolulu", "Australia/Sydney"
	for _, tc := range []struct {
		name, zone, at   string
		phone, state, tz string
		next             string // empty = open now; - = no opening in sight
	}{
		// The federal window, on ordinary days.
		{"open at eight", ny, "2026-06-02 08:00", newYork, "", "", ""},
		{"a minute early", ny, "2026-06-02 07:59", newYork, "", "", "2026-06-02 08:00"},
		{"the last minute", ny, "2026-06-02 20:59", newYork, "", "", ""},
		{"closed at nine", ny, "2026-06-02 21:00", newYork, "", "", "2026-06-03 08:00"},
		{"midnight", ny, "2026-06-02 00:00", newYork, "", "", "2026-06-02 08:00"},
		{"noon", la, "2026-06-02 12:00", losAngeles, "", "", ""},
		{"sunday", la, "2026-03-01 12:00", losAngeles, "", "", ""},
		{"the year's last evening", ny, "2026-12-31 21:30", newYork, "", "", "2027-01-01 08:00"},
		// Clocks that change.
		{"night of the skipped hour", ny, "2026-03-07 22:00", newYork, "", "", "2026-03-08 08:00"},
		{"in the morning after it", ny, "2026-03-08 07:59", newYork, "", "", "2026-03-08 08:00"},
		{"the skipped hour itself", ny, "2026-03-08 03:00", newYork, "", "", "2026-03-08 08:00"},
		{"night of the repeated hour", ny, "2026-10-31 22:00", newYork, "", "", "2026-11-01 08:00"},
		{"the repeated hour", ny, "2026-11-01 01:30", newYork, "", "", "2026-11-01 08:00"},
		{"the morning after it", ny, "2026-11-01 08:00", newYork, "", "", ""},
		{"the evening after it", ny, "2026-11-01 20:59", newYork, "", "", ""},
		{"arizona has no summer time", "America/Phoenix", "2026-07-01 08:00", phoenix, "", "", ""},
		{"hawaii neither", ho, "2026-03-08 07:59", honolulu, "", "", "2026-03-08 08:00"},
		{"sydney goes back in april", syd, "2026-04-04 17:30", sydney, "", "", "2026-04-06 09:00"},
		{"sydney goes forward in october", syd, "2026-10-03 16:59", sydney, "", "", ""},
		// Rules of states, by the number's area.
		{"florida closes at eight", ny, "2026-06-02 20:00", miami, "", "", "2026-06-03 08:00"},
		{"florida's last minute", ny, "2026-06-02 19:59", miami, "", "", ""},
		{"texas opens at nine", ch, "2026-06-02 08:30", dallas, "", "", "2026-06-02 09:00"},
		{"texas opens at noon on sundays", ch, "2026-03-01 09:00", dallas, "", "", "2026-03-01 12:00"},
		{"texas on the sunday of the skipped hour", ch, "2026-03-08 11:59", dallas, "", "", "2026-03-08 12:00"},
		{"pennsylvania at half past one on sundays", ny, "2026-03-01 13:00", pittsburgh, "", "", "2026-03-01 13:30"},
		{"rhode island closes at six", ny, "2026-06-02 18:00", providence, "", "", "2026-06-03 09:00"},
		{"rhode island on saturday", ny, "2026-06-06 17:00", providence, "", "", "2026-06-08 09:00"},
		{"rhode island never on sunday", ny, "2026-06-07 12:00", providence, "", "", "2026-06-08 09:00"},
		{"washington closes at eight", la, "2026-06-02 20:30", seattle, "", "", "2026-06-03 08:00"},
		{"illinois goes by the federal rule", ch, "2026-06-02 20:30", chicago, "", "", ""},
		{"an area with two zones waits for the later morning", "America/Adak", "2026-06-02 07:30", anchorage, "", "", "2026-06-02 08:00"},
		{"and ends with the earlier evening", "America/Anchorage", "2026-06-02 21:00", anchorage, "", "", "2026-06-03 09:00"},
		// Stated states.
		{"a stated state's code", ny, "2026-06-02 20:30", newYork, "FL", "", "2026-06-03 09:00"},
		{"a stated state's name", ny, "2026-06-02 20:30", newYork, " florida ", "", "2026-06-03 09:00"},
		{"a state nobody knows", ny, "2026-06-02 20:30", newYork, "Atlantis", "", ""},
		{"utah never on sunday", de, "2026-03-01 12:00", "+18015550123", "UT", "", "2026-03-02 08:00"},
		{"south dakota's earlier zone", ch, "2026-06-02 09:30", "+16055550123", "SD", "", "2026-06-02 10:00"},
		{"kentucky at ten, in both its zones", ny, "2026-06-02 10:30", "", "KY", "", "2026-06-02 11:00"},
		// Numbers kept after a move: both places must agree.
		{"moved west, too early there", ny, "2026-06-02 09:00", newYork, "CA", "", "2026-06-02 11:00"},
		{"moved west, right for both", ny, "2026-06-02 11:00", newYork, "CA", "", ""},
		{"moved west, too late at home", la, "2026-06-02 18:30", newYork, "CA", "", "2026-06-03 08:00"},
		{"moved east, too early at home", ny, "2026-06-02 10:59", losAngeles, "NY", "", "2026-06-02 11:00"},
		{"moved to florida, both rules and both clocks", ny, "2026-06-02 20:01", losAngeles, "FL", "", "2026-06-03 11:00"},
		{"moved to texas on a sunday", ch, "2026-03-01 11:00", newYork, "TX", "", "2026-03-01 13:00"},
		{"moved to hawaii", ho, "2026-06-02 14:59", newYork, "HI", "", ""},
		{"moved to hawaii, night in new york", ho, "2026-06-02 15:01", newYork, "HI", "", "2026-06-03 08:00"},
		// A stated zone is the clock; the rules of the places stay.
		{"a stated zone", la, "2026-06-02 08:00", newYork, "", la, ""},
		{"a stated zone, too early", la, "2026-06-02 07:30", newYork, "", la, "2026-06-02 08:00"},
		{"a stated zone keeps the state's rule", de, "2026-06-02 20:00", miami, "", de, "2026-06-03 08:00"},
		{"a stated zone of no place", ny, "2026-06-02 08:00", newYork, "", "UTC", ""},
		{"an offset is no place", la, "2026-06-02 07:59", losAngeles, "", "Etc/GMT+5", "2026-06-02 08:00"},
		// Unknown places: the strictest.
		{"toll-free waits for a common hour from guam to newfoundland", ny, "2026-06-02 12:00", tollFree, "", "", "2026-06-02 18:00"},
		{"toll-free with a state", ny, "2026-06-02 12:00", tollFree, "NY", "", ""},
		{"toll-free with a zone", ch, "2026-06-02 20:59", tollFree, "", ch, ""},
		{"toll-free with a strict state", ny, "2026-06-02 20:00", tollFree, "FL", "", "2026-06-03 09:00"},
		{"nothing known at all", ny, "2026-06-02 12:00", "", "", "", "-"},
		{"an australian mobile may be on christmas island", syd, "2026-06-02 10:30", auMobile, "", "", "2026-06-02 12:30"},
		// Other countries.
		{"canada opens at nine", "America/Toronto", "2026-06-02 08:30", toronto, "", "", "2026-06-02 09:00"},
		{"canada on saturday", "America/Toronto", "2026-06-06 18:00", toronto, "", "", "2026-06-07 10:00"},
		{"london goes by the federal window", "Europe/London", "2026-06-02 20:59", london, "", "", ""},
		{"london on the day of the skipped hour", "Europe/London", "2026-03-29 07:59", london, "", "", "2026-03-29 08:00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.ParseInLocation("2006-01-02 15:04", tc.at, zone)
			if err != nil {
				t.Fatal(err)
			}
			lead := pipeline.LeadView{Phone: tc.phone, State: tc.state, Timezone: tc.tz}
			if got := rules.Open(lead, at); got != (tc.next == "") {
				t.Errorf("open at %s: %v", at, got)
			}
			want := tc.next
			if want == "" {
				want = tc.at
			}
			next, ok := rules.Next(lead, at)
			got := next.In(zone).Format("2006-01-02 15:04")
			if !ok {
				got = "-"
			}
			if got != want {
				t.Errorf("next opening is %s, want %s", got, want)
			}
			if ok && !rules.Open(lead, next) {
				t.Errorf("closed at the next opening, %s", next)
			}
		})
	}
}

func TestDialCap(t *testing.T) {
	t.Parallel()
	rules, err := pipeline.DefaultCallRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		lead pipeline.LeadView
		want int
	}{
		{pipeline.LeadView{Phone: newYork}, 0},
		{pipeline.LeadView{Phone: miami}, 3},
		{pipeline.LeadView{Phone: newYork, State: "OK"}, 3},
		{pipeline.LeadView{Phone: newYork, SecondPhone: miami}, 3},
		{pipeline.LeadView{}, 0},
	} {
		if got := rules.Cap(tc.lead); got != tc.want {
			t.Errorf("cap of %+v is %d, want %d", tc.lead, got, tc.want)
		}
	}
}

// TestCallRulesRefuseNonsense: a file that is wrong is refused, with the line and the column of every fault.
func TestCallRulesRefuseNonsense(t *testing.T) {
	t.Parallel()
	const head = "place,names,zones,weekdays,saturday,sunday,daily_cap\n"
	const us = "US,,,08:00-21:00,08:00-21:00,08:00-21:00,0\n"
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "place US, is missing"},
		{"no rows", head, "place US, is missing"},
		{"no federal rule", head + "US-FL,Florida,America/New_York,08:00-20:00,08:00-20:00,08:00-20:00,3\n", "place US, is missing"},
		{"other columns", "place,zones\n" + us, "line 1, column 3 (zones): there are 2 columns"},
		{"columns in another order", "place,names,zones,weekdays,sunday,saturday,daily_cap\n" + us, "line 1, column 5 (saturday): the first line"},
		{"no first line", us, "line 1, column 1 (place): the first line"},
		{"too few columns", head + us + "US-FL,Florida\n", "line 3, column 3 (zones): there are 2 columns"},
		{"too many columns", head + "US,,,08:00-21:00,08:00-21:00,08:00-21:00,0,0\n", "line 2, column 8 (after the last one): there are 8 columns"},
		{"after a comment", head + "# why\n" + us + "\nUS-FL,Florida,America/New_York,8-20,closed,closed,3\n", "line 5, column 4 (weekdays): want HH:MM-HH:MM"},
		{"a window across midnight", head + "US,,,20:00-02:00,closed,closed,0\n", "line 2, column 4 (weekdays): the window crosses"},
		{"no window", head + "US,,,08:00-20:00,,closed,0\n", "line 2, column 5 (saturday): want"},
		{"closed in other words", head + "US,,,08:00-20:00,closed,never,0\n", "line 2, column 6 (sunday): want"},
		{"a zone on Mars", head + us + "US-FL,Florida,America/New_York|Mars/Olympus,closed,closed,closed,0\n", "line 3, column 3 (zones): want IANA"},
		{"a zone of no place", head + us + "US-FL,Florida,EST,closed,closed,closed,0\n", "line 3, column 3 (zones): want IANA"},
		{"a state without a zone", head + us + "US-FL,Florida,,closed,closed,closed,0\n", "line 3, column 3 (zones): want IANA"},
		{"no number", head + "US,,,08:00-20:00,closed,closed,many\n", "line 2, column 7 (daily_cap): want"},
		{"below zero", head + "US,,,08:00-20:00,closed,closed,-1\n", "line 2, column 7 (daily_cap): want"},
		{"no place", head + us + "Florida,,America/New_York,closed,closed,closed,0\n", "line 3, column 1 (place): want a country"},
		{"a place twice", head + us + "US,,,07:00-22:00,closed,closed,0\n", "line 3, column 1 (place): the place has a rule"},
		{
			"a name twice", head + us + "US-WA,Washington,America/Los_Angeles,closed,closed,closed,0\nUS-DC,Washington,America/New_York,closed,closed,closed,0\n",
			"line 4, column 2 (names): another state",
		},
		{"a country's name", head + us + "AU,Australia,,closed,closed,closed,0\n", "line 3, column 2 (names): only states"},
		{"a quote that is not closed", head + us + "US-FL,\"Florida,,closed,closed,closed,0\n", "line"},
		{"every fault", head + "US,,,1,2,3,4\n", "column 6 (sunday)"},
	} {
		rules, err := pipeline.ParseCallRules(tc.text)
		if err == nil || rules != nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "call_rules.csv") {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}
