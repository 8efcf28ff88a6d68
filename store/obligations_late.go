package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// destinationIPSCAPE knows no do-not-call list, only leads that are dialled or not: an opt-out is told to it once for the leads
// that are there, and once more for each that comes later.
const destinationIPSCAPE = "ipscape"

// Leads at ipSCAPE that may be dialled although their phone has opted out. One that is ready, or is left to a person, will find
// the lead. Of the others a fold trusts none, for it may have looked just before the lead was committed; who looks at everything
// trusts those that were sent after the lead came, or changed: what is completed shows here only when it is read again.
const obligationsLateSQL = `
select n.org_id, n.phone, r.account_id, max(r.changed_at)
from pipeline.do_not_call n
join ops.record_keys k
  on k.org_id = n.org_id and k.kind = 'phone' and k.account_id = '' and k.value = n.phone and k.role = 'lead'
join ops.records r
  on r.record_id = k.record_id
left join ipscape.leads l
  on l.org_id = r.org_id and l.account_id = r.account_id and l.lead_id = case when r.object_id ~ '^[0-9]{1,18}$' then r.object_id::bigint end
where n.lifted_at is null
  and r.source = 'ipscape'
  and r.stream = 'leads'
  and (@everywhere::boolean or r.record_id = any(@landed))
  and l.completed is not true
  and not exists (
  select
  from ops.deliveries d
  where d.org_id = n.org_id
    and d.phone = n.phone
    and d.destination = @destination
    and d.operation = 'dnc_add'
    and d.account_id = r.account_id
    and d.reason is distinct from 'local_block'
    and (d.state in ('ready', 'unknown') or @everywhere and d.sending_at >= r.changed_at))
group by n.org_id, n.phone, r.account_id
having not exists (
  -- Ordered for this very version, whatever became of that: counted, such rows would fill the batch for ever.
  select
  from ops.deliveries d
  where d.org_id = n.org_id
    and d.destination = @destination
    and d.operation = 'dnc_add'
    and d.dedupe = format('%s late %s %s', n.phone, r.account_id, (extract(epoch from max(r.changed_at)) * 1000000)::bigint))
order by n.org_id, n.phone, r.account_id
limit @most`

// obligeLate orders the do-not-call entry at ipSCAPE anew for leads that were uploaded there after their opt-out, or that are dialled
// again: those of the records just folded. It returns the destination where it ordered any.
func (r *Reconciler) obligeLate(ctx context.Context, tx pgx.Tx, f *folded) ([]string, error) {
	if !slices.Contains(r.Blockers, destinationIPSCAPE) {
		return nil, nil
	}
	var landed []int64
	for id := range f.seeds {
		if strings.HasPrefix(f.told[id].Ref, "ipscape/leads/") {
			landed = append(landed, id)
		}
	}
	if len(landed) == 0 {
		return nil, nil
	}
	ordered, err := r.orderLate(ctx, tx, pgx.StrictNamedArgs{"everywhere": false, "landed": landed, "most": len(landed) * maxLeadPhones})
	if err != nil || ordered == 0 {
		return nil, err
	}
	return []string{destinationIPSCAPE}, nil
}

// maxLeadPhones is more than the phones of any one lead.
const maxLeadPhones = 100

// orderLate orders what obligationsLateSQL finds. The version of the lead is part of the dedupe value: the same one obliges once.
func (r *Reconciler) orderLate(ctx context.Context, tx pgx.Tx, args pgx.StrictNamedArgs) (ordered int, err error) {
	args["destination"] = destinationIPSCAPE
	rows, err := tx.Query(ctx, obligationsLateSQL, planned, args)
	if err != nil {
		return 0, fmt.Errorf("looking for leads that came after their opt-out: %w", err)
	}
	now := r.DB.Now()
	var orders []NewDelivery
	var org uuid.UUID
	var phone, account string
	var came time.Time
	if _, err = pgx.ForEachRow(rows, []any{&org, &phone, &account, &came}, func() error {
		orders = append(orders, NewDelivery{
			Org: org, Account: account, Destination: destinationIPSCAPE, Operation: pipeline.OperationAddDNC, Class: pipeline.ClassRepeatable,
			Phone: phone, SourceTime: now, NotBefore: now, Dedupe: fmt.Sprintf("%s late %s %d", phone, account, came.UnixMicro()),
		})
		return nil
	}); err != nil {
		return 0, fmt.Errorf("looking for leads that came after their opt-out: %w", err)
	}
	inserted, err := r.DB.InsertDeliveries(ctx, tx, orders)
	return len(inserted), err
}

// obligeLateBatch does the same for all leads.
func (r *Reconciler) obligeLateBatch(ctx context.Context) (ordered int, err error) {
	if !slices.Contains(r.Blockers, destinationIPSCAPE) {
		return 0, nil
	}
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		ordered, err = r.orderLate(ctx, tx, pgx.StrictNamedArgs{"everywhere": true, "landed": []int64{}, "most": obligeBatch})
		if err != nil || ordered == 0 || r.Wake == nil {
			return err
		}
		return r.Wake(ctx, tx, []string{destinationIPSCAPE})
	})
	return ordered, err
}
