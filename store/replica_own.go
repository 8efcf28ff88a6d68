package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ownWrite is the last write of a caller's, as ops.api_writes has it.
type ownWrite struct {
	who       Caller
	position  string
	writtenAt time.Time
}

// writingBound is for how long a request that nobody answered may have been writing, and for how long a replica may lack that.
const writingBound = time.Minute

// It commits before the write does, and so is on the disk by then: nobody waits for that.
const apiWritingSQL = `
with cut as (
  delete from ops.api_writing
  where (org_id, caller, id) in (
    select o.org_id, o.caller, o.id
    from ops.api_writing o
    where o.org_id = @org
      and o.caller = @caller
      and o.since < clock_timestamp() - @bound::interval
    for update skip locked
  )
)
insert into ops.api_writing (org_id, caller, id, since)
select @org::uuid, @caller::text, @id::uuid, clock_timestamp()
from set_config('synchronous_commit', 'off', true) as s (word)
where s.word = 'off'`

// The row is committed after the write was, and so a replica that shows it shows the write. That it is told of need not survive a
// crash, so nobody waits for the disk.
const apiWroteSQL = `
with answered as (
  delete from ops.api_writing
  where org_id = @org
    and caller = @caller
    and id = @id
)
insert into ops.api_writes (org_id, caller, position, written_at)
select @org::uuid, @caller::text, pg_current_wal_insert_lsn(), clock_timestamp()
from set_config('synchronous_commit', 'off', true) as s (word)
where s.word = 'off'
on conflict (org_id, caller) do update
set position = excluded.position,
  written_at = excluded.written_at`

// wroteTimeout bounds how long an answer waits for its write to be noted.
const wroteTimeout = 3 * time.Second

// writing notes that a request of the caller's may write. Until wrote is called, or writingBound has passed, the caller reads from the
// primary, at whatever daemon: also where this one is killed or cannot note the end.
func (r *Replica) writing(ctx context.Context, who Caller) (wrote func(), err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("noting a write of an api key: %w", err)
	}
	note := func(ctx context.Context, sql string, args pgx.StrictNamedArgs) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wroteTimeout)
		defer cancel()
		return r.primary.onConn(ctx, func(q Queryer) error {
			_, err := q.Exec(ctx, sql, args)
			return err
		})
	}
	if err := note(ctx, apiWritingSQL, pgx.StrictNamedArgs{"org": who.Org, "caller": who.Key, "id": id, "bound": writingBound}); err != nil {
		return nil, fmt.Errorf("noting a write of an api key: %w", err)
	}
	return func() {
		if err := note(ctx, apiWroteSQL, pgx.StrictNamedArgs{"org": who.Org, "caller": who.Key, "id": id}); err != nil {
			r.primary.Log.Warn("the end of an api key's write could not be noted: the key reads from the primary for a minute", "error", Loggable(err))
		}
	}, nil
}

const lastWriteSQL = `
select exists (
    select
    from ops.api_writing o
    where o.org_id = @org
      and o.caller = @caller
      and o.since > now() - @writing::interval
  ), w.position::text, w.written_at
from (select) one
left join ops.api_writes w on w.org_id = @org
  and w.caller = @caller
  and w.written_at > now() - @bound::interval`

// lastWrite is the caller's last write, nil where that is so long ago that whatever is read shows it. trouble tells that only the
// primary will do.
func (r *Replica) lastWrite(ctx context.Context, who Caller) (own *ownWrite, trouble string) {
	// Twice what a replica may be behind: the bound is held to a look's time, and clocks of two machines differ.
	args := pgx.StrictNamedArgs{"org": who.Org, "caller": who.Key, "writing": writingBound, "bound": 2 * ReplicaMostBehind}
	var (
		writing  bool
		position *string
		at       *time.Time
	)
	err := r.primary.onConn(ctx, func(q Queryer) error { return q.QueryRow(ctx, lastWriteSQL, args).Scan(&writing, &position, &at) })
	switch {
	case err != nil:
		return nil, ReplicaUnsure // and the primary says by itself what is wrong with it
	case writing:
		return nil, ReplicaOwnWrite
	case position == nil || at == nil:
		return nil, ""
	}
	return &ownWrite{who, *position, *at}, ""
}
