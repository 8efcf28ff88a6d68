package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trunkline/trunkline/migrations"
)

const (
	// replicaLook is how often the primary and the replica are asked how far they are, replicaFit how often the replica's schema is
	// looked at while all is well.
	replicaLook = time.Second
	replicaFit  = time.Minute
	// lookPatience bounds one look.
	lookPatience = 3 * time.Second
	// samplesKept is for how long is remembered how far the primary was, and so how far behind a replica can be seen to be.
	samplesKept = 10 * time.Minute
)

// sample is how far the primary was at a time of ours.
type sample struct {
	at       time.Time
	position int64
}

// Run looks at the replica until ctx ends.
func (r *Replica) Run(ctx context.Context) {
	ticker := time.NewTicker(replicaLook)
	defer ticker.Stop()
	for {
		r.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Look finds out how far the replica is behind and whether it is fit, unless it failed a moment ago.
func (r *Replica) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	trouble, err := r.look(ctx)
	switch {
	case errors.Is(err, errResting), errors.Is(ctx.Err(), context.Canceled):
	case trouble == ReplicaBehind:
		r.fail(trouble, err, 0) // it answers, and is looked at to tell how far behind it is
	case trouble != "":
		r.fail(trouble, err, replicaRest)
	default:
		r.trust()
	}
}

// errResting means that the replica is not to be asked anything yet.
var errResting = errors.New("the replica rests")

// look tells what is wrong with the replica. The primary is asked first: what it says must be the older word.
func (r *Replica) look(ctx context.Context) (trouble string, err error) {
	// The flushed part of the log is what a replica can have; the rest is not anybody's yet, or follows within a second.
	here, err := serverOf(ctx, r.primary)
	if err != nil {
		return ReplicaUnsure, fmt.Errorf("asking the primary how far it is: %w", err)
	}
	if here.recovering {
		return ReplicaUnsure, ErrReadOnly
	}
	if r.note(here.position) {
		return "", errResting
	}
	there, err := serverOf(ctx, r.copied)
	if err == nil && r.due() {
		err = r.fits(ctx)
	}
	if err != nil {
		if trouble, _ = replicaOutcome(err); trouble == ReplicaServed {
			trouble = ReplicaAway
		}
		return trouble, err
	}
	switch {
	case there.system != here.system:
		return ReplicaUnfit, errors.New("TRUNKLINE_READ_DATABASE_URL leads to a server that is no copy of the primary")
	case !there.recovering && there.timeline != here.timeline:
		return ReplicaUnfit, errors.New("TRUNKLINE_READ_DATABASE_URL leads to a server that was promoted and goes its own way")
	}
	if lag := r.measured(there.position); lag > ReplicaMostBehind {
		return ReplicaBehind, fmt.Errorf("it is %s behind", lag.Round(time.Second))
	}
	return "", nil
}

// server is what a server says of itself.
type server struct {
	recovering bool
	system     int64
	// timeline is that of a server that is not recovering.
	timeline string
	position int64
}

const serverSQL = `
select pg_is_in_recovery(), c.system_identifier,
  case when pg_is_in_recovery() then '' else left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) end,
  coalesce(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end - '0/0'::pg_lsn, 0)::bigint
from pg_control_system() c`

func serverOf(ctx context.Context, db *DB) (s server, err error) {
	err = db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, serverSQL).Scan(&s.recovering, &s.system, &s.timeline, &s.position)
	})
	return s, err
}

// due tells whether the schema is to be looked at.
func (r *Replica) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble != "" || r.primary.Now().Sub(r.fitted) > replicaFit
}

// fits tells whether the replica has our schema. A newer one is what a daemon of a newer version made while this one runs; an
// analyst may not see which it has, and what is asked of it will tell.
func (r *Replica) fits(ctx context.Context) error {
	err := migrations.Check(ctx, r.copied.Pool)
	denied, ok := errors.AsType[*pgconn.PgError](err)
	if err != nil && !errors.Is(err, migrations.ErrAhead) && (!ok || denied.Code != "42501") {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fitted = r.primary.Now()
	return nil
}

// note remembers how far the primary is now, and forgets what no longer bounds anything. It tells whether the replica rests.
func (r *Replica) note(position int64) (resting bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.primary.Now()
	r.samples = append(r.samples, sample{now, position})
	for len(r.samples) > 1 && now.Sub(r.samples[1].at) >= samplesKept {
		r.samples = r.samples[1:]
	}
	return now.Before(r.rest)
}

// floor is what every read must see: how far the primary was at the eldest look of the time that a replica may be behind. Without any
// such look nobody knows.
func (r *Replica) floor(now time.Time) (position int64, known bool) {
	for _, s := range slices.Backward(r.samples) {
		if now.Sub(s.at) > ReplicaMostBehind {
			break
		}
		position, known = s.position, true
	}
	return position, known
}

// measured keeps and returns for how long, at least, the primary has been further than a position.
func (r *Replica) measured(position int64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lag = 0
	for _, s := range r.samples {
		if s.position > position {
			r.lag = r.primary.Now().Sub(s.at)
			break
		}
	}
	return r.lag
}
