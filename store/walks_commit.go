package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// WalkPage is what one transaction of a walk commits: rows of one or more whole pages, or a part of a very large one.
type WalkPage struct {
	ID, Owner uuid.UUID
	Target    Target
	Records   []LandRecord
	// Bad are items that could not be read, without organisation, account, source and stream, which the target gives.
	Bad []QuarantineItem
	// Cursor is of the next page to ask for.
	Cursor string
	// Pages is how many pages end in this transaction.
	Pages int
	// Window narrows the walk's window when set.
	Window *TimeRange
	// Bump is LandOptions.Bump whoever else reads.
	Bump bool
	// Done ends the walk; Covers is then added to the stream's coverage, and its lower end is the stream's origin if Live
	// and it has none.
	Done   bool
	Covers *TimeRange
	Live   bool
	Lease  time.Duration
	// Follow has written records queue what they ask to be read again by id. Wake is called in the transaction when something
	// was queued, with the time when it is due; it may be nil.
	Follow bool
	Wake   func(ctx context.Context, tx pgx.Tx, at time.Time) error
	// Enqueue is called in the transaction when rows changed; it may be nil.
	Enqueue func(ctx context.Context, tx pgx.Tx, changed int) error
	// Cut tells that the list went on, and the vendor gave no way to follow.
	Cut bool
	// Finish is called in the transaction that ends the walk, after everything else; it may be nil. whole tells that the walk
	// has read its list from end to end: what it has not seen is not there.
	Finish func(ctx context.Context, tx pgx.Tx, walk Walk, whole bool) error
}

// The row is locked before anything is written, so that whoever takes the walk over waits for this commit. others tells
// whether anybody else reads the stream, or whether what a whole read has not seen is about to be marked; asked are the objects
// that are being read by id. A reader who claims later asks later, and is no danger to what lands here.
const walkFenceSQL = `
select exists (
  select
  from ops.walks o
  where o.org_id = w.org_id
    and o.account_id = w.account_id
    and o.source = w.source
    and o.stream = w.stream
    and o.state = 'running'
    and o.id <> w.id)
  or exists (
    select
    from ops.streams s
    where s.org_id = w.org_id
      and s.account_id = w.account_id
      and s.source = w.source
      and s.stream = w.stream
      and s.missing_due is not null) as others,
  array(
    select f.object_id
    from ops.refetch f
    where f.org_id = w.org_id
      and f.account_id = w.account_id
      and f.source = w.source
      and f.stream = w.stream
      and f.lease_until is not null) as asked
from ops.walks w
where w.id = @id
  and w.lease_owner = @owner
  and w.state = 'running'
for update of w`

// A clock that is set back while a walk runs moves its start down with it, or the judgement would take what was read since for unseen.
const walkCommitSQL = `
update ops.walks
set started_at = least(started_at, @earliest),
    cursor = @cursor,
    pages = pages + @pages,
    rows = rows + @rows,
    changed = changed + @changed,
    quarantined = quarantined + @quarantined,
    time_window = case when @to::timestamptz is null then time_window else tstzrange(lower(time_window), @to) end,
    lease_until = clock_timestamp() + make_interval(secs => @lease)
where id = @id
returning` + walkColumns

const walkDoneSQL = `
update ops.walks
set state = 'done',
    cursor = '',
    lease_owner = null,
    lease_until = null,
    finished_at = @now
where id = @id`

// CommitPage commits rows and the walk's progress together (law 1), and on the last page its coverage too. It fails with
// ErrWalkLost, and commits nothing, when the walk is no longer owner's.
func (db *DB) CommitPage(ctx context.Context, p WalkPage) (Landed, error) {
	var landed Landed
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var others bool
		var asked []string
		err := tx.QueryRow(ctx, walkFenceSQL, pgx.StrictNamedArgs{"id": p.ID, "owner": p.Owner}).Scan(&others, &asked)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrWalkLost
		}
		if err != nil {
			return err
		}
		var rejected []Rejected
		if landed, rejected, err = db.LandEach(ctx, tx, p.Target, p.Records, LandOptions{Bump: others || p.Bump, BumpThese: asked}); err != nil {
			return err
		}
		if err := db.quarantineAll(ctx, tx, &p, rejected); err != nil {
			return err
		}
		if p.Enqueue != nil && landed.Written() > 0 {
			if err := p.Enqueue(ctx, tx, landed.Written()); err != nil {
				return fmt.Errorf("enqueueing what follows: %w", err)
			}
		}
		if p.Follow {
			if err := db.follow(ctx, tx, &p.Target, p.Records, p.Wake); err != nil {
				return err
			}
		}
		if err := db.countLate(ctx, tx, &p.Target, p.Records); err != nil {
			return err
		}
		return db.advance(ctx, tx, &p, landed, len(rejected))
	})
	return landed, fenced(1, err, "committing pages of", p.ID)
}

func (db *DB) advance(ctx context.Context, tx pgx.Tx, p *WalkPage, landed Landed, rejected int) error {
	args := pgx.StrictNamedArgs{
		"id": p.ID, "cursor": p.Cursor, "pages": p.Pages, "rows": len(p.Records), "changed": landed.Written(),
		"quarantined": len(p.Bad) + rejected, "to": nil, "lease": p.Lease.Seconds(), "earliest": p.earliest(db.Now()),
	}
	if p.Window != nil {
		args["to"] = micros(p.Window.To)
	}
	w, err := oneWalk(ctx, tx, walkCommitSQL, args)
	if err != nil {
		return err
	}
	if p.Done {
		if _, err := tx.Exec(ctx, walkDoneSQL, pgx.StrictNamedArgs{"id": p.ID, "now": db.Now()}); err != nil {
			return err
		}
	}
	if w.Backfill != uuid.Nil {
		if err := db.windowCommitted(ctx, tx, p.ID, len(p.Records)); err != nil {
			return err
		}
	}
	if !p.Done {
		return nil
	}
	if err := db.covered(ctx, tx, w.Key, w.Kind, p); err != nil {
		return err
	}
	if p.Finish == nil {
		return nil
	}
	return p.Finish(ctx, tx, w, w.Window == nil && len(w.Filters) == 0 && !p.Cut)
}

// earliest is when the first of the page was observed, and not after now, which its bad items are stamped with.
func (p *WalkPage) earliest(now time.Time) time.Time {
	for i := range p.Records {
		if at := p.Records[i].ObservedAt; at.Before(now) {
			now = at
		}
	}
	return micros(now)
}

// covered adds what a walk has read to its stream's coverage, last of all.
func (db *DB) covered(ctx context.Context, tx pgx.Tx, key StreamKey, kind string, p *WalkPage) error {
	if kind == "backfill" {
		return streamCovered(ctx, tx, key, p.Covers)
	}
	return streamSucceeded(ctx, tx, key, p.Covers, p.Live, db.Now())
}

func (db *DB) quarantineAll(ctx context.Context, tx pgx.Tx, p *WalkPage, rejected []Rejected) error {
	items := p.Bad
	for _, r := range rejected {
		items = append(items, rejectedItem(&p.Target, &p.Records[r.Index], r.Err))
	}
	for _, item := range items {
		item.Org, item.Account, item.Source, item.Stream = p.Target.Org, p.Target.Account, p.Target.Source, p.Target.Stream
		if err := db.Quarantine(ctx, tx, item); err != nil {
			return err
		}
	}
	return nil
}

// rejectedItem is a record that Postgres would not take.
func rejectedItem(t *Target, rec *LandRecord, err error) QuarantineItem {
	body := rec.Raw
	if body == nil {
		body = rec.Payload
	}
	return QuarantineItem{
		Org: t.Org, Account: t.Account, Source: t.Source, Stream: t.Stream,
		ObjectID: rec.ObjectID, Reason: "refused by Postgres", Error: Loggable(err), Body: body,
	}
}
