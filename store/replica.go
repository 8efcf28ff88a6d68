package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// ReplicaMostBehind is how far behind the primary a replica may be that is read from.
	ReplicaMostBehind = 10 * time.Second
	// replicaRest is for how long a replica that failed is left alone.
	replicaRest = 5 * time.Second
	// replicaPatience bounds the wait for a connection to the replica, and for its word on how far it is.
	replicaPatience = time.Second
)

// Outcomes of reads that might have gone to a replica, as Observe is told of them. All but the first went to the primary.
const (
	ReplicaServed = "served"
	// ReplicaOwnWrite is a caller's own write that the replica has not replayed.
	ReplicaOwnWrite = "own_write"
	// ReplicaNotFound is a single thing that the replica does not have yet, or that there is not.
	ReplicaNotFound = "not_found"
	// ReplicaConflict is a statement that the replica ended because its rows were being removed.
	ReplicaConflict = "conflict"
	// ReplicaBehind is a replica that is too far behind for everybody.
	ReplicaBehind = "behind"
	// ReplicaAway is one that does not answer in time, or has no connection free.
	ReplicaAway = "away"
	// ReplicaUnfit is one that lacks tables or columns, or is no copy of this primary.
	ReplicaUnfit = "unfit"
	// ReplicaUnsure is a primary that does not tell how far it is, so that nobody knows what a replica lacks.
	ReplicaUnsure = "unsure"
)

var (
	// errNotReplayed means that a replica has not replayed what a read must see.
	errNotReplayed = errors.New("the replica has not replayed what is asked for")
	// errNotTold means that a replica did not say how far it is.
	errNotTold = errors.New("the replica does not say how far it is")
)

// Replica is a copy of the primary that is only read from. Make it with OpenReplica; it is used once Run or Look has found it fit.
type Replica struct {
	primary, copied *DB
	observe         func(outcome string)

	mu sync.Mutex
	// trouble is why it is not read from, empty while it is, told what the log said of that last; rest is until when it is not even
	// looked at.
	trouble string
	cause   error
	rest    time.Time
	told    string
	lag     time.Duration
	// samples are how far the primary was when, the eldest first; fitted is when the schema was last looked at.
	samples []sample
	fitted  time.Time
}

// ReplicaState is how a replica stands.
type ReplicaState struct {
	// Trouble is why it is not read from: ReplicaBehind, ReplicaAway, ReplicaUnfit or ReplicaUnsure; empty while it is. Cause may hold what an operator wants to know.
	Trouble string
	Cause   error
	// Lag is how far it is behind, at least.
	Lag time.Duration
}

// OpenReplica opens connections to a copy of the primary, or to the primary itself. Nothing is asked of it yet; it fails where dsn
// cannot be read. observe is told what became of each read, nil tells nobody.
func OpenReplica(ctx context.Context, primary *DB, dsn string, maxConns int32, observe func(outcome string)) (*Replica, error) {
	pool, err := OpenPool(ctx, dsn, PoolOptions{MaxConns: maxConns, Name: "trunkline reads", ReadOnly: true, Prepare: replayed})
	if err != nil {
		return nil, err
	}
	if observe == nil {
		observe = func(string) {}
	}
	return &Replica{
		primary: primary, observe: observe, trouble: ReplicaUnsure, cause: errors.New("it was not looked at yet"),
		copied: &DB{Pool: pool, Log: primary.Log, Clock: primary.Clock, patience: replicaPatience},
	}, nil
}

// Close ends the connections.
func (r *Replica) Close() { r.copied.Pool.Close() }

// State tells how it stands.
func (r *Replica) State() ReplicaState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ReplicaState{r.trouble, r.cause, r.lag}
}

// positionKey is under which a context carries the position that a connection to the replica must have replayed.
type positionKey struct{}

const replayedSQL = `
select coalesce(case
  when pg_is_in_recovery() then pg_last_wal_replay_lsn()
  else pg_current_wal_insert_lsn()
end - '0/0'::pg_lsn >= @position::bigint, false)`

// replayed lets a connection be used that is as far as the context asks for. It is the connection itself that is asked: behind one
// address there may be several replicas.
func replayed(ctx context.Context, conn *pgx.Conn) (valid bool, err error) {
	position, asked := ctx.Value(positionKey{}).(int64)
	if !asked {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, replicaPatience)
	defer cancel()
	var far bool
	if err := conn.QueryRow(ctx, replayedSQL, pgx.StrictNamedArgs{"position": position}).Scan(&far); err != nil {
		return false, fmt.Errorf("%w: %s", errNotTold, Loggable(err)) // its own end is not the pool's
	}
	if !far {
		return true, errNotReplayed
	}
	return true, nil
}

// read runs work on the replica where it is fit for the caller. answered tells that err is the answer; else the primary is to be
// asked.
func (r *Replica) read(ctx context.Context, who Caller, work func(ctx context.Context, from Reader) error) (answered bool, err error) {
	trouble, floor := r.standing()
	if trouble != "" {
		r.observe(trouble)
		return false, nil
	}
	own, err := r.ownPosition(ctx, who)
	if err != nil {
		r.observe(ReplicaUnsure) // and the primary says by itself what is wrong with it
		return false, nil
	}
	err = work(context.WithValue(ctx, positionKey{}, max(own, floor)), r.copied)
	outcome, lasting := replicaOutcome(err)
	if outcome == ReplicaBehind && own > floor {
		outcome = ReplicaOwnWrite
	}
	r.observe(outcome)
	if lasting {
		r.fail(outcome, err, replicaRest)
	}
	return outcome == ReplicaServed, err
}

// standing tells whether the replica may be tried, and what every read must see.
func (r *Replica) standing() (trouble string, floor int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != "" {
		return r.trouble, 0
	}
	floor, known := r.floor(r.primary.Now())
	if !known {
		return ReplicaUnsure, 0
	}
	return "", floor
}

// fail keeps reads from the replica, until a look after the rest finds it fit again. That is told once for a reason.
func (r *Replica) fail(trouble string, cause error, rest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.told != trouble
	r.trouble, r.cause, r.told = trouble, cause, trouble
	r.rest = r.primary.Now().Add(rest)
	if news {
		r.primary.Log.Warn("the replica is not read from: reads go to the primary", "reason", trouble, "error", Loggable(cause))
	}
}

// trust lets reads go to the replica, unless it failed somebody while it was looked at.
func (r *Replica) trust() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.primary.Now().Before(r.rest) {
		return
	}
	if r.trouble != "" {
		r.primary.Log.Info("reads go to the replica")
	}
	r.trouble, r.cause, r.told = "", nil, ""
}
