package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// walkRetention is how long a walk that has ended is kept; walksAtOnce is how many go in one transaction.
const (
	walkRetention = 30 * 24 * time.Hour
	walksAtOnce   = 5000
)

// The latest of each kind of a stream stays, and so do the windows of backfills, which tell of an order that is kept.
const walksForgetSQL = `
delete from ops.walks
where id in (
  select w.id
  from ops.walks w
  where w.backfill_id is null
    and w.state in ('done', 'failed', 'cancelled')
    and w.finished_at < @before
    and exists (
      select
      from ops.walks n
      where n.org_id = w.org_id
        and n.account_id = w.account_id
        and n.source = w.source
        and n.stream = w.stream
        and n.kind = w.kind
        and n.backfill_id is null
        and n.state = w.state
        and n.created_at > w.created_at)
  limit @most)`

// forgetWalks removes walks that ended long ago.
func (u *Upkeeper) forgetWalks(ctx context.Context) error {
	for {
		var gone int64
		err := u.DB.onConn(ctx, func(q Queryer) error {
			tag, err := q.Exec(ctx, walksForgetSQL, pgx.StrictNamedArgs{"before": u.DB.Now().Add(-walkRetention), "most": walksAtOnce})
			gone = tag.RowsAffected()
			return err
		})
		if err != nil {
			return fmt.Errorf("forgetting old walks: %w", err)
		}
		if gone < walksAtOnce {
			return nil
		}
	}
}
