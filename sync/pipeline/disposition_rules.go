package pipeline

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// DispositionRule is what one code of a dialler means.
type DispositionRule struct {
	Source Source
	// Code is in upper case.
	Code string
	Disposition
}

// With returns the rules overlaid with given ones; the receiver stays as it is, and nil stands for the built-in rules.
func (d *Dispositions) With(given []DispositionRule) *Dispositions {
	if d == nil {
		d = DefaultDispositions()
	}
	if len(given) == 0 {
		return d
	}
	out := &Dispositions{byCode: make(map[Source]map[string]Disposition, len(d.byCode))}
	for source, codes := range d.byCode {
		out.byCode[source] = maps.Clone(codes)
	}
	for _, r := range given {
		if out.byCode[r.Source] == nil {
			out.byCode[r.Source] = map[string]Disposition{}
		}
		out.byCode[r.Source][strings.ToUpper(r.Code)] = r.Disposition
	}
	return out
}

// List returns all rules by source and code; nil stands for the built-in rules.
func (d *Dispositions) List() []DispositionRule {
	if d == nil {
		d = DefaultDispositions()
	}
	var list []DispositionRule
	for source, codes := range d.byCode {
		for code, rule := range codes {
			list = append(list, DispositionRule{source, code, rule})
		}
	}
	slices.SortFunc(list, func(a, b DispositionRule) int {
		return cmp.Or(strings.Compare(string(a.Source), string(b.Source)), strings.Compare(a.Code, b.Code))
	})
	return list
}
