package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// closure finds every record that belongs together with some given ones: by strong keys and calls without limit, by each
// phone that few enough leads hold. Fold may then be applied to them alone.
type closure struct {
	tx      pgx.Tx
	org     uuid.UUID
	blocked map[string]bool

	records map[int64]bool
	// fresh are records whose keys have not been read yet.
	fresh  []int64
	keys   map[keyName]bool
	todo   []keyName
	phones map[string]bool
	// bare are phones by which alone some record here names its lead.
	bare map[string]bool
	// looked are keys beyond those here by which it was counted how many leads a phone has.
	looked    map[keyName]bool
	asked     map[string]bool
	askedBare map[string]bool
	// askedAll are phones of which every record is here.
	askedAll map[string]bool
	shared   map[string]bool
	// whole are phones of which every record that names its lead by them alone is here.
	whole map[string]bool
	// seeds are the records to start from; optOut are phones whose opt-outs one of them changes.
	seeds  map[int64]bool
	optOut map[string]bool
	// take is asked which of some records are to be treated as seeds too, which taken then holds; it may be nil.
	take  func(ctx context.Context, ids []int64) ([]int64, error)
	taken []int64
	// have are the keys of each record as ops.record_keys has them.
	have map[int64]map[recordKey]bool
}

func loadClosure(
	ctx context.Context, tx pgx.Tx, org uuid.UUID, seeds []int64, old []keyName, blocked map[string]bool,
	take func(ctx context.Context, ids []int64) ([]int64, error),
) (*closure, error) {
	c := &closure{
		tx: tx, org: org, blocked: blocked, take: take, records: map[int64]bool{}, keys: map[keyName]bool{}, phones: map[string]bool{},
		bare: map[string]bool{}, asked: map[string]bool{}, askedBare: map[string]bool{}, askedAll: map[string]bool{}, shared: map[string]bool{}, whole: map[string]bool{},
		seeds: map[int64]bool{}, optOut: map[string]bool{}, have: map[int64]map[recordKey]bool{}, looked: map[keyName]bool{},
	}
	c.addRecords(seeds)
	for _, id := range seeds {
		c.seeds[id] = true
	}
	for _, k := range old {
		c.addKey(k)
		if k.phone() {
			c.optOut[k.Value] = true // it may have been one
			c.bare[k.Value] = true   // or all that some lead was known by
		}
	}
	for {
		if err := c.expand(ctx); err != nil {
			return nil, err
		}
		c.markCallOptOuts()
		grown, err := c.askPhones(ctx)
		if err != nil {
			return nil, err
		}
		if !grown && len(c.fresh) == 0 {
			return c, nil
		}
	}
}

func (c *closure) addRecords(ids []int64) {
	for _, id := range ids {
		if !c.records[id] {
			c.records[id] = true
			c.fresh = append(c.fresh, id)
		}
	}
}

func (c *closure) addKey(k keyName) {
	switch {
	case k.phone():
		c.phones[k.Value] = true
	case k.strong() && !c.keys[k]:
		c.keys[k] = true
		c.todo = append(c.todo, k)
	}
}

const recordsOfKeysSQL = `
select distinct k.record_id
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
cross join lateral (
  select r.record_id
  from ops.record_keys r
  where r.org_id = @org and r.kind = n.kind and r.account_id = n.account_id and r.value = n.value
  offset 0) k`

// expand follows strong keys until nothing new turns up.
func (c *closure) expand(ctx context.Context) error {
	for len(c.fresh) > 0 || len(c.todo) > 0 {
		if len(c.fresh) > 0 {
			if err := c.takeFresh(ctx); err != nil {
				return err
			}
			rows, err := c.tx.Query(ctx, keysOfRecordsSQL, planned, pgx.StrictNamedArgs{"ids": c.fresh})
			if err != nil {
				return fmt.Errorf("reading the keys of records: %w", err)
			}
			c.fresh = nil
			var id int64
			var k recordKey
			_, err = pgx.ForEachRow(rows, []any{&id, &k.Kind, &k.Account, &k.Value, &k.Role, &k.Identity}, func() error {
				c.addKey(k.keyName)
				if c.have[id] == nil {
					c.have[id] = map[recordKey]bool{}
				}
				c.have[id][k] = true
				if k.phone() && k.Role == roleDNC && c.seeds[id] {
					c.optOut[k.Value] = true
				}
				if k.phone() && k.Role == roleLead && strings.HasPrefix(k.Identity, barePrefix) {
					c.bare[k.Value] = true
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("reading the keys of records: %w", err)
			}
		}
		ids, err := recordsOfKeys(ctx, c.tx, c.org, c.todo)
		if err != nil {
			return err
		}
		c.todo = nil
		c.addRecords(ids)
	}
	return nil
}

// takeFresh asks before the keys are read: what a seed tells counts for more.
func (c *closure) takeFresh(ctx context.Context) error {
	if c.take == nil {
		return nil
	}
	taken, err := c.take(ctx, c.fresh)
	if err != nil {
		return err
	}
	for _, id := range taken {
		c.seeds[id] = true
	}
	c.taken = append(c.taken, taken...)
	return nil
}

func recordsOfKeys(ctx context.Context, tx pgx.Tx, org uuid.UUID, keys []keyName) ([]int64, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	kinds, accounts, values := columns(keys)
	rows, err := tx.Query(ctx, recordsOfKeysSQL, pgx.StrictNamedArgs{"org": org, "kinds": kinds, "accounts": accounts, "values": values})
	if err != nil {
		return nil, fmt.Errorf("finding records by key: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// untold lists the records of the closure whose facts have not been read.
func (c *closure) untold(told map[int64]pipeline.Told) []int64 {
	var ids []int64
	for _, id := range slices.Sorted(maps.Keys(c.records)) {
		if _, ok := told[id]; !ok {
			ids = append(ids, id)
		}
	}
	return ids
}
