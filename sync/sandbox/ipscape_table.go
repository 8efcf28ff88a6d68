package sandbox

import (
	"slices"
	"sort"
)

// table keeps rows in the order of their ids, the order the simulated lists page in.
type table[T interface{ clone() T }] struct {
	rows []T
	id   func(*T) int64
}

func (t *table[T]) find(id int64) (int, bool) {
	// Not slices.BinarySearchFunc: it copies a whole row for each comparison.
	at := sort.Search(len(t.rows), func(i int) bool { return t.id(&t.rows[i]) >= id })
	return at, at < len(t.rows) && t.id(&t.rows[at]) == id
}

// put inserts a row, or replaces the one with its id.
func (t *table[T]) put(row T) {
	id := t.id(&row)
	if n := len(t.rows); n == 0 || t.id(&t.rows[n-1]) < id {
		t.rows = append(t.rows, row)
		return
	}
	at, found := t.find(id)
	if found {
		t.rows[at] = row
		return
	}
	t.rows = slices.Insert(t.rows, at, row)
}

func (t *table[T]) get(id int64) (T, bool) {
	at, found := t.find(id)
	if !found {
		var none T
		return none, false
	}
	return t.rows[at].clone(), true
}

func (t *table[T]) update(id int64, change func(*T)) bool {
	at, found := t.find(id)
	if !found {
		return false
	}
	change(&t.rows[at])
	return true
}

func (t *table[T]) remove(id int64) bool {
	at, found := t.find(id)
	if found {
		t.rows = slices.Delete(t.rows, at, at+1)
	}
	return found
}

// last is the highest id, 0 for an empty table.
func (t *table[T]) last() int64 {
	if len(t.rows) == 0 {
		return 0
	}
	return t.id(&t.rows[len(t.rows)-1])
}

func (t *table[T]) all() []T {
	out := make([]T, len(t.rows))
	for i, row := range t.rows {
		out[i] = row.clone()
	}
	return out
}

// after walks the rows whose id is above the given one until yield says stop.
func (t *table[T]) after(id int64, yield func(*T) bool) {
	at, found := t.find(id)
	if found {
		at++
	}
	for ; at < len(t.rows); at++ {
		if !yield(&t.rows[at]) {
			return
		}
	}
}
