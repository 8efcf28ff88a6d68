package pipeline

import (
	"strings"
	"sync"
)

// phoneMemo remembers what numbers were read as. Reading one by the numbering plan takes longer than anything else in the
// reading of a call, and the same numbers come again and again: a brokerage's own, and a lead's each time that one of its
// records is folded. What it answers is a function of the text and the region alone, so that it changes no result.
type phoneMemo struct {
	mu sync.RWMutex
	// young takes new entries; when it is full it becomes old, and what was old is forgotten.
	young, old map[phoneText]string
}

type phoneText struct{ text, region string }

// The memo's bounds: entries of one generation, and the longest text worth an entry. Together some two megabytes.
const (
	memoEntries = 8192
	memoText    = 40
)

// get returns the number in E.164, empty for an invalid one, and false when the text was not read lately.
func (m *phoneMemo) get(of phoneText) (e164 string, known bool) {
	m.mu.RLock()
	e164, known = m.young[of]
	if !known {
		e164, known = m.old[of]
	}
	m.mu.RUnlock()
	return e164, known
}

func (m *phoneMemo) put(of phoneText, e164 string) {
	if len(of.text) > memoText || len(of.region) > memoText {
		return
	}
	// A text cut from a whole answer would keep that alive.
	of = phoneText{strings.Clone(of.text), strings.Clone(of.region)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= memoEntries {
		m.young, m.old = make(map[phoneText]string), m.young
	}
	m.young[of] = e164
}
