package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const suppressedSQL = `
select exists (
  select 1
  from pipeline.do_not_call n
  where n.org_id = @org and n.phone = any(@phones) and n.lifted_at is null
) or exists (
  -- Somebody may have opted out by name, on a phone that too many leads share to be on the list for it.
  select 1
  from pipeline.lead_keys k
  join pipeline.leads o on o.org_id = k.org_id and o.lead_id = k.lead_id
  where k.org_id = @org and k.kind = 'phone' and k.account_id = '' and k.value = any(@phones)
    and o.is_do_not_call
) or exists (
  select 1
  from ops.suppressions s
  where s.org_id = @org and s.kind = 'phone' and s.value = any(@phones) and s.folded_at is null
)`

// Suppressed tells whether one of these phones, in E.164, may not be called: it is on the do-not-call list, belongs to somebody
// who opted out, or an opt-out that carries it is committed and not folded yet (law 6).
func (db *DB) Suppressed(ctx context.Context, org uuid.UUID, phones []string) (bool, error) {
	var suppressed bool
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, suppressedSQL, pgx.StrictNamedArgs{"org": org, "phones": phones}).Scan(&suppressed)
	})
	if err != nil {
		return false, fmt.Errorf("looking for opt-outs: %w", err)
	}
	return suppressed, nil
}
