package pipeline

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Call is one call, folded from everything told of it.
type Call struct {
	Key CallKey
	// Lead is the index of its lead in Result.Leads, -1 when no record names a known lead; LeadRule says by which kind
	// of key it was found.
	Lead     int `json:"-"`
	LeadRule string

	Direction            Direction
	Campaign             string
	Agent                AgentRef
	FromNumber, ToNumber string
	StartedAt            time.Time
	AnsweredAt           time.Time
	EndedAt              time.Time
	TalkSeconds          *int
	// Disposition is the outcome by the rules, DispositionRaw the dialler's own code.
	Disposition      string
	DispositionRaw   string
	DispositionName  string
	Contacted        bool
	RecordingURL     string
	RecordingDeleted *bool
	Notes            string
	ParentExternalID string
	RootExternalID   string
	// GivenID is the id as a client of our API gave it, where that is another text.
	GivenID string `json:",omitempty"`
	// Codes is whose vocabulary DispositionRaw belongs to; empty = the dialler's.
	Codes Source `json:",omitempty"`
	// OccurredAt is the start, else the earliest time known.
	OccurredAt time.Time
	Events     []ToldEvent
	// Provenance names the records that tell of the call.
	Provenance []string
}

// ToldEvent is a step of a call with the record that told it.
type ToldEvent struct {
	CallEvent
	ToldBy string
	// ToldAt is when that record was first seen (UTC).
	ToldAt time.Time
	// order is the place of the record that told it, weakest first: it decides between steps of the same moment.
	order int
}

// contactedAt is when the conversation began, as well as it is known.
func (c *Call) contactedAt() time.Time {
	if !c.AnsweredAt.IsZero() {
		return c.AnsweredAt
	}
	return c.OccurredAt
}

// callRef is a lead reference with the record that made it.
type callRef struct{ keys []Key }

// foldCalls merges call facts, weakest first, so that the strongest word on each attribute stands.
func foldCalls(told []Told, g *groups, rules Rules) []Call {
	calls := map[CallKey]*Call{}
	refs := map[CallKey][]callRef{}
	for i := range told {
		t := &told[i]
		for j := range t.Facts.Calls {
			fact := &t.Facts.Calls[j]
			c := calls[fact.Key]
			if c == nil {
				c = &Call{Key: fact.Key, Lead: -1}
				calls[fact.Key] = c
			}
			c.take(fact)
			c.tell(t, fact, i)
			if len(fact.Lead) > 0 {
				refs[fact.Key] = append(refs[fact.Key], callRef{fact.Lead})
			}
		}
	}
	out := make([]Call, 0, len(calls))
	for _, key := range slices.SortedFunc(maps.Keys(calls), CallKey.Compare) {
		c := calls[key]
		c.finish(rules.Dispositions)
		c.Lead, c.LeadRule = g.resolve(refs[key])
		out = append(out, *c)
	}
	return out
}

// take lets a stronger fact overrule what weaker ones said, where it says something.
func (c *Call) take(f *CallFact) {
	c.Direction = cmp.Or(f.Direction, c.Direction)
	c.Campaign = cmp.Or(f.Campaign, c.Campaign)
	c.Agent = c.Agent.overruled(f.Agent)
	c.FromNumber = cmp.Or(f.FromNumber, c.FromNumber)
	c.ToNumber = cmp.Or(f.ToNumber, c.ToNumber)
	if f.Disposition != "" && f.Disposition != c.DispositionRaw {
		// The words belong to the code: another code does not keep them.
		c.DispositionRaw, c.DispositionName = f.Disposition, ""
	}
	if f.Disposition != "" {
		c.Codes = f.Codes
	}
	c.DispositionName = cmp.Or(f.DispositionName, c.DispositionName)
	c.RecordingURL = cmp.Or(f.RecordingURL, c.RecordingURL)
	c.Notes = cmp.Or(f.Notes, c.Notes)
	c.GivenID = cmp.Or(f.GivenID, c.GivenID)
	c.ParentExternalID = cmp.Or(f.ParentExternalID, c.ParentExternalID)
	c.RootExternalID = cmp.Or(f.RootExternalID, c.RootExternalID)
	c.TalkSeconds = cmp.Or(f.TalkSeconds, c.TalkSeconds)
	c.RecordingDeleted = cmp.Or(f.RecordingDeleted, c.RecordingDeleted)
	takeTime(&c.StartedAt, f.StartedAt)
	takeTime(&c.AnsweredAt, f.AnsweredAt)
	takeTime(&c.EndedAt, f.EndedAt)
}

// overruled is the agent after a stronger word. Name and e-mail belong to the id: another agent does not keep them.
// The dialler knows best whose call it was: an agent that somebody else names never displaces one of its own.
func (a AgentRef) overruled(by AgentRef) AgentRef {
	switch {
	case by.ID == "" || a.ID == "":
	case by.foreign() && !a.foreign():
		return a
	case by.ID != a.ID || by.Source != a.Source || by.Account != a.Account:
		return by
	}
	who := a
	if by.ID != "" {
		who = by
	}
	who.Name, who.Email = cmp.Or(by.Name, a.Name), cmp.Or(by.Email, a.Email)
	return who
}

// foreign tells whether another than the call's dialler names the agent.
func (a AgentRef) foreign() bool { return a.Source != "" }

func takeTime(to *time.Time, from time.Time) {
	if !from.IsZero() {
		*to = from.UTC()
	}
}

// tell adds the record's events, each step once, and its name.
func (c *Call) tell(t *Told, f *CallFact, order int) {
	c.Events = slices.Grow(c.Events, len(f.Events))
	for _, e := range f.Events {
		if e.OccurredAt.IsZero() {
			e.OccurredAt = t.Stamp.At
		}
		// The pipeline keeps microseconds: steps that differ by less are one.
		e.OccurredAt = e.OccurredAt.UTC().Truncate(time.Microsecond)
		told := ToldEvent{CallEvent: e, ToldBy: t.Ref, ToldAt: t.FirstSeenAt, order: order}
		if i := slices.IndexFunc(c.Events, told.same); i >= 0 {
			c.Events[i].complete(&told)
		} else {
			c.Events = append(c.Events, told)
		}
	}
	c.Provenance = append(c.Provenance, t.Ref)
	if at := earliest(f.StartedAt, f.AnsweredAt, f.EndedAt); !at.IsZero() {
		c.OccurredAt = earliest(c.OccurredAt, at)
	} else if c.OccurredAt.IsZero() {
		c.OccurredAt = t.Stamp.At
	}
}

// same tells whether two events are one step of a call, whoever told it.
func (e ToldEvent) same(o ToldEvent) bool {
	return e.Type == o.Type && e.OccurredAt.Equal(o.OccurredAt) && e.Disposition == o.Disposition
}

// complete adds what another record tells of the same step beside.
func (e *ToldEvent) complete(o *ToldEvent) {
	if e.Agent.ID == "" {
		e.Agent = o.Agent
	}
	e.Direction, e.Notes, e.Seconds = cmp.Or(e.Direction, o.Direction), cmp.Or(e.Notes, o.Notes), cmp.Or(e.Seconds, o.Seconds)
	if len(e.Metadata) == 0 {
		e.Metadata = o.Metadata
	}
}

// finish derives what follows from the whole of the facts.
func (c *Call) finish(rules *Dispositions) {
	slices.Sort(c.Provenance)
	c.Provenance = slices.Compact(c.Provenance)
	slices.SortStableFunc(c.Events, func(a, b ToldEvent) int {
		return cmp.Or(a.OccurredAt.Compare(b.OccurredAt), cmp.Compare(a.order, b.order))
	})
	if !c.StartedAt.IsZero() {
		c.OccurredAt = c.StartedAt
	}
	c.Contacted = !c.AnsweredAt.IsZero()
	if c.DispositionRaw != "" {
		rule, mapped := rules.Of(cmp.Or(c.Codes, c.Key.Dialler), c.DispositionRaw)
		c.Disposition = rule.Outcome
		if mapped && !rule.AsAnswered {
			c.Contacted = rule.Contacted
		}
	}
	if c.RecordingDeleted != nil && *c.RecordingDeleted {
		c.RecordingURL = ""
	}
}

// earliest returns the least of the times that are set.
func earliest(times ...time.Time) time.Time {
	var least time.Time
	for _, t := range times {
		if !t.IsZero() && (least.IsZero() || t.Before(least)) {
			least = t
		}
	}
	return least.UTC()
}

// resolve finds a call's lead: by the strongest word's strong key, else by a phone that only one lead holds.
func (g *groups) resolve(refs []callRef) (lead int, rule string) {
	for _, ref := range slices.Backward(refs) {
		for _, k := range ref.keys {
			if i, ok := g.byStrong[k]; ok && k.Strong() {
				return i, string(k.Kind)
			}
		}
	}
	for _, ref := range slices.Backward(refs) {
		for _, k := range ref.keys {
			if k.Kind != KeyPhone || g.shared[k.Value] {
				continue
			}
			if leads := g.byPhone[k.Value]; len(leads) == 1 {
				return leads[0], string(k.Kind)
			}
		}
	}
	return -1, ""
}

// DisposedAt is when the call's disposition was told last, as well as it is known.
func (c *Call) DisposedAt() time.Time {
	var at time.Time
	for _, e := range c.Events {
		if (e.Type == EventDisposition || e.Disposition != "") && e.OccurredAt.After(at) {
			at = e.OccurredAt
		}
	}
	if !at.IsZero() {
		return at
	}
	return cmp.Or(c.EndedAt, c.OccurredAt)
}
