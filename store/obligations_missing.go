package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// obligeBatch is how many missing obligations are ordered in one transaction.
const obligeBatch = 500

// An opt-out that was only blocked here is owed to a dialler that can be told by now. What was ordered before counts for the
// opt-out that holds, not for one that was lifted before it, and one told after a lift may be of as long ago as the one that was
// lifted; a source's clock may be ahead of ours.
const obligationsMissingSQL = `
with lifts as materialized (
  select r.org_id, r.payload ->> 'phone' as phone, count(*) as told, max(r.first_seen_at) as at
  from (
    select distinct org_id
    from pipeline.do_not_call) o
  join ops.records r
    on r.org_id = o.org_id and r.account_id = @account and r.source = 'operator' and r.stream = 'do_not_call'
  where r.payload ->> 'lift' = 'true'
  group by 1, 2
)
select n.org_id, n.phone, coalesce(l.told, 0)::int, n.since, b.destination
from pipeline.do_not_call n
left join lifts l
  on l.org_id = n.org_id and l.phone = n.phone
cross join unnest(@blockers::text[]) as b (destination)
where n.lifted_at is null
  and not exists (
  select
  from ops.deliveries d
  where d.org_id = n.org_id
    and d.phone = n.phone
    and d.destination = b.destination
    and d.operation = 'dnc_add'
    and d.reason is distinct from 'local_block'
    and d.created_at >= greatest(least(n.since, n.updated_at), l.at))
  and not exists (
  -- What bears the very name of the order cannot be ordered again: counted, such rows would fill the batch for ever.
  select
  from ops.deliveries d
  where d.org_id = n.org_id
    and d.destination = b.destination
    and d.operation = 'dnc_add'
    and d.dedupe = format('%s@%s%s', n.phone, (extract(epoch from n.since) * 1000000)::bigint, '#' || l.told))
order by n.org_id, n.phone, b.destination
limit @most`

// ObligeMissing orders the do-not-call entries that are owed and were never ordered: whoever folded an opt-out, or a lead of
// somebody who had opted out, may not have known of a dialler, because a command ran without its settings or because it was set
// up later (law 6). It returns how many it ordered. An opt-out that is asked for again by this is harmless at every dialler.
func (r *Reconciler) ObligeMissing(ctx context.Context) (int, error) {
	if len(r.Blockers) == 0 {
		return 0, nil
	}
	total := 0
	for _, batch := range []func(context.Context) (int, error){r.obligeBatch, r.obligeLateBatch} {
		for {
			n, err := batch(ctx)
			total += n
			if err != nil {
				return total, fmt.Errorf("ordering do-not-call entries that are owed: %w", err)
			}
			if n < obligeBatch {
				break
			}
		}
	}
	return total, nil
}

func (r *Reconciler) obligeBatch(ctx context.Context) (n int, err error) {
	now := r.DB.Now()
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, obligationsMissingSQL, planned, pgx.StrictNamedArgs{
			"account": DefaultAccount, "blockers": r.Blockers, "most": obligeBatch,
		})
		if err != nil {
			return err
		}
		var orders []NewDelivery
		var destinations []string
		var org uuid.UUID
		var phone, destination string
		var lifts int
		var since time.Time
		_, err = pgx.ForEachRow(rows, []any{&org, &phone, &lifts, &since, &destination}, func() error {
			dedupe := fmt.Sprintf("%s@%d", phone, since.UnixMicro())
			if lifts > 0 {
				dedupe += fmt.Sprintf("#%d", lifts)
			}
			orders = append(orders, NewDelivery{
				Org: org, Account: DefaultAccount, Destination: destination, Operation: pipeline.OperationAddDNC, Class: pipeline.ClassRepeatable,
				Phone: phone, SourceTime: now, NotBefore: now, Dedupe: dedupe,
			})
			destinations = append(destinations, destination)
			return nil
		})
		if err != nil || len(orders) == 0 {
			return err
		}
		inserted, err := r.DB.InsertDeliveries(ctx, tx, orders)
		if err != nil {
			return err
		}
		n = len(inserted)
		if r.Wake == nil || n == 0 {
			return nil
		}
		return r.Wake(ctx, tx, destinations)
	})
	return n, err
}
