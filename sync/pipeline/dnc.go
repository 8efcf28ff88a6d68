package pipeline

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// DoNotCall is the state of one phone that somebody opted out.
type DoNotCall struct {
	Phone string
	// Reason, Source, Since and Evidence tell of the earliest opt-out that holds, or of the last one lifted.
	Reason   string
	Source   Source
	Since    time.Time
	Evidence string
	// LiftedAt is when the last opt-out was lifted; zero = one holds.
	LiftedAt time.Time
	// Lifts counts the lifts told so far: an opt-out after a lift is a new one.
	Lifts int
}

// Active tells whether the phone must not be called.
func (d *DoNotCall) Active() bool { return d.LiftedAt.IsZero() }

// optOut is one told opt-out or lift.
type optOut struct {
	fact      DNCFact
	ref       string
	source    Source
	since     time.Time
	firstSeen time.Time
}

// optOuts collects what was told per phone and per lead.
type optOuts struct {
	byPhone map[string][]optOut
	byLead  map[int][]optOut
}

// foldDNC sorts opt-outs to phones and leads. One that names only a vendor's lead counts for the lead and for each of its
// phones that no other lead shares beyond the linking limit.
func foldDNC(told []Told, g *groups) *optOuts {
	o := &optOuts{byPhone: map[string][]optOut{}, byLead: map[int][]optOut{}}
	for i := range told {
		t := &told[i]
		for _, fact := range t.Facts.DNC {
			since := fact.Since
			if since.IsZero() {
				since = t.Stamp.At
			}
			entry := optOut{fact: fact, ref: t.Ref, source: t.Stamp.Source, since: since.UTC(), firstSeen: t.FirstSeenAt}
			if fact.Phone != "" {
				o.byPhone[fact.Phone] = append(o.byPhone[fact.Phone], entry)
			}
			for _, lead := range g.named(fact.Lead) {
				o.byLead[lead] = append(o.byLead[lead], entry)
				if fact.Phone == "" {
					for _, phone := range g.list[lead].phones {
						o.byPhone[phone] = append(o.byPhone[phone], entry)
					}
				}
			}
		}
	}
	return o
}

// named returns the leads that strong keys name, each once.
func (g *groups) named(keys []Key) []int {
	var leads []int
	for _, k := range keys {
		if i, ok := g.byStrong[k]; ok && k.Strong() && !slices.Contains(leads, i) {
			leads = append(leads, i)
		}
	}
	return leads
}

// rows returns the state of every phone that has an opt-out, by phone.
func (o *optOuts) rows() []DoNotCall {
	var rows []DoNotCall
	for _, phone := range slices.Sorted(maps.Keys(o.byPhone)) {
		if row, ok := settle(o.byPhone[phone]); ok {
			row.Phone = phone
			rows = append(rows, row)
		}
	}
	return rows
}

// settle decides whether opt-outs hold. A lift cancels those first seen before it, by identity, so that reading an old
// one again does not bring it back (law 6).
func settle(entries []optOut) (DoNotCall, bool) {
	var lifts, outs []optOut
	for _, e := range entries {
		if e.fact.Lift {
			lifts = append(lifts, e)
		} else {
			outs = append(outs, e)
		}
	}
	if len(outs) == 0 {
		return DoNotCall{}, false
	}
	row := DoNotCall{Lifts: len(lifts)}
	var holding, lifted []optOut
	var last time.Time
	for _, out := range outs {
		at := liftOf(out, lifts)
		switch {
		case at.IsZero():
			holding = append(holding, out)
		case at.After(last):
			last, lifted = at, []optOut{out}
		case at.Equal(last):
			lifted = append(lifted, out)
		}
	}
	chosen := lifted
	if len(holding) > 0 {
		chosen = holding
	} else {
		row.LiftedAt = last
	}
	first := slices.MinFunc(chosen, func(a, b optOut) int {
		return cmp.Or(a.since.Compare(b.since), -cmp.Compare(a.source.rank(), b.source.rank()), strings.Compare(a.ref, b.ref))
	})
	row.Reason, row.Source, row.Since, row.Evidence = first.fact.Reason, first.source, first.since, first.ref
	return row, true
}

// liftOf returns when an opt-out was lifted, zero when it holds.
func liftOf(out optOut, lifts []optOut) time.Time {
	var at time.Time
	for _, l := range lifts {
		if l.firstSeen.After(out.firstSeen) {
			at = earliest(at, l.firstSeen)
		}
	}
	return at
}

// ofLead returns the opt-out that holds for a lead or one of its phones.
func (o *optOuts) ofLead(index int, group *leadGroup) (DoNotCall, bool) {
	entries := slices.Clone(o.byLead[index])
	var found DoNotCall
	ok := false
	consider := func(row DoNotCall, has bool) {
		if has && row.Active() && (!ok || row.Since.Before(found.Since)) {
			found, ok = row, true
		}
	}
	consider(settle(entries))
	for _, k := range group.keys {
		if k.Kind == KeyPhone {
			consider(settle(o.byPhone[k.Value]))
		}
	}
	return found, ok
}
