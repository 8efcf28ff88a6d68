package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const walksRecentSQL = `
select` + walkColumns + `
from ops.walks
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
order by created_at desc
limit @limit`

// RecentWalks returns a stream's walks, the latest first, windows of backfills among them.
func (db *DB) RecentWalks(ctx context.Context, key StreamKey, limit int) ([]Walk, error) {
	var walks []Walk
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, walksRecentSQL, key.args(pgx.StrictNamedArgs{"limit": limit}))
		if err != nil {
			return err
		}
		walks, err = pgx.CollectRows(rows, scanWalk)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing walks of stream %s: %w", key, err)
	}
	return walks, nil
}
