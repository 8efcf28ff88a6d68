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
	// liftedAt is when it was lifted, at whichever of its phones or leads; zero = it holds.
	liftedAt time.Time
}

// optOuts collects what was told per phone and per lead. A fact that counts at several of them is one entry at each.
type optOuts struct {
	byPhone map[string][]*optOut
	byLead  map[int][]*optOut
}

// foldDNC sorts opt-outs to phones and leads. One that names only a vendor's lead counts for the lead and for each of its
// phones that no other lead shares beyond the linking limit. One that names only a call counts as if it named the call's
// lead; of a call without a lead, for the number at its other end.
func foldDNC(told []Told, g *groups, calls []Call) *optOuts {
	o := &optOuts{byPhone: map[string][]*optOut{}, byLead: map[int][]*optOut{}}
	for i := range told {
		t := &told[i]
		for _, fact := range t.Facts.DNC {
			since := fact.Since
			if since.IsZero() {
				since = t.Stamp.At
			}
			entry := &optOut{fact: fact, ref: t.Ref, source: t.Stamp.Source, since: since.UTC(), firstSeen: t.FirstSeenAt}
			if fact.Phone != "" {
				o.byPhone[fact.Phone] = append(o.byPhone[fact.Phone], entry)
			}
			leads := g.named(fact.Lead)
			if c := callOf(calls, fact.Call); c != nil {
				switch {
				case c.Lead >= 0 && !slices.Contains(leads, c.Lead):
					leads = append(leads, c.Lead)
				case c.Lead < 0 && fact.Phone == "":
					for _, phone := range customerPhones(told, c) {
						o.byPhone[phone] = append(o.byPhone[phone], entry)
					}
				}
			}
			for _, lead := range leads {
				o.byLead[lead] = append(o.byLead[lead], entry)
				if fact.Phone == "" {
					for _, phone := range g.list[lead].phones {
						o.byPhone[phone] = append(o.byPhone[phone], entry)
					}
				}
			}
		}
	}
	for _, entries := range o.byPhone {
		lift(entries)
	}
	for _, entries := range o.byLead {
		lift(entries)
	}
	return o
}

// lift marks the opt-outs of one phone or lead that a lift there cancels: those first seen before it, by identity, so that
// reading an old one again does not bring it back (law 6). An opt-out is one fact wherever it counts: lifted at a phone it
// is lifted for the lead that it named too, and the other way round.
func lift(entries []*optOut) {
	for _, l := range entries {
		if !l.fact.Lift {
			continue
		}
		for _, out := range entries {
			if !out.fact.Lift && l.firstSeen.After(out.firstSeen) {
				out.liftedAt = earliest(out.liftedAt, l.firstSeen)
			}
		}
	}
}

// callOf finds a call among those folded, which are sorted by key; nil when the key is none or nobody told of it.
func callOf(calls []Call, key CallKey) *Call {
	if key == (CallKey{}) {
		return nil
	}
	i, ok := slices.BinarySearchFunc(calls, key, func(c Call, k CallKey) int { return c.Key.Compare(k) })
	if !ok {
		return nil
	}
	return &calls[i]
}

// customerPhones returns the number at the other end of a call, by its direction. Where that tells none it returns the
// numbers by which its records refer to the lead: they link no lead when too many share them, yet somebody there opted out.
func customerPhones(told []Told, c *Call) []string {
	number := ""
	switch c.Direction {
	case Outbound:
		number = c.ToNumber
	case Inbound:
		number = c.FromNumber
	}
	if p := ParsePhone(number, ""); p.Valid && p.E164 == number {
		return []string{number}
	}
	var phones []string
	for i := range told {
		for j := range told[i].Facts.Calls {
			fact := &told[i].Facts.Calls[j]
			if fact.Key != c.Key {
				continue
			}
			for _, k := range fact.Lead {
				if k.Kind == KeyPhone && k.Value != "" && !slices.Contains(phones, k.Value) {
					phones = append(phones, k.Value)
				}
			}
		}
	}
	return phones
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

// settle decides whether opt-outs hold.
func settle(entries []*optOut) (DoNotCall, bool) {
	row := DoNotCall{}
	outs := 0
	var holding, lifted []*optOut
	var last time.Time
	for _, e := range entries {
		if e.fact.Lift {
			row.Lifts++
			continue
		}
		outs++
		switch at := e.liftedAt; {
		case at.IsZero():
			holding = append(holding, e)
		case at.After(last):
			last, lifted = at, []*optOut{e}
		case at.Equal(last):
			lifted = append(lifted, e)
		}
	}
	if outs == 0 {
		return DoNotCall{}, false
	}
	if row.Lifts == 0 && !last.IsZero() {
		row.Lifts = 1 // elsewhere
	}
	chosen := lifted
	if len(holding) > 0 {
		chosen = holding
	} else {
		row.LiftedAt = last
	}
	first := slices.MinFunc(chosen, func(a, b *optOut) int {
		return cmp.Or(a.since.Compare(b.since), -cmp.Compare(a.source.rank(), b.source.rank()), strings.Compare(a.ref, b.ref))
	})
	row.Reason, row.Source, row.Since, row.Evidence = first.fact.Reason, first.source, first.since, first.ref
	return row, true
}

// ofLead returns the opt-out that holds for a lead or one of its phones.
func (o *optOuts) ofLead(index int, group *leadGroup) (DoNotCall, bool) {
	entries := o.byLead[index]
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
