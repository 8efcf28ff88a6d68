package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	// errNotShown means that a replica does not show yet what a read must see.
	errNotShown = errors.New("the replica does not show what is asked for")
	// errOwnNotShown means the same of a caller's own write.
	errOwnNotShown = errors.New("the replica does not show the caller's last write")
	// errPromoted means that a server takes writes and is not the primary.
	errPromoted = errors.New("TRUNKLINE_READ_DATABASE_URL leads to a server that was promoted and goes its own way")
	// errNotTold means that a replica did not say what it shows.
	errNotTold = errors.New("the replica does not say what it shows")
)

// proof is what a connection to the replica must show before it is read from.
type proof struct {
	// beat is the count that this process's row must have reached.
	beat int64
	// started is since when the primary runs: a server that recovers from nothing must be that one.
	started time.Time
	// own is the caller's last write, nil where whatever is read shows it.
	own *ownWrite
}

const replicaProofSQL = `
select pg_is_in_recovery() or pg_postmaster_start_time() = @started::timestamptz,
  exists (
    select
    from ops.replica_beats b
    where b.reader = @reader
      and b.beat >= @beat
  ),
  @caller::text is null or exists (
    select
    from ops.api_writes w
    where w.org_id = @org
      and w.caller = @caller
      and w.position = @position::text::pg_lsn
      and w.written_at = @written_at
  )`

// prove returns a connection that shows what is needed; the caller releases it. It is the connection itself that is asked: behind one
// address there may be several servers.
func (r *Replica) prove(ctx context.Context, need proof) (*pgxpool.Conn, error) {
	conn, err := r.copied.acquire(ctx)
	if err != nil {
		return nil, err
	}
	args := pgx.StrictNamedArgs{
		"started": need.started, "reader": r.reader, "beat": need.beat, "org": nil, "caller": nil, "position": nil, "written_at": nil,
	}
	if own := need.own; own != nil {
		args["org"], args["caller"], args["position"], args["written_at"] = own.who.Org, own.who.Key, own.position, own.writtenAt
	}
	asked, cancel := context.WithTimeout(ctx, replicaPatience)
	defer cancel()
	var copied, fresh, own bool
	err = conn.QueryRow(asked, replicaProofSQL, args).Scan(&copied, &fresh, &own)
	_, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case refused:
		err = fmt.Errorf("asking the replica what it shows: %w", err)
	case err != nil:
		err = fmt.Errorf("%w: %s", errNotTold, Loggable(err))
	case !copied:
		err = errPromoted
		_ = conn.Conn().Close(asked) // nobody is to come by it again
	case !fresh:
		err = errNotShown
	case !own:
		err = errOwnNotShown
	}
	if err != nil {
		conn.Release()
		return nil, err
	}
	return conn, nil
}
