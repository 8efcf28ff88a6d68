package jobs

import (
	"strconv"
	"strings"

	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// StreamInfo is what is known of a stream without an account: what an operator may ask of it.
type StreamInfo struct {
	Name       string
	Capability walk.Capability
	// Filters are the list's own, by the vendor's names.
	Filters []Filter
}

// Filter is a filter of a list.
type Filter struct {
	Name string
	// Kind says how its value is written.
	Kind FilterKind
}

// FilterKind is how the value of a filter is written.
type FilterKind string

// The kinds of filters.
const (
	FilterNumber  FilterKind = "a whole number"
	FilterBoolean FilterKind = "true or false"
	FilterPhone   FilterKind = "a phone number in E.164 form, such as +61400111222"
	FilterText    FilterKind = "some text"
)

// Accepts tells whether a value has the filter's form.
func (f Filter) Accepts(value string) bool {
	switch f.Kind {
	case FilterNumber:
		_, err := strconv.ParseUint(value, 10, 63)
		return err == nil
	case FilterBoolean:
		return value == "true" || value == "false"
	case FilterPhone:
		digits, ok := strings.CutPrefix(value, "+")
		return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
	case FilterText:
	}
	return value != ""
}

// Filter returns the stream's filter of that name.
func (s StreamInfo) Filter(name string) (Filter, bool) {
	for _, f := range s.Filters {
		if f.Name == name {
			return f, true
		}
	}
	return Filter{}, false
}

func numbers(names ...string) []Filter {
	filters := make([]Filter, len(names))
	for i, name := range names {
		filters[i] = Filter{name, FilterNumber}
	}
	return filters
}

// Catalog lists the streams of a source that can be read on an operator's order, false for a source that has none.
func Catalog(source pipeline.Source) ([]StreamInfo, bool) {
	switch source {
	case pipeline.SourceIPSCAPE:
		var catalog []StreamInfo
		for _, l := range ipscapeLists() {
			catalog = append(catalog, l.StreamInfo)
		}
		return catalog, true
	case pipeline.SourceConvoso:
		return []StreamInfo{{Name: convoso.StreamCallLog, Capability: walk.Created}}, true
	case pipeline.SourceLendWorks:
		return []StreamInfo{{Name: lendworks.StreamLeads, Capability: walk.Created}}, true
	default:
		return nil, false
	}
}

// Sources are those that Catalog knows, in the order in which they are told of.
func Sources() []pipeline.Source {
	return []pipeline.Source{pipeline.SourceIPSCAPE, pipeline.SourceConvoso, pipeline.SourceLendWorks}
}

// Backfillable tells whether windows of a source's streams can be asked for. LendWorks' list has no times to ask for: every
// window would be read from the newest lead on.
func Backfillable(source pipeline.Source) bool {
	return source == pipeline.SourceIPSCAPE || source == pipeline.SourceConvoso
}

// Chosen returns the named streams of a catalogue, all for no names, without repeats; unknown are the names of none.
func Chosen(catalog []StreamInfo, names []string) (chosen []StreamInfo, unknown []string) {
	if len(names) == 0 {
		return catalog, nil
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, s := range catalog {
		if wanted[s.Name] {
			chosen = append(chosen, s)
			delete(wanted, s.Name)
		}
	}
	for _, name := range names {
		if wanted[name] {
			unknown = append(unknown, name)
			delete(wanted, name)
		}
	}
	return chosen, unknown
}
