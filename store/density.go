package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const walkDensitySQL = `
select sum(rows)::double precision / nullif(sum(extract(epoch from upper(time_window) - lower(time_window))), 0)::double precision,
  coalesce(
    (sum(rows) filter (where pages > 1))::double precision / nullif(sum(pages) filter (where pages > 1), 0)::double precision,
    nullif(max(rows), 0)::double precision),
  (array_agg(pages order by finished_at desc) filter (where time_window is null))[1]::double precision
from (
  select rows, pages, time_window, finished_at
  from ops.walks
  where org_id = @org
    and account_id = @account
    and source = @source
    and stream = @stream
    and state = 'done'
    and filters = '{}'
  order by created_at desc
  limit 1000
) w`

// Density is what the walks of a stream tell of its size. Zero means that nothing is known.
type Density struct {
	// RowsPerDay is the mean over the windows read; RowsPerPage that of walks with several pages, or the most rows on the one
	// page of a walk where none had more.
	RowsPerDay, RowsPerPage float64
	// WholePages is the number of pages of the last whole snapshot.
	WholePages float64
}

// Density reads what the latest walks of a stream found, for estimates.
func (db *DB) Density(ctx context.Context, key StreamKey) (Density, error) {
	var rowsPerSecond, rowsPerPage, whole *float64
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, walkDensitySQL, key.args(pgx.StrictNamedArgs{})).Scan(&rowsPerSecond, &rowsPerPage, &whole)
	})
	if err != nil {
		return Density{}, fmt.Errorf("reading how dense stream %s is: %w", key, err)
	}
	orZero := func(f *float64) float64 {
		if f == nil {
			return 0
		}
		return *f
	}
	return Density{RowsPerDay: orZero(rowsPerSecond) * 24 * time.Hour.Seconds(), RowsPerPage: orZero(rowsPerPage), WholePages: orZero(whole)}, nil
}

const daemonAliveSQL = `
select exists (
  select
  from ops.daemons
  where seen_at > @since)`

// daemonSilence is how long a daemon may say nothing before it counts as gone; it speaks every two seconds.
const daemonSilence = 10 * time.Second

// DaemonAlive tells whether a daemon with the worker role is at work on the database.
func (db *DB) DaemonAlive(ctx context.Context) (bool, error) {
	var alive bool
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, daemonAliveSQL, pgx.StrictNamedArgs{"since": db.Now().Add(-daemonSilence)}).Scan(&alive)
	})
	if err != nil {
		return false, fmt.Errorf("looking for daemons: %w", err)
	}
	return alive, nil
}
