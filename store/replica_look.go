package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/migrations"
)

const (
	// replicaLook is how often the primary gets a beat and the replica is asked for it, replicaFit how often the replica's schema is
	// looked at while all is well.
	replicaLook = time.Second
	replicaFit  = time.Minute
	// lookPatience bounds one look.
	lookPatience = 3 * time.Second
	// beatsKept is for how long is remembered what the primary was told, and so how far behind a replica can be seen to be.
	beatsKept = 10 * time.Minute
)

// beat is a count that the primary took, and when, at the latest, what was committed shows wherever the count does.
type beat struct {
	at    time.Time
	count int64
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
func (r *Replica) Look(ctx context.Context) { _ = r.judge(ctx) }

var (
	// errResting means that the replica is not to be asked anything yet.
	errResting = errors.New("the replica rests")
	// errYoung means that the replica has not yet had the time to show a first beat.
	errYoung = errors.New("the replica does not show this process's first beat yet")
	// errNoCopy means that a server is none of the primary's.
	errNoCopy = errors.New("TRUNKLINE_READ_DATABASE_URL leads to a database that is no copy of the primary's")
)

// judge looks, and lets reads go to the replica or not.
func (r *Replica) judge(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	trouble, err := r.look(look)
	switch {
	case ctx.Err() != nil, errors.Is(err, errResting), errors.Is(err, errYoung):
	case trouble == ReplicaBehind:
		r.fail(trouble, err, 0) // it answers, and is looked at to tell how far behind it is
	case trouble != "":
		r.fail(trouble, err, replicaRest)
	default:
		r.trust()
	}
	return err
}

// look tells what is wrong with the replica. The primary is told first.
func (r *Replica) look(ctx context.Context) (trouble string, err error) {
	here, resting, err := r.tell(ctx)
	if err != nil {
		return ReplicaUnsure, fmt.Errorf("telling the primary a beat: %w", err)
	}
	if resting {
		return "", errResting
	}
	there, err := r.ask(ctx)
	switch {
	case err != nil:
	case there.system != here.system || there.database != here.database:
		err = errNoCopy
	case !there.recovering && !there.started.Equal(here.started):
		return ReplicaUnfit, errPromoted
	case r.due():
		err = r.fits(ctx)
	}
	if err != nil {
		if trouble, _ = replicaOutcome(err); trouble == ReplicaServed || trouble == ReplicaNotFound {
			trouble = ReplicaAway
		}
		return trouble, err
	}
	switch lag := r.measured(there.beat); {
	case lag > ReplicaMostBehind:
		return ReplicaBehind, fmt.Errorf("it is %s behind", lag.Round(time.Second))
	case there.beat == 0:
		return "", errYoung
	}
	return "", nil
}

// server is what a server says of itself. What tells a copy from another database is only for the operator's sake: no other one
// shows the beats.
type server struct {
	recovering bool
	system     int64
	database   uint32
	started    time.Time
	// beat is this process's count as the server shows it, 0 for none.
	beat int64
}

const replicaBeatSQL = `
with gone as (
  delete from ops.replica_beats
  where reader in (
    select b.reader
    from ops.replica_beats b
    where b.beat_at < clock_timestamp() - interval '1 hour'
    for update skip locked
  )
)
insert into ops.replica_beats (reader, beat, beat_at)
select @reader::uuid, @beat::bigint, clock_timestamp()
from set_config('synchronous_commit', 'local', true) as s (word)
where s.word = 'local'
on conflict (reader) do update
set beat = excluded.beat,
  beat_at = excluded.beat_at
returning (select c.system_identifier from pg_control_system() c),
  (select d.oid from pg_database d where d.datname = current_database()),
  pg_postmaster_start_time()`

// tell writes the next beat to the primary, and remembers it. resting tells that the replica rests.
func (r *Replica) tell(ctx context.Context) (here server, resting bool, err error) {
	r.mu.Lock()
	now, count := r.primary.Now(), int64(1)
	if len(r.beats) > 0 {
		count = r.beats[len(r.beats)-1].count + 1
	}
	r.mu.Unlock()
	args := pgx.StrictNamedArgs{"reader": r.reader, "beat": count}
	err = r.primary.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, replicaBeatSQL, args).Scan(&here.system, &here.database, &here.started)
	})
	if err != nil {
		return server{}, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = here.started
	r.beats = append(r.beats, beat{now, count})
	for len(r.beats) > 1 && now.Sub(r.beats[1].at) >= beatsKept {
		r.beats = r.beats[1:]
	}
	return here, r.primary.Now().Before(r.rest), nil
}

const replicaAskSQL = `
select pg_is_in_recovery(),
  (select c.system_identifier from pg_control_system() c),
  (select d.oid from pg_database d where d.datname = current_database()),
  pg_postmaster_start_time()`

const replicaShownSQL = `
select coalesce((select b.beat from ops.replica_beats b where b.reader = @reader), 0)`

// ask has the replica say what it is, and what it shows of this process's beats.
func (r *Replica) ask(ctx context.Context) (there server, err error) {
	err = r.copied.onConn(ctx, func(q Queryer) error {
		if err := q.QueryRow(ctx, replicaAskSQL).Scan(&there.recovering, &there.system, &there.database, &there.started); err != nil {
			return err
		}
		return q.QueryRow(ctx, replicaShownSQL, pgx.StrictNamedArgs{"reader": r.reader}).Scan(&there.beat)
	})
	return there, err
}

// due tells whether the schema is to be looked at.
func (r *Replica) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble != "" || r.primary.Now().Sub(r.fitted) > replicaFit
}

// fits tells whether the replica has our schema, and the login may read it: each list is asked for once, of nobody. A newer schema is
// what a daemon of a newer version made while this one runs.
func (r *Replica) fits(ctx context.Context) error {
	if err := migrations.Check(ctx, r.copied.Pool); err != nil && !errors.Is(err, migrations.ErrAhead) {
		return err
	}
	nobody := uuid.Nil
	for _, list := range []func() error{
		func() error { _, err := r.copied.Leads(ctx, nobody, LeadQuery{Limit: 1}); return err },
		func() error { _, err := r.copied.Lead(ctx, nobody, nobody); return err },
		func() error { _, err := r.copied.Agents(ctx, nobody, AgentQuery{Limit: 1}); return err },
		func() error { _, err := r.copied.CallEvents(ctx, nobody, EventQuery{Limit: 1}); return err },
		func() error { _, err := r.copied.Timeline(ctx, nobody, TimelineQuery{Limit: 1}); return err },
		func() error { _, _, err := r.copied.Deliveries(ctx, DeliveryQuery{Org: nobody, Limit: 1}); return err },
	} {
		if err := list(); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fitted = r.primary.Now()
	return nil
}

// floor is the beat that every read must see: the eldest of the time that a replica may be behind. Without any such nobody knows.
func (r *Replica) floor(now time.Time) (count int64, known bool) {
	for _, b := range slices.Backward(r.beats) {
		if now.Sub(b.at) > ReplicaMostBehind {
			break
		}
		count, known = b.count, true
	}
	return count, known
}

// measured keeps and returns for how long, at least, the primary has had more beats than are shown.
func (r *Replica) measured(shown int64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lag = 0
	for _, b := range r.beats {
		if b.count > shown {
			r.lag = r.primary.Now().Sub(b.at)
			break
		}
	}
	return r.lag
}
