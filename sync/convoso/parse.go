package convoso

import "fmt"

// Parse returns every fact that a post holds, each with its own identity, what the post mainly is first. It looks at nothing
// but its arguments and never panics. Its errors wrap ErrUnparsable or ErrUnrecognised and quote nothing of the post.
func (s Settings) Parse(p Post) ([]Fact, error) {
	told, err := s.told(p)
	if err != nil {
		return nil, err
	}
	return s.facts(p, told)
}

// Look returns how many facts Parse would return and the opt-outs among them. It makes no more of a post than that: it is on the
// way of every answer, and the drain parses the post again. Its errors are Parse's.
func (s Settings) Look(p Post) (count int, optOuts []Suppression, err error) {
	told, err := s.told(p)
	if err != nil {
		return 0, nil, err
	}
	if len(told) > 1 {
		// Several objects may tell a fact twice.
		facts, err := s.facts(p, told)
		return len(facts), s.Suppressions(facts), err
	}
	for i := range told[0] {
		v := &told[0][i]
		if v.kind != TypeDNC {
			continue
		}
		f, err := s.fact(p, v)
		if err != nil {
			return 0, nil, err
		}
		optOuts = append(optOuts, s.Suppressions([]Fact{f})...)
	}
	return len(told[0]), optOuts, nil
}

// told returns what each object of a post tells; at least one tells something.
func (s Settings) told(p Post) ([][]view, error) {
	sel, data := urlSelector(p)
	p.Query = data
	objects, err := readPost(p)
	if err != nil {
		return nil, fmt.Errorf("reading a convoso post: %w", err)
	}
	var told [][]view
	for _, pairs := range objects {
		r := resolve(pairs, s.keys())
		if !r.says() {
			continue
		}
		var views []view
		for _, found := range s.detect(pairs, r, sel) {
			views = append(views, view{reading: r, settings: s, kind: found.kind, state: found.state, reason: found.reason})
		}
		if len(views) > 0 {
			told = append(told, views)
		}
	}
	if len(told) == 0 {
		return nil, fmt.Errorf("sorting a convoso post: %w", ErrUnrecognised)
	}
	return told, nil
}

func (s Settings) facts(p Post, told [][]view) ([]Fact, error) {
	var facts []Fact
	for _, views := range told {
		for i := range views {
			f, err := s.fact(p, &views[i])
			if err != nil {
				return nil, err
			}
			facts = put(facts, f)
		}
	}
	return facts, nil
}

// says tells whether there is anything beside event names and credentials.
func (r reading) says() bool {
	if len(r.fields) > 0 {
		return true
	}
	for _, value := range r.unmapped {
		if _, name := selects(value); value != "" && value != mask && !name {
			return true
		}
	}
	return false
}

// put adds a fact, in place of an earlier one with the same identity: a list of objects says it as if posted one by one.
func put(facts []Fact, f Fact) []Fact {
	for i := range facts {
		if facts[i].Stream == f.Stream && facts[i].ObjectID == f.ObjectID {
			facts[i] = f
			return facts
		}
	}
	return append(facts, f)
}

func (s Settings) fact(p Post, v *view) (Fact, error) {
	payload, err := v.encode()
	if err != nil {
		return Fact{}, err
	}
	id := v.objectID(payload, p.ReceivedAt)
	row, err := v.row(id, p.ReceivedAt)
	if err != nil {
		return Fact{}, err
	}
	when := v.occurred()
	return Fact{
		Stream:      streamOf(v.kind),
		ObjectID:    id,
		Type:        v.kind,
		State:       v.state,
		Payload:     payload,
		SourceTime:  when.at,
		ZoneAssumed: when.assumed,
		Row:         row,
	}, nil
}
