package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// ReplicaMostBehind is how far behind the primary a replica may be that is read from.
	ReplicaMostBehind = 10 * time.Second
	// replicaRest is for how long a replica that failed is left alone.
	replicaRest = 5 * time.Second
	// replicaCalm is for how long a replica must not have failed until the log says that it is read from again.
	replicaCalm = time.Minute
	// replicaPatience bounds the wait for a connection to the replica, and for its word on what it shows.
	replicaPatience = time.Second
	// replicaShare is the part of a request's time that the replica has; the rest is left for the primary. The replica ends a statement
	// by itself a little before.
	replicaShare     = 8 * time.Second
	replicaStatement = 7 * time.Second
)

// Outcomes of reads that might have gone to a replica, as Observe is told of them. All but the first went to the primary.
const (
	ReplicaServed = "served"
	// ReplicaOwnWrite is a caller's own write that the replica does not show, or that is under way.
	ReplicaOwnWrite = "own_write"
	// ReplicaNotFound is a single thing that the replica does not have yet, or that there is not.
	ReplicaNotFound = "not_found"
	// ReplicaConflict is a statement that the replica ended because its rows were being removed.
	ReplicaConflict = "conflict"
	// ReplicaSlow is a statement that took too long on the replica, or waited there for a lock.
	ReplicaSlow = "slow"
	// ReplicaBehind is a replica that is too far behind for everybody.
	ReplicaBehind = "behind"
	// ReplicaAway is one that does not answer in time, or has no connection free.
	ReplicaAway = "away"
	// ReplicaUnfit is one that lacks tables or columns, or is no copy of this primary.
	ReplicaUnfit = "unfit"
	// ReplicaUnsure is a primary that takes no beat, so that nobody knows what a replica lacks.
	ReplicaUnsure = "unsure"
)

// Replica is a copy of the primary that is only read from. Make it with OpenReplica; it is used once Run or Look has found it fit.
//
// When it is read from: a daemon writes a beat to the primary each second (Look). A connection to the replica is used where it shows
// a beat of this daemon's that is no older than ReplicaMostBehind, and the last write of the caller's as the primary shows it (prove).
// What is shown proves that a server is a copy, and how new: a place in its log would not, for every server counts its own.
type Replica struct {
	primary, copied *DB
	observe         func(outcome string)
	// reader is by what this process's beats are known.
	reader uuid.UUID

	mu sync.Mutex
	// trouble is why it is not read from, empty while it is; rest is until when it is not even looked at.
	trouble string
	cause   error
	rest    time.Time
	// told is what the log said of that last, failed when it last failed.
	told   string
	failed time.Time
	lag    time.Duration
	// beats are the latest that the primary took, the eldest first; started is since when that server runs, fitted when the schema of
	// the replica was last looked at.
	beats   []beat
	started time.Time
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

// notLookedAt stands in the log's place before anybody looked.
const notLookedAt = "not looked at"

// OpenReplica opens connections to a copy of the primary, or to the primary itself. Nothing is asked of it yet; it fails where dsn
// cannot be read. observe is told what became of each read, nil tells nobody.
func OpenReplica(ctx context.Context, primary *DB, dsn string, maxConns int32, observe func(outcome string)) (*Replica, error) {
	reader, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("drawing the id of a reader: %w", err)
	}
	pool, err := OpenPool(ctx, dsn, PoolOptions{MaxConns: maxConns, Name: "trunkline reads", Statement: replicaStatement, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	if observe == nil {
		observe = func(string) {}
	}
	return &Replica{
		primary: primary, observe: observe, reader: reader,
		trouble: ReplicaUnsure, cause: errors.New("it does not show yet what was written since"), told: notLookedAt,
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

// Young tells whether nothing is known of it yet: it still has time to show what this process wrote.
func (r *Replica) Young() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble != "" && r.told == notLookedAt
}

// read runs work on one connection to the replica where that is fit for the caller. answered tells that err is the answer; else the
// primary is to be asked, for which time is left.
func (r *Replica) read(ctx context.Context, who Caller, work func(ctx context.Context, from Reader) error) (answered bool, err error) {
	need, trouble := r.needed()
	if trouble == "" {
		need.own, trouble = r.lastWrite(ctx, who)
	}
	if trouble != "" {
		r.observe(trouble)
		return false, nil
	}
	share, cancel := context.WithTimeout(ctx, replicaShare)
	defer cancel()
	err = r.serve(share, need, work)
	if ctx.Err() != nil {
		return true, err // nobody waits for an answer any more
	}
	outcome, lasting := replicaOutcome(err)
	r.observe(outcome)
	if lasting {
		r.fail(outcome, err, replicaRest)
	}
	return outcome == ReplicaServed, err
}

func (r *Replica) serve(ctx context.Context, need proof, work func(ctx context.Context, from Reader) error) error {
	conn, err := r.prove(ctx, need)
	if err != nil {
		return err
	}
	defer conn.Release()
	return work(ctx, r.copied.on(conn))
}

// needed is what every read must see, or why the replica may not be tried.
func (r *Replica) needed() (need proof, trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != "" {
		return proof{}, r.trouble
	}
	floor, known := r.floor(r.primary.Now())
	if !known {
		return proof{}, ReplicaUnsure
	}
	return proof{beat: floor, started: r.started}, ""
}

// fail keeps reads from the replica, until a look after the rest finds it fit again. That is told once for a reason.
func (r *Replica) fail(trouble string, cause error, rest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.told != trouble
	now := r.primary.Now()
	r.trouble, r.cause, r.told, r.failed = trouble, cause, trouble, now
	if until := now.Add(rest); until.After(r.rest) {
		r.rest = until
	}
	if news {
		r.primary.Log.Warn("the replica is not read from: reads go to the primary", "reason", trouble, "error", Loggable(cause))
	}
}

// trust lets reads go to the replica, unless it failed somebody while it was looked at. The log says so once it has lasted: one that
// serves and fails by turns is told of once.
func (r *Replica) trust() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.primary.Now()
	if now.Before(r.rest) {
		return
	}
	r.trouble, r.cause = "", nil
	if r.told != "" && now.Sub(r.failed) >= replicaCalm {
		r.told = ""
		r.primary.Log.Info("reads go to the replica")
	}
}
