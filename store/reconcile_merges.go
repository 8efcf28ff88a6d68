package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const staleLeadsSQL = `
select distinct k.lead_id
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
cross join lateral (
  select l.lead_id
  from pipeline.lead_keys l
  where l.org_id = @org and l.kind = n.kind and l.account_id = n.account_id and l.value = n.value and l.rule <> 'shared'
  offset 0
) k
where not k.lead_id = any(@ids)`

// A lead that is known by phones alone, which do not link it, goes with the last record that names it by them.
const staleBareSQL = `
select distinct k.lead_id
from unnest(@phones::text[]) as n (value)
cross join lateral (
  select l.lead_id
  from pipeline.lead_keys l
  where l.org_id = @org and l.kind = 'phone' and l.account_id = '' and l.value = n.value and l.rule <> 'phone'
  offset 0
) k
where not k.lead_id = any(@ids)
  and not exists (
    select
    from pipeline.lead_keys s
    where s.org_id = @org and s.lead_id = k.lead_id and s.kind not in ('phone', 'email'))`

const leadsDeleteSQL = `delete from pipeline.leads where org_id = @org and lead_id = any(@ids)`

const leadKeysDeleteSQL = `delete from pipeline.lead_keys where org_id = @org and lead_id = any(@ids)`

const mergesDeleteSQL = `
delete from pipeline.lead_merges
where org_id = @org and lead_id = any(@ids)
returning lead_id, into_lead_id`

const mergesUpsertSQL = `
with given as (
  select * from unnest(@from::uuid[], @into::uuid[]) as n (lead_id, into_lead_id)
), moved as (
  update pipeline.lead_merges m
  set into_lead_id = g.into_lead_id
  from given g
  where m.org_id = @org and m.into_lead_id = g.lead_id
)
insert into pipeline.lead_merges (org_id, lead_id, into_lead_id, merged_at)
select @org, g.lead_id, g.into_lead_id, @now from given g
on conflict (org_id, lead_id) do update
set into_lead_id = excluded.into_lead_id`

const splitsInsertSQL = `
insert into pipeline.lead_splits (org_id, lead_id, split_from, split_at)
select @org, n.lead_id, n.split_from, @now
from unnest(@leads::uuid[], @from::uuid[]) as n (lead_id, split_from)
on conflict do nothing`

// noteSplits remembers which leads were split off, beyond the life of their rows: a merge deletes those.
func (f *folded) noteSplits(ctx context.Context, tx pgx.Tx) error {
	var leads, from []uuid.UUID
	for i, id := range f.ids.IDs {
		if f.ids.SplitFrom[i] != uuid.Nil {
			leads, from = append(leads, id), append(from, f.ids.SplitFrom[i])
		}
	}
	if len(leads) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, splitsInsertSQL, pgx.StrictNamedArgs{"org": f.org, "now": f.now, "leads": leads, "from": from})
	if err != nil {
		return fmt.Errorf("noting split leads: %w", err)
	}
	return nil
}

// unmerge lets ids that are leads again resolve to nothing else. Such a lead was split off the one it had merged into.
func (f *folded) unmerge(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, mergesDeleteSQL, pgx.StrictNamedArgs{"org": f.org, "ids": f.ids.IDs})
	if err != nil {
		return fmt.Errorf("parting merged leads: %w", err)
	}
	var id, into uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&id, &into}, func() error {
		if i := slices.Index(f.ids.IDs, id); f.ids.SplitFrom[i] == uuid.Nil {
			f.ids.SplitFrom[i] = into
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("parting merged leads: %w", err)
	}
	return nil
}

// stale finds the leads that hold a key of the region and are not among those folded.
func (f *folded) stale(ctx context.Context, tx pgx.Tx) ([]uuid.UUID, error) {
	names := slices.Collect(maps.Keys(f.region.keys))
	for phone := range f.region.phones {
		// One that linked until now does not any more, but every record with it is here.
		if !f.region.shared[phone] || f.region.askedAll[phone] {
			names = append(names, keyName{string(pipeline.KeyPhone), "", phone})
		}
	}
	kinds, accounts, values := columns(names)
	rows, err := tx.Query(ctx, staleLeadsSQL, pgx.StrictNamedArgs{"org": f.org, "kinds": kinds, "accounts": accounts, "values": values, "ids": f.ids.IDs})
	if err != nil {
		return nil, fmt.Errorf("finding leads that are no more: %w", err)
	}
	stale, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("finding leads that are no more: %w", err)
	}
	args := pgx.StrictNamedArgs{"org": f.org, "phones": slices.Collect(maps.Keys(f.region.whole)), "ids": append(slices.Clone(f.ids.IDs), stale...)}
	if rows, err = tx.Query(ctx, staleBareSQL, args); err != nil {
		return nil, fmt.Errorf("finding leads of a phone that are no more: %w", err)
	}
	bare, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("finding leads of a phone that are no more: %w", err)
	}
	return append(stale, bare...), nil
}

// dropLeads removes the rows of leads that merged into others or lost their last key, and keeps their ids resolving.
func (f *folded) dropLeads(ctx context.Context, tx pgx.Tx) error {
	stale, err := f.stale(ctx, tx)
	if err != nil {
		return err
	}
	var from, into []uuid.UUID
	for old, id := range f.ids.Merged {
		from, into = append(from, old), append(into, id)
		if !slices.Contains(stale, old) {
			stale = append(stale, old)
		}
	}
	for _, step := range []struct {
		sql string
		ids []uuid.UUID
	}{{leadsDeleteSQL, stale}, {leadKeysDeleteSQL, stale}} {
		if len(step.ids) == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, step.sql, pgx.StrictNamedArgs{"org": f.org, "ids": step.ids}); err != nil {
			return fmt.Errorf("removing leads that are no more: %w", err)
		}
	}
	if len(from) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, mergesUpsertSQL, pgx.StrictNamedArgs{"org": f.org, "from": from, "into": into, "now": f.now}); err != nil {
		return fmt.Errorf("noting merged leads: %w", err)
	}
	return nil
}
