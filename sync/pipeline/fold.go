package pipeline

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Told is one record together with what it says.
type Told struct {
	// Ref names the record as source/stream/object, for provenance and evidence.
	Ref string
	// Account is the record's vendor account: two accounts may have objects of the same name.
	Account     string
	Stamp       Stamp
	FirstSeenAt time.Time
	Facts       Facts
}

// TellOf joins a record with its facts.
func TellOf(r *Record, f Facts) Told {
	first := r.FirstSeenAt
	if first.IsZero() {
		first = r.ObservedAt
	}
	return Told{
		Ref:         strings.Join([]string{string(r.Source), r.Stream, r.ObjectID}, "/"),
		Account:     r.Account,
		Stamp:       StampOf(r),
		FirstSeenAt: first,
		Facts:       f,
	}
}

// Rules is what the fold takes from the organisation's settings.
type Rules struct {
	// Dispositions maps raw codes; nil takes the built-in rules.
	Dispositions *Dispositions
	// Blocked holds phones that must not link leads: those an operator listed, and, where only a part of all records is
	// folded, those whose leads lie outside that part because too many share the phone.
	Blocked map[string]bool
}

// Result is the pipeline that a set of records folds into, in a fixed order.
type Result struct {
	Leads []Lead
	Calls []Call
	DNC   []DoNotCall
	// Presence is the last word on each agent, by agent.
	Presence []Presence
}

// Fold makes the pipeline out of records. It is pure and ignores the order and the repetition of its input (law 3). The
// input must be closed: every record that shares a key with one of them has to be among them, except over Rules.Blocked.
func Fold(told []Told, rules Rules) Result {
	told = slices.Clone(told)
	slices.SortFunc(told, func(a, b Told) int {
		return cmp.Or(a.Stamp.Compare(b.Stamp), strings.Compare(a.Ref, b.Ref), strings.Compare(a.Account, b.Account))
	})
	told = slices.CompactFunc(told, func(a, b Told) bool { return a.Ref == b.Ref && a.Account == b.Account && a.Stamp == b.Stamp })
	if rules.Dispositions == nil {
		rules.Dispositions = DefaultDispositions()
	}

	groups := groupLeads(told, rules.Blocked)
	calls := foldCalls(told, groups, rules)
	dnc := foldDNC(told, groups, calls)
	leads := foldLeads(told, groups, calls, dnc, rules)
	return Result{Leads: leads, Calls: calls, DNC: dnc.rows(), Presence: foldPresence(told)}
}
