package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// region is a folded region about to be compared with the tables. Regions may overlap where many share a phone: what another
// one compared is left out.
type region struct {
	c *comparison
	f *folded
	// byKey, byIdentity and byRef find a record of the region: by a key that it names, by the key that names its lead, and by
	// its own name.
	byKey      map[keyName]int64
	byIdentity map[string]int64
	byRef      map[string]int64
	// names are the leads' names by id, of those folded and of those stored.
	names map[uuid.UUID]string
}

func newRegion(c *comparison, f *folded) *region {
	g := &region{
		c: c, f: f, byKey: map[keyName]int64{}, byIdentity: map[string]int64{}, byRef: map[string]int64{}, names: map[uuid.UUID]string{},
	}
	for _, id := range slices.Sorted(maps.Keys(f.region.have)) {
		g.byRef[f.told[id].Ref] = id
		for k := range f.region.have[id] {
			if _, ok := g.byKey[k.keyName]; !ok || k.Role == roleLead || k.Role == roleCall {
				g.byKey[k.keyName] = id
			}
			if k.Role == roleLead {
				g.byIdentity[k.Identity] = id
			}
		}
	}
	for i := range f.result.Leads {
		g.names[f.ids.IDs[i]] = nameOfKeys(f.result.Leads[i].Keys)
	}
	return g
}

// first tells whether no region before this one held the record.
func (g *region) first(id int64) bool { return id == 0 || !g.c.visited.has(id) }

func (g *region) differs(seed int64, d Difference) error {
	if seed != 0 {
		g.c.seeds[seed] = true
	} else {
		for id := range g.f.seeds {
			g.c.seeds[id] = true
		}
	}
	return g.c.differs(d)
}

func (g *region) compare(ctx context.Context) error {
	for _, step := range []func(context.Context) error{g.leads, g.calls, g.doNotCall, g.presence} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// line is one row as stored and as told, as JSON without what says when it was written; empty where there is none.
type line struct{ stored, told string }

// difference says how two rows differ; change is empty where they do not.
func (l line) difference() (change string, columns []ColumnDifference, err error) {
	switch {
	case l.stored == l.told:
		return "", nil, nil
	case l.stored == "":
		return RowMissing, nil, nil
	case l.told == "":
		return RowExtra, nil, nil
	}
	var stored, told map[string]json.RawMessage
	if err := json.Unmarshal([]byte(l.stored), &stored); err != nil {
		return "", nil, err
	}
	if err := json.Unmarshal([]byte(l.told), &told); err != nil {
		return "", nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if string(stored[name]) != string(told[name]) {
			columns = append(columns, ColumnDifference{Column: name, Stored: string(stored[name]), Told: string(told[name])})
		}
	}
	return RowDiffers, columns, nil
}

// row compares one row that has one name, as stored and as told.
func (g *region) row(table, key string, seed int64, l line) error {
	if l.stored != "" {
		g.c.stored.add(table, key, l.stored)
	}
	if l.told != "" {
		g.c.told.add(table, key, l.told)
	}
	change, columns, err := l.difference()
	if err != nil || change == "" {
		return err
	}
	return g.differs(seed, Difference{Table: table, Key: key, Change: change, Columns: columns})
}
