package pipeline

import (
	"maps"
	"slices"
	"strings"
)

// Limits of linking by phone (architecture.md section 7). A phone that more leads share links none of them: it is a
// switchboard, a family or a test number.
const (
	// PhoneLinkMax is how many leads one phone may link.
	PhoneLinkMax = 3
	// PhoneIdentityMax is how many identities may hold a phone before it is taken for shared without counting leads, so
	// that the question stays cheap to answer for a phone that thousands hold.
	PhoneIdentityMax = 16
)

// factRef points at one lead fact. Facts of one part are tied by strong keys; parts of a lead are tied by phones alone.
type factRef struct{ told, fact, part int }

// leadGroup is one lead: the facts about it and its keys.
type leadGroup struct {
	facts []factRef
	keys  []LinkedKey
	// phones are the valid phones that link: shared ones left out.
	phones []string
}

// groups is the outcome of identity resolution.
type groups struct {
	list []leadGroup
	// byStrong finds a lead by one of its strong keys, byPhone the leads that hold a phone.
	byStrong map[Key]int
	byPhone  map[string][]int
	shared   map[string]bool
}

// Identity returns the key by which the fact names its lead: its first strong key, else its first phone.
func (f *LeadFact) Identity() (Key, bool) {
	for _, k := range f.Keys {
		if k.Strong() {
			return k, true
		}
	}
	for _, k := range f.Keys {
		if k.Kind == KeyPhone && k.Value != "" {
			return k, true
		}
	}
	return Key{}, false
}

// groupLeads joins facts into leads: by every strong key they share, then by each phone that few enough of the leads so
// joined hold. Phones are counted before any of them links, so that no order of linking matters.
func groupLeads(told []Told, blocked map[string]bool) *groups {
	apart := unlinksOf(told)
	var refs []factRef
	sets := &disjoint{}
	holders := map[Key][]int{}
	for i := range told {
		for j := range told[i].Facts.Leads {
			fact := &told[i].Facts.Leads[j]
			identity, ok := fact.Identity()
			if !ok {
				continue
			}
			node := sets.add()
			refs = append(refs, factRef{told: i, fact: j})
			for _, k := range fact.Keys {
				if k.Strong() && apart.ties(identity, k) || k.Kind == KeyPhone && k.Value != "" {
					holders[k] = append(holders[k], node)
				}
			}
		}
	}
	identityOf := func(node int) Key {
		r := refs[node]
		k, _ := told[r.told].Facts.Leads[r.fact].Identity()
		return k
	}
	for k, nodes := range holders {
		if k.Strong() {
			sets.joinAll(nodes)
		}
	}
	for node := range refs {
		refs[node].part = sets.find(node)
	}
	shared := map[string]bool{}
	linking := map[string][]int{}
	for k, nodes := range holders {
		if k.Kind != KeyPhone {
			continue
		}
		if blocked[k.Value] || phoneIsShared(nodes, sets, identityOf) {
			shared[k.Value] = true
			continue
		}
		// One that is kept apart holds the phone and counts, but is not joined by it.
		linking[k.Value] = slices.DeleteFunc(slices.Clone(nodes), func(node int) bool { return !apart.ties(identityOf(node), k) })
	}
	for phone := range shared {
		// Facts that know nothing but the phone are one lead of their own.
		var bare []int
		for _, node := range holders[Key{Kind: KeyPhone, Value: phone}] {
			if !identityOf(node).Strong() {
				bare = append(bare, node)
			}
		}
		sets.joinAll(bare)
	}
	for _, nodes := range linking {
		sets.joinAll(nodes)
	}
	return collectGroups(told, refs, sets, shared, apart)
}

// phoneIsShared counts the leads that hold a phone by a strong key; those that know only the phone count as none.
func phoneIsShared(nodes []int, sets *disjoint, identityOf func(int) Key) bool {
	identities, leads := map[Key]bool{}, map[int]bool{}
	for _, node := range nodes {
		if k := identityOf(node); k.Strong() {
			identities[k] = true
			leads[sets.find(node)] = true
		}
	}
	return len(leads) > PhoneLinkMax || len(identities) > PhoneIdentityMax
}

// collectGroups lists the leads in a fixed order: by their least key.
func collectGroups(told []Told, refs []factRef, sets *disjoint, shared map[string]bool, apart *unlinks) *groups {
	byRoot := map[int]*leadGroup{}
	for node, ref := range refs {
		root := sets.find(node)
		if byRoot[root] == nil {
			byRoot[root] = &leadGroup{}
		}
		byRoot[root].facts = append(byRoot[root].facts, ref)
	}
	g := &groups{byStrong: map[Key]int{}, byPhone: map[string][]int{}, shared: shared}
	for _, group := range byRoot {
		group.link(told, shared, apart)
		g.list = append(g.list, *group)
	}
	slices.SortFunc(g.list, func(a, b leadGroup) int { return slices.CompareFunc(a.keys, b.keys, compareLinked) })
	for i := range g.list {
		for _, k := range g.list[i].keys {
			switch {
			case k.Strong():
				g.byStrong[k.Key] = i
			case k.Kind == KeyPhone:
				g.byPhone[k.Value] = append(g.byPhone[k.Value], i)
			}
		}
	}
	return g
}

// Rules of a link, as pipeline.lead_keys tells them.
const (
	RuleIdentity  = "identity"   // the record names the lead by this key
	RuleStrongKey = "strong_key" // the record carries another system's key of the lead
	RulePhone     = "phone"      // a phone that few enough leads hold
	RuleShared    = "shared"     // a phone that too many leads hold: it links none
	RuleContact   = "contact"    // an e-mail: known, never linking
	RuleUnlinked  = "unlinked"   // a phone that an operator keeps from linking this lead
)

// LinkedKey is a key of a lead with the rule that ties it and the record that told it.
type LinkedKey struct {
	Key
	Rule     string
	Evidence string
}

func compareLinked(a, b LinkedKey) int { return a.Compare(b.Key) }

// link fills the group's keys: each once, told by the earliest record in stamp order.
func (g *leadGroup) link(told []Told, shared map[string]bool, apart *unlinks) {
	seen := map[Key]LinkedKey{}
	phones := map[string]bool{}
	for _, ref := range g.facts {
		t := &told[ref.told]
		fact := &t.Facts.Leads[ref.fact]
		identity, _ := fact.Identity()
		for _, k := range fact.Keys {
			if k.Value == "" {
				continue
			}
			rule := ruleOf(k, k == identity, shared)
			if !apart.ties(identity, k) {
				if k.Strong() {
					continue // it is another lead's
				}
				if rule == RulePhone {
					rule = RuleUnlinked
				}
			}
			if rule == RulePhone {
				phones[k.Value] = true
			}
			if old, ok := seen[k]; !ok || old.Rule != RuleIdentity && rule == RuleIdentity || old.Rule == RuleUnlinked && rule == RulePhone {
				seen[k] = LinkedKey{Key: k, Rule: rule, Evidence: t.Ref}
			}
		}
	}
	g.keys = slices.SortedFunc(maps.Values(seen), compareLinked)
	g.phones = slices.SortedFunc(maps.Keys(phones), strings.Compare)
}

func ruleOf(k Key, identity bool, shared map[string]bool) string {
	switch {
	case k.Kind == KeyEmail:
		return RuleContact
	case k.Kind == KeyPhone && shared[k.Value]:
		return RuleShared
	case k.Kind == KeyPhone:
		return RulePhone
	case identity:
		return RuleIdentity
	default:
		return RuleStrongKey
	}
}

// disjoint is a union-find over nodes numbered from 0.
type disjoint struct{ parent []int }

func (d *disjoint) add() int {
	d.parent = append(d.parent, len(d.parent))
	return len(d.parent) - 1
}

func (d *disjoint) find(n int) int {
	for d.parent[n] != n {
		d.parent[n] = d.parent[d.parent[n]]
		n = d.parent[n]
	}
	return n
}

func (d *disjoint) joinAll(nodes []int) {
	for _, n := range nodes[min(1, len(nodes)):] {
		d.parent[d.find(n)] = d.find(nodes[0])
	}
}
