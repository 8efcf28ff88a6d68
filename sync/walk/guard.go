package walk

import (
	"errors"
	"fmt"
	"hash/maphash"
)

// ErrGuard is in the chain of every error by which a walk ends because the vendor leads it nowhere. The walk's cursor is
// dropped then: it is part of the trouble.
var ErrGuard = errors.New("walk was ended by a guard")

// Limits of the guards.
const (
	// repeatedPages is how many pages in a row may bring only objects seen shortly before. One or two come about honestly,
	// when rows move between pages while they are read.
	repeatedPages = 3
	// emptyPages is how many empty pages in a row may lead on: an honest list can have some where its filter hits little.
	emptyPages = 100
	// remembered is of how many objects, at least, the guard knows that it has seen them.
	remembered = 20_000
)

// cursors notices a list whose cursors run in circles. It keeps eight bytes a page.
type cursors struct {
	seed maphash.Seed
	seen map[uint64]bool
	max  int
	n    int
}

func newCursors(start string, pages, ceiling int) *cursors {
	c := &cursors{seed: maphash.MakeSeed(), seen: map[uint64]bool{}, max: ceiling, n: pages}
	c.seen[maphash.String(c.seed, start)] = true
	return c
}

// next checks the cursor that a page names as the next. The first page's cursor is empty and is counted too.
func (c *cursors) next(current, next string) error {
	c.n++
	hash := maphash.String(c.seed, next)
	switch {
	case next == current:
		return fmt.Errorf("%w: page %d names its own cursor as the next", ErrGuard, c.n)
	case c.seen[hash]:
		return fmt.Errorf("%w: page %d leads back to a cursor used before", ErrGuard, c.n)
	case c.max > 0 && c.n >= c.max:
		return fmt.Errorf("%w: %d pages were read, which is the ceiling, and there are more", ErrGuard, c.n)
	}
	c.seen[hash] = true
	return nil
}

// objects notices a list that goes on without bringing anything new. It remembers the last objects in two generations, so
// that its memory is bounded.
type objects struct {
	seed      maphash.Seed
	young     map[uint64]bool
	old       map[uint64]bool
	repeated  int
	empty     int
	fresh     bool
	pageItems int
}

func newObjects() *objects {
	return &objects{seed: maphash.MakeSeed(), young: map[uint64]bool{}, old: map[uint64]bool{}}
}

// saw notes one object of the current page. An object without id counts as new: it tells nothing.
func (o *objects) saw(id string) {
	o.pageItems++
	if id == "" {
		o.fresh = true
		return
	}
	hash := maphash.String(o.seed, id)
	if o.young[hash] || o.old[hash] {
		return
	}
	o.fresh = true
	o.young[hash] = true
	if len(o.young) >= remembered {
		o.old, o.young = o.young, map[uint64]bool{}
	}
}

// page ends the current page, which is not the last.
func (o *objects) page() error {
	switch {
	case o.fresh:
		o.repeated, o.empty = 0, 0
	case o.pageItems == 0:
		o.empty++
	default:
		o.repeated++
	}
	o.fresh, o.pageItems = false, 0
	if o.repeated >= repeatedPages || o.empty >= emptyPages {
		return fmt.Errorf("%w: the last %d pages brought nothing new", ErrGuard, o.repeated+o.empty)
	}
	return nil
}
