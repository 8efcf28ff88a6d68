package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// backlogAge is how long work may wait for its own wake-up before the sweeper makes another.
const backlogAge = 2 * time.Second

// Backlog is what waits although nobody has been woken for it.
type Backlog struct {
	Reconcile bool
	Inbox     bool
}

// A job that is running says nothing: its daemon may be dead. Only one that waits for a worker is a wake-up to come.
const backlogSQL = `
select
  exists (select from ops.reconcile_queue where queued_at < @before)
    and not exists (select from river.river_job where kind = 'reconcile' and state = 'available'),
  exists (select from ops.inbox where state = 'new' and received_at < @before)
    and not exists (select from river.river_job where kind = 'inbox' and state = 'available')`

// Backlog looks for work whose wake-up was lost.
func (db *DB) Backlog(ctx context.Context, q Queryer) (Backlog, error) {
	var b Backlog
	err := q.QueryRow(ctx, backlogSQL, pgx.StrictNamedArgs{"before": db.Now().Add(-backlogAge)}).Scan(&b.Reconcile, &b.Inbox)
	if err != nil {
		return b, fmt.Errorf("looking for work that waits: %w", err)
	}
	return b, nil
}

const walkWokenSQL = `
select exists (
  select from river.river_job
  where kind = 'walk' and state in ('available', 'scheduled') and args ->> 'walk_id' = @id::text)`

// WalkWoken tells whether a job for the walk waits for a worker or for its time.
func (db *DB) WalkWoken(ctx context.Context, q Queryer, id uuid.UUID) (bool, error) {
	var woken bool
	if err := q.QueryRow(ctx, walkWokenSQL, pgx.StrictNamedArgs{"id": id}).Scan(&woken); err != nil {
		return false, fmt.Errorf("asking whether walk %s has a job: %w", id, err)
	}
	return woken, nil
}

const walkFailedSinceSQL = `
select exists (
  select from ops.walks
  where org_id = @org and account_id = @account and source = @source and stream = @stream
    and kind = @kind and state = 'failed' and finished_at > @since)`

// WalkFailedSince tells whether a walk of the kind has failed in the stream since a time.
func (db *DB) WalkFailedSince(ctx context.Context, q Queryer, key StreamKey, kind string, since time.Time) (bool, error) {
	var failed bool
	err := q.QueryRow(ctx, walkFailedSinceSQL, key.args(pgx.StrictNamedArgs{"kind": kind, "since": since})).Scan(&failed)
	if err != nil {
		return false, fmt.Errorf("asking how the last walk of stream %s ended: %w", key, err)
	}
	return failed, nil
}

const destinationWokenSQL = `
select exists (
  select from river.river_job
  where kind = 'deliver' and state = 'available' and args ->> 'destination' = @destination)`

// DestinationWoken tells whether a job for the destination's drain waits for a worker.
func (db *DB) DestinationWoken(ctx context.Context, q Queryer, destination string) (bool, error) {
	var woken bool
	if err := q.QueryRow(ctx, destinationWokenSQL, pgx.StrictNamedArgs{"destination": destination}).Scan(&woken); err != nil {
		return false, fmt.Errorf("asking whether %s has a job: %w", destination, err)
	}
	return woken, nil
}

const heartbeatSQL = `
insert into ops.daemons (daemon_id, host, version, started_at, seen_at)
values (@id, @host, @version, @started, @now)
on conflict (daemon_id) do update
set seen_at = excluded.seen_at`

const daemonsForgetSQL = `delete from ops.daemons where seen_at < @before`

// Daemon is one process at work on the database.
type Daemon struct {
	ID        uuid.UUID
	Host      string
	Version   string
	StartedAt time.Time
}

// Heartbeat says that the daemon lives, and forgets those unheard of for a day.
func (db *DB) Heartbeat(ctx context.Context, d Daemon) error {
	now := db.Now()
	_, err := db.Pool.Exec(ctx, heartbeatSQL, pgx.StrictNamedArgs{"id": d.ID, "host": d.Host, "version": d.Version, "started": d.StartedAt, "now": now})
	if err == nil {
		_, err = db.Pool.Exec(ctx, daemonsForgetSQL, pgx.StrictNamedArgs{"before": now.Add(-24 * time.Hour)})
	}
	if err != nil {
		return fmt.Errorf("writing the daemon's heartbeat: %w", err)
	}
	return nil
}

const farewellSQL = `
delete from ops.daemons
where daemon_id = @id`

// Farewell forgets a daemon that has stopped.
func (db *DB) Farewell(ctx context.Context, id uuid.UUID) error {
	if _, err := db.Pool.Exec(ctx, farewellSQL, pgx.StrictNamedArgs{"id": id}); err != nil {
		return fmt.Errorf("forgetting the daemon: %w", err)
	}
	return nil
}
