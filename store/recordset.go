package store

// recordSet is a set of record ids. They are handed out one after the other, so that bits take little room.
type recordSet map[int64]uint64

func (s recordSet) add(id int64) { s[id>>6] |= 1 << (id & 63) }

func (s recordSet) has(id int64) bool { return s[id>>6]&(1<<(id&63)) != 0 }
