package pipeline

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Presence is what one agent is doing.
type Presence struct {
	PresenceFact
	// ReportedAt is when that was said (UTC).
	ReportedAt time.Time
}

// Compare orders agents by who names them.
func (a AgentRef) Compare(o AgentRef) int {
	return cmp.Or(strings.Compare(string(a.Source), string(o.Source)), strings.Compare(a.Account, o.Account), strings.Compare(a.ID, o.ID))
}

// foldPresence keeps the strongest word on each agent; facts come weakest first.
func foldPresence(told []Told) []Presence {
	latest := map[AgentRef]Presence{}
	for i := range told {
		for _, fact := range told[i].Facts.Presence {
			who := AgentRef{Source: fact.Agent.Source, Account: fact.Agent.Account, ID: fact.Agent.ID}
			latest[who] = Presence{PresenceFact: fact, ReportedAt: told[i].Stamp.At}
		}
	}
	out := make([]Presence, 0, len(latest))
	for _, who := range slices.SortedFunc(maps.Keys(latest), AgentRef.Compare) {
		out = append(out, latest[who])
	}
	return out
}
