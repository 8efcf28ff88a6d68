package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What ipSCAPE last said names its leads by phone, and says which of them are not dialled any more.
const ipscapeLeadsOfSQL = `
select distinct r.object_id
from ops.record_keys k
join ops.records r on r.record_id = k.record_id
left join ipscape.leads l
  on l.org_id = r.org_id and l.account_id = r.account_id and l.lead_id = case when r.object_id ~ '^[0-9]{1,18}$' then r.object_id::bigint end
where k.org_id = @org
  and k.kind = 'phone'
  and k.account_id = ''
  and k.value = @phone
  and k.role = 'lead'
  and r.account_id = @account
  and r.source = 'ipscape'
  and r.stream = 'leads'
  and l.completed is not true
order by 1`

// IPSCAPELeadsOf returns the ids of the account's leads at ipSCAPE that hold a phone (E.164) and may still be dialled.
func (db *DB) IPSCAPELeadsOf(ctx context.Context, org uuid.UUID, account, phone string) ([]string, error) {
	var ids []string
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, ipscapeLeadsOfSQL, pgx.StrictNamedArgs{"org": org, "account": account, "phone": phone})
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking for ipscape's leads with a phone: %w", Quiet(err))
	}
	return ids, nil
}
