package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// When objects are read again by their ids.
const (
	// touchedRest is how long what something newer names is left alone: the next news of it mostly come with it.
	touchedRest = time.Minute
	// openRest is the first rest of an object that is still open; each look that finds it open doubles it.
	openRest = 5 * time.Minute
	// failedRest is the first rest after a look that failed.
	failedRest = time.Minute
	mostRest   = 6 * time.Hour
	// refetchFor is how long after its creation, or after it was queued, an object is looked after one by one. What is older
	// is left to re-scans and sweeps.
	refetchFor = 48 * time.Hour
)

// Reasons of ops.refetch.
const (
	refetchOpen    = "open"
	refetchTouched = "touched"
)

// wanted is an object to be queued.
type wanted struct {
	ObjectRef
	reason    string
	at, dueAt time.Time
}

const refetchAddSQL = `
insert into ops.refetch as r (org_id, account_id, source, stream, object_id, reason, wanted_at, due_at, queued_at)
select @org, @account, @source, g.stream, g.object_id, g.reason, g.wanted_at, g.due_at, @now
from unnest(@streams::text[], @object_ids::text[], @reasons::text[], @wanted::timestamptz[], @due::timestamptz[]) with ordinality
  as g (stream, object_id, reason, wanted_at, due_at, ord)
order by g.ord
on conflict (org_id, account_id, source, stream, object_id) do update
set reason = excluded.reason,
    wanted_at = greatest(r.wanted_at, excluded.wanted_at),
    due_at = least(r.due_at, excluded.due_at),
    queued_at = excluded.queued_at,
    tries = 0`

// queueRefetch queues what the records that were just written ask for, and returns when the first of it is due; zero for nothing.
// Objects are queued in the order of their ids, after all records are locked.
func (db *DB) queueRefetch(ctx context.Context, tx pgx.Tx, t *Target, recs []LandRecord) (time.Time, error) {
	now := db.Now()
	list := wantedOf(t, recs, now)
	if len(list) == 0 {
		return time.Time{}, nil
	}
	n := len(list)
	streams, ids, reasons := make([]string, n), make([]string, n), make([]string, n)
	at, due := make([]time.Time, n), make([]time.Time, n)
	first := list[0].dueAt
	for i, w := range list {
		streams[i], ids[i], reasons[i], at[i], due[i] = w.Stream, w.ObjectID, w.reason, w.at, w.dueAt
		if w.dueAt.Before(first) {
			first = w.dueAt
		}
	}
	_, err := tx.Exec(ctx, refetchAddSQL, pgx.StrictNamedArgs{
		"org": t.Org, "account": t.Account, "source": string(t.Source), "now": now,
		"streams": streams, "object_ids": ids, "reasons": reasons, "wanted": at, "due": due,
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("queueing objects to read again: %w", err)
	}
	return first, nil
}

// wantedOf lists what written records ask for, each object once, in order.
func wantedOf(t *Target, recs []LandRecord, now time.Time) []wanted {
	var list []wanted
	for i := range recs {
		r := &recs[i]
		if r.landed == notWritten || r.CreatedAt.IsZero() || now.Sub(r.CreatedAt) > refetchFor {
			continue
		}
		if r.Open {
			list = append(list, wanted{ObjectRef: ObjectRef{t.Stream, r.ObjectID}, reason: refetchOpen, at: micros(r.ObservedAt), dueAt: now.Add(openRest)})
		}
		for _, ref := range r.Touches {
			list = append(list, wanted{ObjectRef: ref, reason: refetchTouched, at: micros(r.ObservedAt), dueAt: now.Add(touchedRest)})
		}
	}
	slices.SortFunc(list, func(a, b wanted) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.ObjectID, b.ObjectID), b.at.Compare(a.at))
	})
	return slices.CompactFunc(list, func(a, b wanted) bool { return a.ObjectRef == b.ObjectRef })
}

// Refetch is an object to be read again by its id.
type Refetch struct {
	Key      StreamKey
	ObjectID string
	// WantedAt is what an observation must be later than, to answer.
	WantedAt time.Time
	QueuedAt time.Time
	Tries    int
	Owner    uuid.UUID
}

const refetchSeenSQL = `
with seen as (
  select r.stream, r.object_id
  from ops.refetch r
  join ops.records o using (org_id, account_id, source, stream, object_id)
  where r.org_id = @org
    and r.account_id = @account
    and r.source = @source
    and r.due_at <= @now
    and r.lease_until is null
    and o.observed_at > r.wanted_at
  order by r.stream, r.object_id
  limit 1000
  for update of r skip locked
)
delete from ops.refetch r
using seen
where r.org_id = @org
  and r.account_id = @account
  and r.source = @source
  and r.stream = seen.stream
  and r.object_id = seen.object_id`

const refetchClaimSQL = `
with next as (
  select r.stream, r.object_id
  from ops.refetch r
  where r.org_id = @org
    and r.account_id = @account
    and r.source = @source
    and r.stream = any(@streams)
    and r.due_at <= @now
    and (r.lease_until is null or r.lease_until < clock_timestamp())
  order by r.due_at
  limit 1
  for update skip locked
)
update ops.refetch r
set lease_owner = @owner,
    lease_until = clock_timestamp() + make_interval(secs => @lease)
from next
where r.org_id = @org
  and r.account_id = @account
  and r.source = @source
  and r.stream = next.stream
  and r.object_id = next.object_id
returning r.stream, r.object_id, r.wanted_at, r.queued_at, r.tries`

// Those whose turn never came: of a stream with a wrong path, or of an account without the requests to spare.
const refetchOldSQL = `
with old as (
  select stream, object_id
  from ops.refetch
  where org_id = @org
    and account_id = @account
    and source = @source
    and due_at <= @now
    and queued_at < @before
    and lease_until is null
  order by stream, object_id
  limit 1000
  for update skip locked
)
delete from ops.refetch r
using old
where r.org_id = @org
  and r.account_id = @account
  and r.source = @source
  and r.stream = old.stream
  and r.object_id = old.object_id`

// DropSeenRefetch forgets due objects that were observed since they were queued, and those queued so long ago that re-scans
// and sweeps have them.
func (db *DB) DropSeenRefetch(ctx context.Context, key StreamKey) error {
	args := pgx.StrictNamedArgs{"org": key.Org, "account": key.Account, "source": string(key.Source), "now": db.Now()}
	err := db.onConn(ctx, func(q Queryer) error {
		if _, err := q.Exec(ctx, refetchSeenSQL, args); err != nil {
			return err
		}
		args["before"] = db.Now().Add(-2 * refetchFor)
		_, err := q.Exec(ctx, refetchOldSQL, args)
		return err
	})
	if err != nil {
		return fmt.Errorf("forgetting objects that were seen: %w", err)
	}
	return nil
}

// ClaimRefetch takes the lease of an account's object that has been due for longest, of the given streams; false when there is none.
func (db *DB) ClaimRefetch(ctx context.Context, key StreamKey, streams []string, lease time.Duration) (Refetch, bool, error) {
	r := Refetch{Key: key, Owner: uuid.New()}
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, refetchClaimSQL, pgx.StrictNamedArgs{
			"org": key.Org, "account": key.Account, "source": string(key.Source), "streams": streams, "now": db.Now(),
			"owner": r.Owner, "lease": lease.Seconds(),
		}).Scan(&r.Key.Stream, &r.ObjectID, &r.WantedAt, &r.QueuedAt, &r.Tries)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("claiming an object to read again: %w", err)
	}
	r.WantedAt, r.QueuedAt = r.WantedAt.UTC(), r.QueuedAt.UTC()
	return r, true, nil
}

func (r *Refetch) args(a pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	a["object_id"], a["owner"] = r.ObjectID, r.Owner
	return r.Key.args(a)
}

const refetchRenewSQL = `
update ops.refetch
set lease_until = clock_timestamp() + make_interval(secs => @lease)
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id
  and lease_owner = @owner`

// RenewRefetch prolongs the lease, if it is still this run's.
func (db *DB) RenewRefetch(ctx context.Context, r *Refetch, lease time.Duration) error {
	return db.refetchExec(ctx, "renewing the lease of", refetchRenewSQL, r, pgx.StrictNamedArgs{"lease": lease.Seconds()})
}

const refetchReleaseSQL = `
update ops.refetch
set lease_owner = null,
    lease_until = null
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id
  and lease_owner = @owner`

// ReleaseRefetch gives an object back that was not asked for.
func (db *DB) ReleaseRefetch(ctx context.Context, r *Refetch) error {
	return db.refetchExec(ctx, "releasing", refetchReleaseSQL, r, pgx.StrictNamedArgs{})
}

func (db *DB) refetchExec(ctx context.Context, doing, sql string, r *Refetch, args pgx.StrictNamedArgs) error {
	err := db.onConn(ctx, func(q Queryer) error {
		_, err := q.Exec(ctx, sql, r.args(args))
		return err
	})
	if err != nil {
		return fmt.Errorf("%s %s %s: %w", doing, r.Key, r.ObjectID, err)
	}
	return nil
}

// While the account is paused a job waits for the end of that; a sweep that made another each time would pile them up.
const refetchDueSQL = `
select exists (
    select
    from ops.refetch
    where org_id = @org
      and account_id = @account
      and source = @source
      and due_at <= @now
      and (lease_until is null or lease_until < clock_timestamp()))
  and not exists (select from river.river_job where kind = 'refetch' and state in ('available', 'scheduled', 'retryable'))`

// RefetchDue tells whether an account's objects wait to be read again though no job is on its way to them.
func (db *DB) RefetchDue(ctx context.Context, q Queryer, key StreamKey) (bool, error) {
	var due bool
	args := pgx.StrictNamedArgs{"org": key.Org, "account": key.Account, "source": string(key.Source), "now": db.Now()}
	if err := q.QueryRow(ctx, refetchDueSQL, args).Scan(&due); err != nil {
		return false, fmt.Errorf("looking for objects to read again: %w", err)
	}
	return due, nil
}

const refetchWokenSQL = `
select exists (select from river.river_job where kind = 'refetch' and state in ('available', 'scheduled') and scheduled_at <= @at)`

// RefetchWoken tells whether a job for single objects comes by a time.
func (db *DB) RefetchWoken(ctx context.Context, q Queryer, at time.Time) (bool, error) {
	var woken bool
	if err := q.QueryRow(ctx, refetchWokenSQL, pgx.StrictNamedArgs{"at": at}).Scan(&woken); err != nil {
		return false, fmt.Errorf("asking whether objects to read again have a job: %w", err)
	}
	return woken, nil
}
