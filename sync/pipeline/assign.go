package pipeline

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
)

// LedgerEntry says which lead id a key was first given.
type LedgerEntry struct {
	Key
	LeadID          uuid.UUID
	FirstSourceTime time.Time
}

// Assignment gives each lead of a fold its id.
type Assignment struct {
	// IDs are the leads' ids, by index.
	IDs []uuid.UUID
	// SplitFrom is the lead that each lead was part of before, or the nil UUID.
	SplitFrom []uuid.UUID
	// New tells which leads got an id for the first time and by themselves, not by a split.
	New []bool
	// Ledger holds the entries to write: new keys, and keys that a split moved to a new id.
	Ledger []LedgerEntry
	// Merged maps ids that gave way to the ids they resolve to.
	Merged map[uuid.UUID]uuid.UUID
}

// AssignIDs keeps ids stable (architecture.md section 7): a new key takes the id its lead already has; between ids that
// were handed out before, the one of the elder key stays; where one lead fell apart, the part with the elder key keeps
// the id. A lead without any entry gets the id under which it was made here, else one by newID.
func AssignIDs(leads []Lead, ledger []LedgerEntry, newID func() uuid.UUID) Assignment {
	known := make(map[Key]LedgerEntry, len(ledger))
	for _, e := range ledger {
		known[e.Key] = e
	}
	a := Assignment{
		IDs:       make([]uuid.UUID, len(leads)),
		SplitFrom: make([]uuid.UUID, len(leads)),
		New:       make([]bool, len(leads)),
		Merged:    map[uuid.UUID]uuid.UUID{},
	}
	claims := make([][]LedgerEntry, len(leads))
	order := make([]int, len(leads))
	for i := range leads {
		order[i] = i
		claims[i] = claimsOf(&leads[i], known)
	}
	slices.SortStableFunc(order, func(x, y int) int { return compareClaims(claims[x], claims[y]) })

	taken := map[uuid.UUID]bool{}
	for _, i := range order {
		a.choose(i, claims[i], leads[i].ownID(), taken, newID)
		taken[a.IDs[i]] = true
	}
	for i := range leads {
		for _, c := range claims[i] {
			if c.LeadID != a.IDs[i] && !taken[c.LeadID] {
				a.Merged[c.LeadID] = a.IDs[i]
			}
		}
		a.enter(i, &leads[i], known, taken)
	}
	return a
}

// claimsOf lists the entries of a lead's keys, elder first.
func claimsOf(l *Lead, known map[Key]LedgerEntry) []LedgerEntry {
	var claims []LedgerEntry
	for _, k := range l.LedgerKeys(true) {
		if e, ok := known[k]; ok {
			claims = append(claims, e)
		}
	}
	slices.SortFunc(claims, func(x, y LedgerEntry) int {
		return cmp.Or(x.FirstSourceTime.Compare(y.FirstSourceTime), x.Compare(y.Key))
	})
	return claims
}

// compareClaims puts the lead with the elder claim first, and leads without claims last.
func compareClaims(x, y []LedgerEntry) int {
	switch {
	case len(x) == 0 || len(y) == 0:
		return cmp.Compare(len(y), len(x))
	default:
		return cmp.Or(x[0].FirstSourceTime.Compare(y[0].FirstSourceTime), x[0].Compare(y[0].Key))
	}
}

// ownID is the id under which the lead was made here, the nil UUID when it was not.
func (l *Lead) ownID() uuid.UUID {
	for _, k := range l.Keys {
		if k.Kind == KeyLead {
			if id, err := uuid.Parse(k.Value); err == nil {
				return id
			}
		}
	}
	return uuid.Nil
}

func (a *Assignment) choose(i int, claims []LedgerEntry, ownID uuid.UUID, taken map[uuid.UUID]bool, newID func() uuid.UUID) {
	for _, c := range claims {
		if !taken[c.LeadID] {
			a.IDs[i] = c.LeadID
			return
		}
	}
	a.IDs[i] = ownID
	if ownID == uuid.Nil || taken[ownID] {
		a.IDs[i] = newID()
	}
	if len(claims) > 0 {
		a.SplitFrom[i] = claims[0].LeadID
	} else {
		a.New[i] = true
	}
}

// enter writes down what the ledger does not say yet. A key whose id now is another lead's moves to its own lead's id: of
// a living lead's id, every entry belongs to that lead. A key whose id gave way keeps it, and gets it back after a split.
func (a *Assignment) enter(i int, l *Lead, known map[Key]LedgerEntry, taken map[uuid.UUID]bool) {
	for _, k := range l.LedgerKeys(false) {
		e, ok := known[k]
		switch {
		case !ok:
			a.Ledger = append(a.Ledger, LedgerEntry{Key: k, LeadID: a.IDs[i], FirstSourceTime: l.FirstSourceTime})
		case e.LeadID != a.IDs[i] && taken[e.LeadID]:
			e.LeadID = a.IDs[i]
			a.Ledger = append(a.Ledger, e)
		}
	}
}

// LedgerKeys are the keys by which a lead's id is remembered: its strong keys, or its phones where it has none. With
// reading set, the phones that link it are asked too: a lead first known by its phone alone keeps its id.
func (l *Lead) LedgerKeys(reading bool) []Key {
	var strong, linking, shared []Key
	for _, k := range l.Keys {
		switch {
		case k.Strong():
			strong = append(strong, k.Key)
		case k.Kind == KeyPhone && k.Rule == RulePhone:
			linking = append(linking, k.Key)
		case k.Kind == KeyPhone:
			shared = append(shared, k.Key)
		}
	}
	switch {
	case len(strong) == 0:
		return append(linking, shared...)
	case reading:
		return append(strong, linking...)
	default:
		return strong
	}
}
