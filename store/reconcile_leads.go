package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Leads are asked for one by one, as calls are and for the same reason.
const leadHashesSQL = `
select l.lead_id, l.content_hash
from unnest(@ids::uuid[]) as i (lead_id)
cross join lateral (
  select lead_id, content_hash
  from pipeline.leads
  where org_id = @org and lead_id = i.lead_id
  offset 0) l`

const leadsUpsertSQL = `
insert into pipeline.leads (
  org_id, lead_id, business_name, contact_first_name, contact_last_name, email, phone, phone_e164, phones, industry,
  monthly_revenue, requested_amount, source, priority, timezone, city, state, postal_code, tags, custom_fields,
  external_ids, stage_key, stage_changed_at, last_contacted_at, attempts, first_dialled_at, first_answered_at,
  is_do_not_call, dnc_reason, dnc_at, field_sources, content_hash, first_source_time, split_from, created_at, updated_at,
  advisor_id, stage_history)
select
  org_id, lead_id, business_name, contact_first_name, contact_last_name, email, phone, phone_e164, phones, industry,
  monthly_revenue, requested_amount, source, priority, timezone, city, state, postal_code, tags, custom_fields,
  external_ids, stage_key, stage_changed_at, last_contacted_at, attempts, first_dialled_at, first_answered_at,
  is_do_not_call, dnc_reason, dnc_at, field_sources, content_hash, first_source_time, split_from, created_at, updated_at,
  advisor_id, stage_history
from jsonb_populate_recordset(null::pipeline.leads, @rows::jsonb)
on conflict (org_id, lead_id) do update
set business_name = excluded.business_name, contact_first_name = excluded.contact_first_name,
  contact_last_name = excluded.contact_last_name, email = excluded.email, phone = excluded.phone,
  phone_e164 = excluded.phone_e164, phones = excluded.phones, industry = excluded.industry,
  monthly_revenue = excluded.monthly_revenue, requested_amount = excluded.requested_amount, source = excluded.source,
  priority = excluded.priority, timezone = excluded.timezone, city = excluded.city, state = excluded.state,
  postal_code = excluded.postal_code, tags = excluded.tags, custom_fields = excluded.custom_fields,
  external_ids = excluded.external_ids, stage_key = excluded.stage_key, stage_changed_at = excluded.stage_changed_at,
  last_contacted_at = excluded.last_contacted_at, attempts = excluded.attempts, first_dialled_at = excluded.first_dialled_at,
  first_answered_at = excluded.first_answered_at, is_do_not_call = excluded.is_do_not_call, dnc_reason = excluded.dnc_reason,
  dnc_at = excluded.dnc_at, field_sources = excluded.field_sources, content_hash = excluded.content_hash,
  first_source_time = excluded.first_source_time, created_at = excluded.created_at, updated_at = excluded.updated_at,
  advisor_id = excluded.advisor_id, stage_history = excluded.stage_history,
  split_from = coalesce(pipeline.leads.split_from, excluded.split_from)`

// writeLeads writes the leads that changed, their keys and merges, and removes leads that are no more. It returns the
// indexes of those that changed.
func (f *folded) writeLeads(ctx context.Context, tx pgx.Tx) ([]int, error) {
	if err := f.keepOptOuts(ctx, tx); err != nil {
		return nil, err
	}
	stored, err := hashes[uuid.UUID](ctx, tx, leadHashesSQL, pgx.StrictNamedArgs{"org": f.org, "ids": f.ids.IDs})
	if err != nil {
		return nil, fmt.Errorf("reading leads: %w", err)
	}
	if err := f.unmerge(ctx, tx); err != nil {
		return nil, err
	}
	if err := f.noteSplits(ctx, tx); err != nil {
		return nil, err
	}
	var changed []int
	var rows []leadRecord
	for i := range f.result.Leads {
		row := f.leadRow(i)
		if f.force || stored[row.LeadID] != row.ContentHash {
			changed = append(changed, i)
			rows = append(rows, row)
		}
	}
	if err := f.dropLeads(ctx, tx); err != nil {
		return nil, err
	}
	if err := upsertRows(ctx, tx, leadsUpsertSQL, rows); err != nil {
		return nil, fmt.Errorf("writing leads: %w", err)
	}
	return changed, f.writeLinks(ctx, tx, changed)
}

// hashes reads ids and content hashes into a map of the form that contentHash gives.
func hashes[K comparable](ctx context.Context, tx pgx.Tx, sql string, args pgx.StrictNamedArgs) (map[K]string, error) {
	rows, err := tx.Query(ctx, sql, planned, args)
	if err != nil {
		return nil, err
	}
	found := map[K]string{}
	var id K
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &hash}, func() error {
		found[id] = `\x` + hex.EncodeToString(hash)
		return nil
	})
	return found, err
}

// upsertRows hands rows to a statement that reads them with jsonb_populate_recordset.
func upsertRows[T any](ctx context.Context, tx pgx.Tx, sql string, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, sql, pgx.StrictNamedArgs{"rows": json.RawMessage(text)})
	return err
}
