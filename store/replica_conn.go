package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// replicaPoll is how often a replica is asked whether it has caught up.
const replicaPoll = 100 * time.Millisecond

// Conn looks at the replica and returns a connection to it that shows whatever was committed by then; the caller releases it. It
// waits for that as long as patience. Where it fails, State says why.
func (r *Replica) Conn(ctx context.Context, patience time.Duration) (*pgxpool.Conn, error) {
	r.Look(ctx)
	if s := r.State(); s.Trouble != "" {
		return nil, fmt.Errorf("the replica is not read from (%s): %w", s.Trouble, s.Cause)
	}
	r.mu.Lock()
	ctx = context.WithValue(ctx, positionKey{}, r.samples[len(r.samples)-1].position)
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(replicaPoll)
	defer ticker.Stop()
	var behind error
	for {
		conn, err := r.copied.acquire(ctx)
		if err == nil {
			return conn, nil
		}
		if errors.Is(err, errNotReplayed) {
			behind = err
			select {
			case <-ticker.C:
				continue
			case <-ctx.Done():
			}
		}
		if behind != nil && ctx.Err() != nil {
			err = behind // it answers, but for the last time, which we cut short
		}
		trouble, _ := replicaOutcome(err)
		r.fail(trouble, err, 0)
		return nil, err
	}
}

// EndedByReplica tells whether a replica broke off what it was asked, with a word: on the primary the same may succeed.
func EndedByReplica(err error) bool {
	_, refused := errors.AsType[*pgconn.PgError](err)
	outcome, _ := replicaOutcome(err)
	return refused && outcome != ReplicaServed
}
