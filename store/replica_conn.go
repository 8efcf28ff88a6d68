package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// replicaPoll is how often a replica is asked whether it has caught up.
const replicaPoll = 100 * time.Millisecond

// Conn looks at the replica and returns a connection to it that shows whatever was committed by then; the caller releases it. It
// waits for that as long as patience. Where it fails, State says why, unless ctx is over.
func (r *Replica) Conn(ctx context.Context, patience time.Duration) (*pgxpool.Conn, error) {
	if err := r.judge(ctx); err != nil && !errors.Is(err, errYoung) {
		s := r.State()
		return nil, fmt.Errorf("the replica is not read from (%s): %w", s.Trouble, err)
	}
	r.mu.Lock()
	need := proof{beat: r.beats[len(r.beats)-1].count, started: r.started}
	r.mu.Unlock()
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(replicaPoll)
	defer ticker.Stop()
	var behind error
	for {
		conn, err := r.prove(waiting, need)
		if err == nil {
			return conn, nil
		}
		if errors.Is(err, errNotShown) {
			behind = err
			select {
			case <-ticker.C:
				continue
			case <-waiting.Done():
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err() // no fault of the replica's
		}
		if behind != nil && waiting.Err() != nil {
			err = behind // it answers, but for the last time, which we cut short
		}
		trouble, _ := replicaOutcome(err)
		r.fail(trouble, err, 0)
		return nil, err
	}
}

// EndedByReplica tells whether a replica broke off what it was asked, or was lost: on the primary the same may succeed.
func EndedByReplica(err error) bool {
	outcome, _ := replicaOutcome(err)
	return outcome != ReplicaServed && outcome != ReplicaNotFound
}
