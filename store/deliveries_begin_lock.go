package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Every name under which an opt-out of these deliveries' leads and phones can come in.
const deliveryLockNamesSQL = `
select d.id, d.org_id, n.kind, n.account_id, n.value
from ops.deliveries d
left join pipeline.lead_merges m
  on m.org_id = d.org_id and m.lead_id = d.lead_id
cross join lateral (
  select 'phone' as kind, '' as account_id, d.phone as value
  union
  select 'phone', '', unnest(l.phones || l.phone_e164)
  from pipeline.leads l
  where l.org_id = d.org_id and l.lead_id in (d.lead_id, m.into_lead_id)
  union
  select k.kind, k.account_id, k.value
  from pipeline.lead_keys k
  where k.org_id = d.org_id and k.lead_id in (d.lead_id, m.into_lead_id) and k.kind <> 'email'
  union
  select kinds.kind, '', ids.id::text
  from unnest(array['lead', 'client_id']) as kinds(kind)
  cross join unnest(array[d.lead_id, m.into_lead_id]) as ids(id)
) n
where d.id = any(@ids) and n.value is not null`

// lockNames are the names that were locked, by delivery.
type lockNames map[uuid.UUID]map[string]bool

func readLockNames(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (lockNames, error) {
	rows, err := tx.Query(ctx, deliveryLockNamesSQL, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return nil, err
	}
	names := lockNames{}
	var id, org uuid.UUID
	var kind, account, value string
	_, err = pgx.ForEachRow(rows, []any{&id, &org, &kind, &account, &value}, func() error {
		if names[id] == nil {
			names[id] = map[string]bool{}
		}
		names[id][SuppressionLockKey(org, kind, account, value)] = true
		return nil
	})
	return names, err
}

func lockDeliveries(ctx context.Context, tx pgx.Tx, b pipeline.DeliveryBegin) (lockNames, error) {
	names, err := readLockNames(ctx, tx, b.IDs)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, of := range names {
		for key := range of {
			keys = append(keys, key)
		}
	}
	// Advisory locks come before row locks, here as in the receiver.
	return names, LockSuppressions(ctx, tx, keys)
}
