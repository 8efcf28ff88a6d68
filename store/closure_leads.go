package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const strongKeysSQL = `
select distinct k.record_id, k.kind, k.account_id, k.value, k.identity
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
cross join lateral (
  select h.record_id, h.identity
  from ops.record_keys h
  where h.org_id = @org and h.kind = n.kind and h.account_id = n.account_id and h.value = n.value and h.role = 'lead'
  offset 0
) h
cross join lateral (
  select k.record_id, k.kind, k.account_id, k.value, k.identity
  from ops.record_keys k
  where k.record_id = h.record_id and k.role = 'lead' and k.kind <> 'phone' and k.identity = h.identity
  offset 0
) k`

// countLeads counts how many leads the identities of each phone make, joined by the strong keys that they share. Only phones
// are counted for which it matters: with too few identities, or far too many, they are left out.
func (c *closure) countLeads(ctx context.Context, identities map[string][]string) (map[string]int, error) {
	groups := keyGroups{}
	var todo []keyName
	for phone, of := range identities {
		if c.blocked[phone] || len(of) <= pipeline.PhoneLinkMax || len(of) > pipeline.PhoneIdentityMax {
			continue
		}
		for _, identity := range of {
			if k := keyNamed(identity); groups.add(k) {
				todo = append(todo, k)
			}
		}
	}
	for len(todo) > 0 {
		var err error
		if todo, err = c.joinByKeys(ctx, groups, todo); err != nil {
			return nil, fmt.Errorf("joining leads by key: %w", err)
		}
	}
	for k := range groups {
		c.looked[k] = true
	}
	count := map[string]int{}
	for phone, of := range identities {
		leads := map[keyName]bool{}
		for _, identity := range of {
			if k := keyNamed(identity); groups.has(k) {
				leads[groups.find(k)] = true
			}
		}
		count[phone] = len(leads)
	}
	return count, nil
}

// joinByKeys joins the groups of keys that one fact names together, and returns the keys that are new.
func (c *closure) joinByKeys(ctx context.Context, groups keyGroups, keys []keyName) (fresh []keyName, err error) {
	kinds, accounts, values := columns(keys)
	rows, err := c.tx.Query(ctx, strongKeysSQL, pgx.StrictNamedArgs{"org": c.org, "kinds": kinds, "accounts": accounts, "values": values})
	if err != nil {
		return nil, err
	}
	type fact struct {
		record   int64
		identity string
	}
	first := map[fact]keyName{}
	var of fact
	var k keyName
	_, err = pgx.ForEachRow(rows, []any{&of.record, &k.Kind, &k.Account, &k.Value, &of.identity}, func() error {
		if groups.add(k) {
			fresh = append(fresh, k)
		}
		if other, ok := first[of]; ok {
			groups.join(k, other)
		} else {
			first[of] = k
		}
		return nil
	})
	return fresh, err
}

// keyNamed reads an identity; see keyName.text.
func keyNamed(identity string) keyName {
	kind, rest, _ := strings.Cut(identity, "|")
	account, value, _ := strings.Cut(rest, "|")
	return keyName{kind, account, value}
}

// keyGroups are disjoint sets of keys: each key points towards the one that names its set.
type keyGroups map[keyName]keyName

// add makes a key a set of its own, and tells whether it was new.
func (g keyGroups) add(k keyName) bool {
	if g.has(k) {
		return false
	}
	g[k] = k
	return true
}

func (g keyGroups) has(k keyName) bool {
	_, ok := g[k]
	return ok
}

func (g keyGroups) find(k keyName) keyName {
	for g[k] != k {
		g[k] = g[g[k]]
		k = g[k]
	}
	return k
}

func (g keyGroups) join(a, b keyName) { g[g.find(a)] = g.find(b) }
