package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The first folds ask it while the table is empty, and fill it before anybody has counted its rows: so it is planned anew each
// time, and asks record by record, which nothing can turn into a read of the whole table.
const keysOfRecordsSQL = `
select k.record_id, k.kind, k.account_id, k.value, k.role, k.identity
from unnest(@ids::bigint[]) as n (record_id)
cross join lateral (
  select *
  from ops.record_keys r
  where r.record_id = n.record_id
  offset 0) k`

const recordKeysDeleteSQL = `
delete from ops.record_keys k
using unnest(@records::bigint[], @kinds::text[], @accounts::text[], @values::text[], @roles::text[], @identities::text[])
  as d (record_id, kind, account_id, value, role, identity)
where k.org_id = @org and k.record_id = d.record_id and k.kind = d.kind and k.account_id = d.account_id
  and k.value = d.value and k.role = d.role and k.identity = d.identity`

// Only who holds the fold's lock writes keys, and has just read which are there: no conflict clause, which would look for each twice.
const recordKeysInsertSQL = `
insert into ops.record_keys (org_id, record_id, kind, account_id, value, role, identity)
select @org, n.record_id, n.kind, n.account_id, n.value, n.role, n.identity
from unnest(@records::bigint[], @kinds::text[], @accounts::text[], @values::text[], @roles::text[], @identities::text[])
  as n (record_id, kind, account_id, value, role, identity)`

// keyRows are rows of ops.record_keys as parallel arrays.
type keyRows struct {
	records                                    []int64
	kinds, accounts, values, roles, identities []string
}

// keyRow is one row.
type keyRow struct {
	record int64
	recordKey
}

// inOrder are rows in the order of the table's key: so neighbours are written one after the other, and nobody waits for another who
// waits for him.
func inOrder(list []keyRow) (r keyRows) {
	slices.SortFunc(list, func(a, b keyRow) int {
		return cmp.Or(
			strings.Compare(a.Kind, b.Kind), strings.Compare(a.Account, b.Account), strings.Compare(a.Value, b.Value), strings.Compare(a.Role, b.Role),
			cmp.Compare(a.record, b.record), strings.Compare(a.Identity, b.Identity))
	})
	for _, k := range list {
		r.records = append(r.records, k.record)
		r.kinds, r.accounts, r.values = append(r.kinds, k.Kind), append(r.accounts, k.Account), append(r.values, k.Value)
		r.roles, r.identities = append(r.roles, k.Role), append(r.identities, k.Identity)
	}
	return r
}

func (r *keyRows) exec(ctx context.Context, tx pgx.Tx, f *folded, sql string) error {
	if len(r.records) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, sql, pgx.StrictNamedArgs{
		"org": f.org, "records": r.records, "kinds": r.kinds, "accounts": r.accounts, "values": r.values,
		"roles": r.roles, "identities": r.identities,
	})
	return err
}

func keysByRecord(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]map[recordKey]bool, error) {
	rows, err := tx.Query(ctx, keysOfRecordsSQL, planned, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return nil, fmt.Errorf("reading the keys of changed records: %w", err)
	}
	had := map[int64]map[recordKey]bool{}
	var id int64
	var k recordKey
	_, err = pgx.ForEachRow(rows, []any{&id, &k.Kind, &k.Account, &k.Value, &k.Role, &k.Identity}, func() error {
		if had[id] == nil {
			had[id] = map[recordKey]bool{}
		}
		had[id][k] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys of changed records: %w", err)
	}
	return had, nil
}

// rekey brings ops.record_keys in step with the records' present facts. It returns the keys that went away: what they
// held together has to be folded again too.
func rekey(ctx context.Context, tx pgx.Tx, f *folded, ids []int64) ([]keyName, error) {
	had, err := keysByRecord(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var gone []keyName
	var dropped, added []keyRow
	for _, id := range ids {
		has := f.keysNow(id, had[id])
		for k := range had[id] {
			if !has[k] {
				dropped = append(dropped, keyRow{id, k})
				gone = append(gone, k.keyName)
			}
		}
		for k := range has {
			if !had[id][k] {
				added = append(added, keyRow{id, k})
			}
		}
	}
	f.rekeyed = f.rekeyed || len(dropped)+len(added) > 0
	drop, add := inOrder(dropped), inOrder(added)
	if err := drop.exec(ctx, tx, f, recordKeysDeleteSQL); err != nil {
		return nil, fmt.Errorf("dropping keys: %w", err)
	}
	if err := add.exec(ctx, tx, f, recordKeysInsertSQL); err != nil {
		return nil, fmt.Errorf("adding keys: %w", err)
	}
	return gone, nil
}
