package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Attention is what an operator has to know beside the state of streams and deliveries.
type Attention struct {
	// Daemons is how many were heard of in the last quarter of a minute.
	Daemons int
	// BadPosts are posts that nobody understood.
	BadPosts int
	Accounts []AccountTrouble
}

// AccountTrouble is a vendor account that sends nothing.
type AccountTrouble struct {
	Source, Account string
	// Denied tells that the vendor refused the credentials; else it asked us to wait until Until.
	Denied bool
	Until  *time.Time
}

const attentionSQL = `
select
  (select count(*) from ops.daemons where seen_at > @alive),
  (select count(*) from ops.inbox where state in ('unclassified', 'unparsable', 'quarantined'))`

const troubleSQL = `
select source, account_id, denied_at is not null, paused_until
from ops.budgets
where denied_at is not null or paused_until > @now
order by source, account_id`

// daemonAlive is how long after its last heartbeat a daemon counts as running.
const daemonAlive = 15 * time.Second

// Attention reads what needs an operator's eye.
func (db *DB) Attention(ctx context.Context) (Attention, error) {
	var a Attention
	now := db.Now()
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, attentionSQL, pgx.StrictNamedArgs{"alive": now.Add(-daemonAlive)}).Scan(&a.Daemons, &a.BadPosts); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, troubleSQL, pgx.StrictNamedArgs{"now": now})
		if err != nil {
			return err
		}
		a.Accounts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AccountTrouble])
		return err
	})
	if err != nil {
		return a, fmt.Errorf("reading what needs attention: %w", err)
	}
	return a, nil
}
