package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Attention is what an operator has to know beside the state of streams and deliveries.
type Attention struct {
	// Daemons is how many were heard of in the last quarter of a minute.
	Daemons int
	// BadPosts are posts that nobody understood.
	BadPosts int
	Accounts []AccountTrouble
	// Notices are the open rows of ops.attention.
	Notices []string
	// OpenOptOuts counts do-not-call obligations that a dialler has not confirmed within a few minutes, since OldestOptOut.
	OpenOptOuts  int
	OldestOptOut *time.Time
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

const noticesSQL = `
select detail
from ops.attention
where cleared_at is null
order by since`

// optOutLate is how long an obligation may take before a person should know.
const optOutLate = 5 * time.Minute

const openOptOutsSQL = `
select count(*), min(created_at)
from ops.deliveries
where operation = @operation
  and state in ('ready', 'sending', 'unknown')
  and created_at < @late`

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
		if a.Accounts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AccountTrouble]); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, noticesSQL); err != nil {
			return err
		}
		if a.Notices, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		return tx.QueryRow(ctx, openOptOutsSQL, pgx.StrictNamedArgs{
			"operation": pipeline.OperationAddDNC, "late": now.Add(-optOutLate),
		}).Scan(&a.OpenOptOuts, &a.OldestOptOut)
	})
	if err != nil {
		return a, fmt.Errorf("reading what needs attention: %w", err)
	}
	return a, nil
}
