package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

const pipelineCountSQL = `
select
  (select count(*) from pipeline.leads where org_id = @org and lead_id = any(@leads)),
  (select count(*) from pipeline.lead_keys where org_id = @org and lead_id = any(@leads)),
  (select count(*)
    from unnest(@sources::text[], @accounts::text[], @values::text[]) as n (source, account_id, value)
    join pipeline.calls c
      on c.org_id = @org and c.source = n.source and c.account_id = n.account_id and c.external_call_id = n.value),
  (select count(*)
    from unnest(@sources::text[], @accounts::text[], @values::text[]) as n (source, account_id, value)
    join pipeline.call_events c
      on c.org_id = @org and c.source = n.source and c.account_id = n.account_id and c.external_call_id = n.value)`

// fold brings the pipeline in step by the ordinary fold, from records that are gone: whatever nobody tells any more goes, and
// what others tell stays. Nobody is told, and nothing ordered.
func (m *removal) fold(ctx context.Context) error {
	before, err := m.count(ctx)
	if err != nil {
		return err
	}
	// Those that were landed just now are folded here, not by their turn.
	if err := m.exec(ctx, statement{"ops.reconcile_queue", queueEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "ids": m.seeds}}); err != nil {
		return err
	}
	quiet := *m.e.Fold
	quiet.repairing, quiet.WakeWebhooks = true, nil
	if len(m.seeds) > 0 {
		if _, err := quiet.fold(ctx, m.tx, m.p.org, m.seeds); err != nil {
			return err
		}
	}
	after, err := m.count(ctx)
	if err != nil {
		return err
	}
	for i, table := range []string{"pipeline.leads", "pipeline.lead_keys", "pipeline.calls", "pipeline.call_events"} {
		m.r.Counts[table] += before[i] - after[i]
	}
	return nil
}

func (m *removal) count(ctx context.Context) (counts [4]int64, err error) {
	kinds, accounts, values := columns(slices.Collect(maps.Keys(m.p.calls)))
	for i, kind := range kinds {
		kinds[i] = strings.TrimPrefix(kind, callKind(""))
	}
	err = m.tx.QueryRow(ctx, pipelineCountSQL, pgx.StrictNamedArgs{
		"org": m.p.org, "leads": m.p.leads, "sources": kinds, "accounts": accounts, "values": values,
	}).Scan(&counts[0], &counts[1], &counts[2], &counts[3])
	if err != nil {
		return counts, fmt.Errorf("counting rows of the pipeline: %w", err)
	}
	return counts, nil
}

const (
	ledgerEraseSQL = `delete from pipeline.lead_ledger where org_id = @org and lead_id = any(@leads)`
	mergesEraseSQL = `delete from pipeline.lead_merges where org_id = @org and (lead_id = any(@leads) or into_lead_id = any(@leads))`
	splitsEraseSQL = `delete from pipeline.lead_splits where org_id = @org and lead_id = any(@leads)`
)

// ids removes what remembers which ids the leads were given for which keys.
func (m *removal) ids(ctx context.Context) error {
	of := pgx.StrictNamedArgs{"org": m.p.org, "leads": m.p.leads}
	return m.exec(
		ctx,
		statement{"pipeline.lead_ledger", ledgerEraseSQL, of},
		statement{"pipeline.lead_merges", mergesEraseSQL, of},
		statement{"pipeline.lead_splits", splitsEraseSQL, of},
	)
}
