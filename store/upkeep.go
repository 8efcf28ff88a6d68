package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Retention is how long what is not needed for a rebuild is kept.
type Retention struct {
	History time.Duration
	Inbox   time.Duration
}

// Upkeeper keeps the partitioned tables in shape.
type Upkeeper struct {
	DB        *DB
	Retention Retention
}

const partitionsEnsureSQL = `select ops.ensure_partitions(@now, 3)`

// A partition is dropped as a whole, once its upper bound is older than the retention. One with posts that nobody has
// settled stays: nothing that was acknowledged is lost for its age.
const partitionsDropSQL = `select ops.drop_partitions(@table, @before)`

const temporaryRevokeSQL = `select ops.revoke_temporary()`

// Upkeep makes the partitions of the months to come and drops those past their retention. It also
// takes from analysts the right to make temporary tables, which a database made from a dump or a template gives them again.
func (u *Upkeeper) Upkeep(ctx context.Context) error {
	now := u.DB.Now()
	return u.DB.InTx(ctx, func(tx pgx.Tx) error {
		var made int
		if err := tx.QueryRow(ctx, partitionsEnsureSQL, pgx.StrictNamedArgs{"now": now}).Scan(&made); err != nil {
			return fmt.Errorf("making partitions: %w", err)
		}
		// Under the lock that the partitions took: two at a time would fail.
		if _, err := tx.Exec(ctx, temporaryRevokeSQL); err != nil {
			return fmt.Errorf("revoking temporary tables: %w", err)
		}
		dropped := 0
		for table, keep := range map[string]time.Duration{"record_history": u.Retention.History, "inbox": u.Retention.Inbox} {
			var n int
			if err := tx.QueryRow(ctx, partitionsDropSQL, pgx.StrictNamedArgs{"table": table, "before": now.Add(-keep)}).Scan(&n); err != nil {
				return fmt.Errorf("dropping old partitions of %s: %w", table, err)
			}
			dropped += n
		}
		if made+dropped > 0 {
			u.DB.Log.InfoContext(ctx, "partitions kept in shape", "made", made, "dropped", dropped)
		}
		return nil
	})
}
