package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// JobRow is one of River's jobs that has not ended well. Times are UTC.
type JobRow struct {
	ID                  int64
	Kind, State         string
	Attempt, MaxAttempt int
	ScheduledAt         time.Time
	AttemptedAt         *time.Time
	// Error is its last one.
	Error *string
}

const jobsBrowseSQL = `
select id, kind, state::text, attempt, max_attempts, scheduled_at, attempted_at, errors[array_upper(errors, 1)] ->> 'error'
from river.river_job
where state in ('available', 'cancelled', 'discarded', 'pending', 'retryable', 'running', 'scheduled')
  and (@kind = '' or kind = @kind)
  and (@state = '' or state::text = @state)
order by scheduled_at desc, id desc
limit @limit`

// BrowseJobs returns jobs that are not completed, the latest first; kind and state empty ask for all.
func (db *DB) BrowseJobs(ctx context.Context, kind, state string, limit int) ([]JobRow, error) {
	var list []JobRow
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, jobsBrowseSQL, pgx.StrictNamedArgs{"kind": kind, "state": state, "limit": limit})
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[JobRow])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing jobs: %w", err)
	}
	return list, nil
}
