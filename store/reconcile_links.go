package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// linkRow is a row of pipeline.lead_keys as JSON.
type linkRow struct {
	OrgID    uuid.UUID `json:"org_id"`
	Kind     string    `json:"kind"`
	Account  string    `json:"account_id"`
	Value    string    `json:"value"`
	LeadID   uuid.UUID `json:"lead_id"`
	Rule     string    `json:"rule"`
	Evidence string    `json:"evidence"`
	LinkedAt time.Time `json:"linked_at"`
}

const lostLinksSQL = `
delete from pipeline.lead_keys
where ctid = any(array(
  select k.ctid
  from unnest(@ids::uuid[]) as i (lead_id)
  cross join lateral (
    select ctid, lead_id, kind, account_id, value
    from pipeline.lead_keys
    where org_id = @org and lead_id = i.lead_id
    offset 0) k
  where (k.lead_id, k.kind, k.account_id, k.value) not in (
    select n.lead_id, n.kind, n.account_id, n.value
    from jsonb_populate_recordset(null::pipeline.lead_keys, @rows::jsonb) n)))`

const linksUpsertSQL = `
insert into pipeline.lead_keys as k (org_id, kind, account_id, value, lead_id, rule, evidence, linked_at)
select org_id, kind, account_id, value, lead_id, rule, evidence, linked_at
from jsonb_populate_recordset(null::pipeline.lead_keys, @rows::jsonb)
on conflict (org_id, kind, account_id, value, lead_id) do update
set rule = excluded.rule, evidence = excluded.evidence
where k.rule <> excluded.rule or k.evidence <> excluded.evidence`

// writeLinks writes the keys of the leads that changed: their hash covers their keys.
func (f *folded) writeLinks(ctx context.Context, tx pgx.Tx, changed []int) error {
	if len(changed) == 0 {
		return nil
	}
	var rows []linkRow
	var ids []uuid.UUID
	for _, i := range changed {
		ids = append(ids, f.ids.IDs[i])
		for _, k := range f.result.Leads[i].Keys {
			rows = append(rows, linkRow{f.org, string(k.Kind), k.Account, k.Value, f.ids.IDs[i], k.Rule, k.Evidence, f.now})
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("writing links: %w", err)
	}
	if _, err := tx.Exec(ctx, lostLinksSQL, planned, pgx.StrictNamedArgs{"org": f.org, "ids": ids, "rows": string(text)}); err != nil {
		return fmt.Errorf("removing links: %w", err)
	}
	if err := upsertRows(ctx, tx, linksUpsertSQL, rows); err != nil {
		return fmt.Errorf("writing links: %w", err)
	}
	return nil
}
