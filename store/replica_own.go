package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// The position is taken after the write's commit and lies behind it. What is there from long ago may be of another server's log,
// where the database was restored. That it is told of need not survive a crash, so nobody waits for the disk.
const apiWroteSQL = `
insert into ops.api_writes as w (org_id, caller, position, written_at)
select @org::uuid, @caller::text, pg_current_wal_insert_lsn(), clock_timestamp()
from set_config('synchronous_commit', 'off', true) as s (word)
where s.word = 'off'
on conflict (org_id, caller) do update
set position = case
    when w.written_at > clock_timestamp() - @bound::interval then greatest(w.position, excluded.position)
    else excluded.position
  end,
  written_at = excluded.written_at`

// wroteTimeout bounds how long an answer waits for its write to be noted.
const wroteTimeout = 3 * time.Second

func (r *Replica) wrote(ctx context.Context, who Caller) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wroteTimeout)
	defer cancel()
	err := r.primary.onConn(ctx, func(q Queryer) error {
		_, err := q.Exec(ctx, apiWroteSQL, pgx.StrictNamedArgs{"org": who.Org, "caller": who.Key, "bound": ReplicaMostBehind})
		return err
	})
	if err != nil {
		// Nobody knows now what the caller must see. By the end of this rest every replica that is read from shows it.
		r.fail(ReplicaUnsure, fmt.Errorf("noting the write of an api key: %w", err), ReplicaMostBehind)
	}
}

const ownPositionSQL = `
select coalesce((
  select w.position - '0/0'::pg_lsn
  from ops.api_writes w
  where w.org_id = @org
    and w.caller = @caller
    and w.written_at > now() - @bound::interval
), 0)::bigint`

// ownPosition is where the log was after the caller's last write, or 0 where that is so long ago that whatever is read shows it.
func (r *Replica) ownPosition(ctx context.Context, who Caller) (position int64, err error) {
	// Twice what a replica may be behind: the bound is held to a look's time, and clocks of two machines differ.
	args := pgx.StrictNamedArgs{"org": who.Org, "caller": who.Key, "bound": 2 * ReplicaMostBehind}
	err = r.primary.onConn(ctx, func(q Queryer) error { return q.QueryRow(ctx, ownPositionSQL, args).Scan(&position) })
	if err != nil {
		return 0, fmt.Errorf("reading where an api key's last write is: %w", err)
	}
	return position, nil
}
