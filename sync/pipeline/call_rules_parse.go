package pipeline

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// callRuleColumns are the columns of call_rules.csv.
var callRuleColumns = []string{"place", "names", "zones", "weekdays", "saturday", "sunday", "daily_cap"}

// Indexes of callRuleColumns.
const (
	columnPlace = iota
	columnNames
	columnZones
	columnWeekdays
	columnSaturday
	columnSunday
	columnCap
)

// callRulesFault is what is wrong with one field of call_rules.csv.
func callRulesFault(line, column int, text string) error {
	name := "after the last one"
	if column < len(callRuleColumns) {
		name = callRuleColumns[column]
	}
	return fmt.Errorf("call_rules.csv, line %d, column %d (%s): %s", line, column+1, name, text)
}

// ParseCallRules reads rules in the form of call_rules.csv: place (US, US-FL, AU), names and zones (separated by |), windows of
// Monday to Friday, Saturday and Sunday (HH:MM-HH:MM or closed), and the dials to one person allowed in 24 hours (0 = any
// number). A row for US, the federal rule, must be there. Windows must not cross midnight. The error names every fault by its line
// and column, one line each: a rule that is read wrong rings people at a bad hour.
func ParseCallRules(text string) (*CallRules, error) {
	file := csv.NewReader(strings.NewReader(text))
	file.Comment, file.FieldsPerRecord = '#', -1
	r := &CallRules{byPlace: map[string]*callRule{}, states: map[string]string{}}
	var faults []error
	for head := true; ; head = false {
		row, err := file.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// It names line and column itself; what comes after a quote that is never closed cannot be read.
			return nil, errors.Join(append(faults, fmt.Errorf("call_rules.csv: %w", err))...)
		}
		line, _ := file.FieldPos(0)
		switch {
		case len(row) != len(callRuleColumns):
			faults = append(faults, callRulesFault(line, min(len(row), len(callRuleColumns)),
				fmt.Sprintf("there are %d columns, want the %d of the first line", len(row), len(callRuleColumns))))
		case head:
			for i, name := range callRuleColumns {
				if row[i] != name {
					faults = append(faults, callRulesFault(line, i, "the first line must name the columns: "+strings.Join(callRuleColumns, ",")))
				}
			}
		default:
			faults = append(faults, r.add(line, row)...)
		}
	}
	if len(faults) == 0 && r.byPlace[federal] == nil {
		faults = append(faults, errors.New("call_rules.csv: the federal rule, place US, is missing"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return r, nil
}

var placeForm = regexp.MustCompile(`^[A-Z]{2}(-[A-Z]{2})?$`)

// add reads one row, and returns all that is wrong with it.
func (r *CallRules) add(line int, row []string) (faults []error) {
	fault := func(column int, text string) { faults = append(faults, callRulesFault(line, column, text)) }
	rule := &callRule{place: row[columnPlace]}
	state, ofState := strings.CutPrefix(rule.place, federal+"-")
	switch {
	case !placeForm.MatchString(rule.place):
		fault(columnPlace, "want a country, or US and a state, such as AU or US-FL")
	case r.byPlace[rule.place] != nil:
		fault(columnPlace, "the place has a rule already")
	}
	names := []string{}
	if ofState {
		names = append(names, state)
	}
	for name := range strings.SplitSeq(row[columnNames], "|") {
		switch {
		case name == "":
		case !ofState:
			fault(columnNames, "only states have names")
		default:
			names = append(names, name)
		}
	}
	for _, name := range names {
		if r.states[strings.ToLower(name)] != "" {
			fault(columnNames, "another state has that code or name")
			continue
		}
		r.states[strings.ToLower(name)] = rule.place
	}
	for name := range strings.SplitSeq(row[columnZones], "|") {
		zone := placeZone(name)
		switch {
		case name == "" && !ofState:
		case zone == nil:
			fault(columnZones, "want IANA zones of places, such as America/Chicago; a state has at least one")
		default:
			rule.zones = append(rule.zones, zone)
		}
	}
	for column := columnWeekdays; column <= columnSunday; column++ {
		w, err := parseRuleWindow(row[column])
		if err != nil {
			fault(column, err.Error())
		}
		rule.put(column, w)
	}
	var err error
	if rule.dailyCap, err = strconv.Atoi(row[columnCap]); err != nil || rule.dailyCap < 0 {
		fault(columnCap, "want a whole number, 0 for any")
	}
	r.byPlace[rule.place] = rule
	return faults
}

// parseRuleWindow reads a window, or closed.
func parseRuleWindow(text string) (CallWindow, error) {
	if text == "closed" {
		return CallWindow{}, nil
	}
	w, err := ParseCallWindow(text)
	if err != nil {
		return w, errors.New("want HH:MM-HH:MM within a day, such as 08:00-21:00, or closed")
	}
	if w.To < w.From {
		return w, errors.New("the window crosses midnight")
	}
	return w, nil
}

// put sets the window of the days that a column is about.
func (c *callRule) put(column int, w CallWindow) {
	switch column {
	case columnWeekdays:
		for d := time.Monday; d <= time.Friday; d++ {
			c.byDay[d] = w
		}
	case columnSaturday:
		c.byDay[time.Saturday] = w
	default:
		c.byDay[time.Sunday] = w
	}
}
