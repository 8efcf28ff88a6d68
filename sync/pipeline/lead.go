package pipeline

import (
	"cmp"
	"encoding/json"
	"maps"
	"time"
)

// Lead is one lead, folded from everything told of it.
type Lead struct {
	// Keys are sorted; the least strong one, or the phone, orders leads among each other.
	Keys   []LinkedKey
	Fields map[Field]Won
	// Phones are the valid phones, shared ones left out.
	Phones []string

	CreatedAt       time.Time
	FirstSourceTime time.Time
	Stage           string
	StageChangedAt  time.Time
	// Stages are the steps that led to Stage, by time.
	Stages          []StageChange `json:",omitempty"`
	LastContactedAt time.Time
	Attempts        int
	FirstDialledAt  time.Time
	FirstAnsweredAt time.Time

	DNC       bool
	DNCReason string
	DNCAt     time.Time

	// Namesakes tells that parts of the lead which only a phone ties together have different names: it may be two people.
	Namesakes bool `json:",omitempty"`
}

// Won is the value of a field and who told it.
type Won struct {
	Value  string    `json:"value"`
	Source Source    `json:"source"`
	At     time.Time `json:"source_time"`
}

// foldLeads makes the leads. Facts come weakest first, so the last word on a field stands.
func foldLeads(told []Told, g *groups, calls []Call, dnc *optOuts, rules Rules) []Lead {
	leads := make([]Lead, len(g.list))
	set := make([][]stageMove, len(g.list))
	for i := range g.list {
		group := &g.list[i]
		lead := &leads[i]
		lead.Keys, lead.Phones, lead.Fields = group.keys, group.phones, map[Field]Won{}
		ours, names := echoes{}, namesByPart{}
		for _, ref := range group.facts {
			ours.add(&told[ref.told], &told[ref.told].Facts.Leads[ref.fact])
		}
		for _, ref := range group.facts {
			t := &told[ref.told]
			fact := &t.Facts.Leads[ref.fact]
			lead.take(t, fact, ours)
			lead.Namesakes = lead.Namesakes || names.other(ref.part, fact)
			if fact.Stage != "" {
				set[i] = append(set[i], stageMove{at: t.Stamp.At, stage: fact.Stage, by: &Chooser{Source: t.Stamp.Source}})
			}
		}
		if out, ok := dnc.ofLead(i, group); ok {
			lead.DNC, lead.DNCReason, lead.DNCAt = true, out.Reason, out.Since
		}
	}
	takeCalls(leads, calls, set, rules.Dispositions)
	return leads
}

func (l *Lead) take(t *Told, f *LeadFact, ours echoes) {
	for field, value := range f.Fields {
		value, own := ours.without(t.Stamp, field, value)
		if !own {
			continue
		}
		won := Won{Value: value, Source: t.Stamp.Source, At: t.Stamp.At}
		if field == FieldCustom && !f.Replace {
			won.Value = mergeObjects(l.Fields[field].Value, value)
		}
		l.Fields[field] = won
	}
	created := f.CreatedAt
	if created.IsZero() || created.After(t.Stamp.At) {
		created = t.Stamp.At
	}
	l.CreatedAt = earliest(l.CreatedAt, created)
	l.FirstSourceTime = l.CreatedAt
}

// mergeObjects overlays one JSON object with another, key by key: each source knows its own custom fields only.
func mergeObjects(weak, strong string) string {
	merged, over := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	// What is not an object says nothing here; it stays readable in the record.
	_ = json.Unmarshal([]byte(weak), &merged)
	if json.Unmarshal([]byte(strong), &over) != nil {
		return weak
	}
	maps.Copy(merged, over)
	text, err := json.Marshal(merged)
	if err != nil {
		return weak
	}
	return string(text)
}

// takeCalls derives stage, last contact and attempts from the whole set of each lead's calls, by occurred time. set are the
// moves that somebody made by hand.
func takeCalls(leads []Lead, calls []Call, set [][]stageMove, rules *Dispositions) {
	moves := make([][]stageMove, len(leads))
	for i := range calls {
		c := &calls[i]
		if c.Lead < 0 {
			continue
		}
		l := &leads[c.Lead]
		moves[c.Lead] = append(moves[c.Lead], c.moves(rules)...)
		if c.Direction == Outbound {
			l.Attempts++
			l.FirstDialledAt = earliest(l.FirstDialledAt, c.OccurredAt)
		}
		l.FirstAnsweredAt = earliest(l.FirstAnsweredAt, c.AnsweredAt)
		if c.Contacted && c.contactedAt().After(l.LastContactedAt) {
			l.LastContactedAt = c.contactedAt()
		}
	}
	for i := range leads {
		l := &leads[i]
		l.Stage, l.StageChangedAt, l.Stages = stageOf(l.CreatedAt, append(moves[i], set[i]...))
	}
}

// DialPhone returns the number to dial in E.164: the phone field where it is valid, else the first valid phone known,
// shared ones included; empty when there is none.
func (l *Lead) DialPhone() string {
	first, told := "", ""
	for _, k := range l.Keys {
		if k.Kind != KeyPhone {
			continue
		}
		switch k.Value {
		case l.Fields[FieldPhone].Value:
			return k.Value
		case l.Fields[FieldDialPhone].Value:
			told = k.Value
		}
		if first == "" {
			first = k.Value
		}
	}
	return cmp.Or(told, first)
}
