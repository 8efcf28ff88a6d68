package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// webhookWatch is who wants to hear of an organisation's events, and how things stood before the fold wrote.
type webhookWatch struct {
	endpoints []webhookWant
	leads     map[uuid.UUID]leadBefore
	// calls are by their place in the result.
	calls map[int]callBefore
	// blocked are phones that were on the do-not-call list.
	blocked map[string]bool
}

type webhookWant struct {
	ID     uuid.UUID
	Events []string
	// Live endpoints get deliveries. For one that we switched off events are kept, so that it can be caught up.
	Live bool
}

type leadBefore struct {
	stage string
	dnc   bool
}

type callBefore struct {
	ended       bool
	disposition string
}

const webhookWantsSQL = `
select endpoint_id, events, is_active
from ops.webhook_endpoints
where org_id = @org and (is_active or disabled_at is not null)
order by endpoint_id`

const leadsBeforeSQL = `
select lead_id, stage_key, is_do_not_call
from pipeline.leads
where org_id = @org and lead_id = any(@ids)`

const callsBeforeSQL = `
select k.n::integer, c.ended_at is not null, coalesce(c.disposition_raw, '')
from unnest(@sources::text[], @accounts::text[], @ids::text[]) with ordinality as k (source, account_id, external_call_id, n)
join pipeline.calls c
  on c.org_id = @org and c.source = k.source and c.account_id = k.account_id and c.external_call_id = k.external_call_id`

// watchWebhooks looks how things stand before anything is written; nil where nobody wants to know.
func (r *Reconciler) watchWebhooks(ctx context.Context, tx pgx.Tx, f *folded) (*webhookWatch, error) {
	if r.WakeWebhooks == nil {
		return nil, nil
	}
	w := &webhookWatch{leads: map[uuid.UUID]leadBefore{}, calls: map[int]callBefore{}}
	rows, err := tx.Query(ctx, webhookWantsSQL, pgx.StrictNamedArgs{"org": f.org})
	if err == nil {
		w.endpoints, err = pgx.CollectRows(rows, pgx.RowToStructByPos[webhookWant])
	}
	if err != nil {
		return nil, fmt.Errorf("reading who wants webhooks: %w", err)
	}
	if len(w.endpoints) == 0 {
		return nil, nil
	}
	var id uuid.UUID
	var lead leadBefore
	rows, err = tx.Query(ctx, leadsBeforeSQL, pgx.StrictNamedArgs{"org": f.org, "ids": f.ids.IDs})
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&id, &lead.stage, &lead.dnc}, func() error {
			w.leads[id] = lead
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading leads as they were: %w", err)
	}
	var names callNames
	for i := range f.result.Calls {
		names.add(f.result.Calls[i].Key)
	}
	var n int
	var call callBefore
	rows, err = tx.Query(ctx, callsBeforeSQL, names.args(f))
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&n, &call.ended, &call.disposition}, func() error {
			w.calls[n-1] = call
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading calls as they were: %w", err)
	}
	var phones []string
	for i := range f.result.DNC {
		phones = append(phones, f.result.DNC[i].Phone)
	}
	w.blocked, err = r.activeNow(ctx, tx, f.org, phones)
	return w, err
}
