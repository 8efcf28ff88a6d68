package pipeline

// UnlinkFact keeps apart what a key tied together by mistake.
type UnlinkFact struct {
	// Key is the key that ties no more. Records that name their lead by it are a lead of their own; other records that carry
	// it are not about that lead.
	Key Key
	// From are the other keys by which records named the lead when it was taken apart.
	From []Key
}

// unlinks is all that is kept apart.
type unlinks struct {
	// cut holds, by the key that names a fact's lead, the keys that do not tie it; alone the keys whose facts nothing else ties.
	cut   map[Key]map[Key]bool
	alone map[Key]bool
}

func unlinksOf(told []Told) *unlinks {
	u := &unlinks{cut: map[Key]map[Key]bool{}, alone: map[Key]bool{}}
	for i := range told {
		for _, fact := range told[i].Facts.Unlinks {
			if fact.Key.Strong() {
				u.alone[fact.Key] = true
			}
			for _, from := range fact.From {
				if u.cut[from] == nil {
					u.cut[from] = map[Key]bool{}
				}
				u.cut[from][fact.Key] = true
			}
		}
	}
	return u
}

// ties tells whether a key ties a fact that names its lead by identity. What names it always does.
func (u *unlinks) ties(identity, k Key) bool {
	return k == identity || !u.alone[identity] && !u.cut[identity][k]
}
