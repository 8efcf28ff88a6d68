package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const ledgerReadSQL = `
select l.kind, l.account_id, l.value, l.lead_id, l.first_source_time
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
cross join lateral (
  select r.kind, r.account_id, r.value, r.lead_id, r.first_source_time
  from pipeline.lead_ledger r
  where r.org_id = @org and r.kind = n.kind and r.account_id = n.account_id and r.value = n.value
  offset 0
) l`

const ledgerUpsertSQL = `
insert into pipeline.lead_ledger (org_id, kind, account_id, value, lead_id, first_source_time, handed_out_at)
select @org, n.kind, n.account_id, n.value, n.lead_id, n.first_source_time, @now
from unnest(@kinds::text[], @accounts::text[], @values::text[], @leads::uuid[], @times::timestamptz[])
  as n (kind, account_id, value, lead_id, first_source_time)
on conflict (org_id, kind, account_id, value) do update
set lead_id = excluded.lead_id`

// choose gives the folded leads their ids.
func (f *folded) choose(ctx context.Context, tx pgx.Tx) error {
	var names []keyName
	for i := range f.result.Leads {
		for _, k := range f.result.Leads[i].LedgerKeys(true) {
			names = append(names, nameOf(k))
		}
	}
	kinds, accounts, values := columns(names)
	rows, err := tx.Query(ctx, ledgerReadSQL, pgx.StrictNamedArgs{"org": f.org, "kinds": kinds, "accounts": accounts, "values": values})
	if err != nil {
		return fmt.Errorf("reading the lead ledger: %w", err)
	}
	var ledger []pipeline.LedgerEntry
	var e pipeline.LedgerEntry
	_, err = pgx.ForEachRow(rows, []any{&e.Kind, &e.Account, &e.Value, &e.LeadID, &e.FirstSourceTime}, func() error {
		ledger = append(ledger, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the lead ledger: %w", err)
	}
	f.known = map[uuid.UUID]bool{}
	for _, e := range ledger {
		f.known[e.LeadID] = true
	}
	if ledger, err = f.ours(ctx, tx, ledger); err != nil {
		return err
	}
	f.ids = pipeline.AssignIDs(f.result.Leads, ledger, newID)
	for _, id := range f.ids.IDs {
		f.known[id] = true
	}
	return nil
}

// remember writes into the ledger which keys have which leads' ids now.
func (f *folded) remember(ctx context.Context, tx pgx.Tx) error {
	var kinds, accounts, values []string
	var ids []uuid.UUID
	var times []time.Time
	for _, e := range f.ids.Ledger {
		kinds, accounts, values = append(kinds, string(e.Kind)), append(accounts, e.Account), append(values, e.Value)
		ids, times = append(ids, e.LeadID), append(times, e.FirstSourceTime)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, ledgerUpsertSQL, pgx.StrictNamedArgs{
		"org": f.org, "now": f.now, "kinds": kinds, "accounts": accounts, "values": values, "leads": ids, "times": times,
	})
	if err != nil {
		return fmt.Errorf("writing the lead ledger: %w", err)
	}
	return nil
}

const leadsOfLedgerSQL = `
select i.lead_id, k.kind, k.account_id, k.value, k.rule
from unnest(@ids::uuid[]) as i (lead_id)
cross join lateral (
  select
  from pipeline.leads
  where org_id = @org and lead_id = i.lead_id
  offset 0) p
left join lateral (
  select kind, account_id, value, rule
  from pipeline.lead_keys
  where org_id = @org and lead_id = i.lead_id
  offset 0) k on true`

// ours leaves out what the ledger says of leads that live elsewhere: those that are there and have no key here. A phone that many
// share counts for a lead that is known by nothing else, where every record that names a lead so is here.
func (f *folded) ours(ctx context.Context, tx pgx.Tx, ledger []pipeline.LedgerEntry) ([]pipeline.LedgerEntry, error) {
	ids := map[uuid.UUID]bool{}
	for _, e := range ledger {
		ids[e.LeadID] = true
	}
	rows, err := tx.Query(ctx, leadsOfLedgerSQL, planned, pgx.StrictNamedArgs{"org": f.org, "ids": slices.Collect(maps.Keys(ids))})
	if err != nil {
		return nil, fmt.Errorf("reading the leads of the ledger: %w", err)
	}
	type holding struct{ linked, shared, strong bool }
	there := map[uuid.UUID]holding{}
	var id uuid.UUID
	var kind, account, value, rule *string
	_, err = pgx.ForEachRow(rows, []any{&id, &kind, &account, &value, &rule}, func() error {
		h := there[id]
		if kind != nil {
			k := keyName{*kind, *account, *value}
			here := f.region.keys[k] || k.phone() && k.Account == "" && f.region.phones[k.Value]
			shared := *rule == pipeline.RuleShared
			h.linked = h.linked || here && !shared
			h.shared = h.shared || here && shared && f.region.whole[k.Value]
			h.strong = h.strong || k.strong()
		}
		there[id] = h
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the leads of the ledger: %w", err)
	}
	return slices.DeleteFunc(ledger, func(e pipeline.LedgerEntry) bool {
		h, ok := there[e.LeadID]
		return ok && !h.linked && (!h.shared || h.strong)
	}), nil
}

// newID returns a UUIDv7, so that rows made together lie together.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
