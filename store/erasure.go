package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Eraser removes what is kept of a person. Its fields are set once, before use.
type Eraser struct {
	DB *DB
	// Fold brings the pipeline in step with the records that are left.
	Fold *Reconciler
	// Inbox reads the posts that wait, so that none of them tells of the person later.
	Inbox *InboxDrain
	// Patience is how long to wait for a request to a vendor that is under way, and for the next of the posts and records that
	// another daemon is at work on to be done.
	Patience time.Duration
	// Waiting hears now and then how many posts and records came before the order and are still to be read; nil for nobody.
	Waiting func(left int64)
}

// Identity names a person: by a phone in E.164 or an e-mail address, one of the two.
type Identity struct {
	Phone, Email string
	// All takes every lead that has it, where several do.
	All bool
}

func (i *Identity) key() keyName {
	if i.Phone != "" {
		return keyName{Kind: string(pipeline.KeyPhone), Value: i.Phone}
	}
	return canonical(keyName{Kind: string(pipeline.KeyEmail), Value: i.Email})
}

// Receipt says what an erasure removed. Nothing in it is personal.
type Receipt struct {
	ID                    uuid.UUID
	StartedAt, FinishedAt time.Time
	// Counts are rows by table: removed, or emptied where the row itself stays.
	Counts map[string]int64
	// Elsewhere are records of others that mention the person in their text, as source/stream/object. They are left as they are.
	Elsewhere []string
	// KeptOptOuts is how many phones stay on the do-not-call list.
	KeptOptOuts int

	// also are records that only their text shows to be the person's.
	also []int64
	// searched is when the search began.
	searched time.Time
}

// Erase removes a person. It can be cut off at any point and ordered again, and daemons may run meanwhile:
//
//  1. The hashes of their names are committed, alone: whoever lands from here on keeps them out. What waits is read and folded.
//  2. Bytes and texts are searched and emptied, a page at a time.
//  3. All else goes in one transaction: records, pipeline, deliveries; and the receipt says when.
//
// A name that turns up on the way is hashed too, before anything is searched for it. The leads, by which the rest is found, go
// last, so that what a second order finds is what the first one left. What is told by leads' and calls' own ids is kept out like
// what is told by phone.
func (e *Eraser) Erase(ctx context.Context, org uuid.UUID, who Identity) (Receipt, error) {
	r := Receipt{Counts: map[string]int64{}}
	var err error
	if r.ID, err = e.begin(ctx, org, who); err == nil {
		err = e.settle(ctx, org)
	}
	if err == nil {
		err = e.search(ctx, org, who, &r)
	}
	if err == nil {
		err = e.removeInTime(ctx, org, who, &r)
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("erasing: %w", Quiet(err))
	}
	return r, nil
}

const erasureOfHashSQL = `
select erasure_id
from ops.erasure_hashes
where org_id = @org and hash = @hash`

const erasureBeginSQL = `
insert into ops.erasures (erasure_id, org_id, key_id, started_at)
values (@id, @org, @key_id, @now)
on conflict (erasure_id) do update
set finished_at = null`

// A key is made for the first erasure only: later a missing one is missed.
const erasuresNoneSQL = `
select not exists (select from ops.erasures)`

// begin notes the erasure with the hashes of all names that are known.
func (e *Eraser) begin(ctx context.Context, org uuid.UUID, who Identity) (uuid.UUID, error) {
	var first bool
	if err := e.DB.Pool.QueryRow(ctx, erasuresNoneSQL).Scan(&first); err != nil {
		return uuid.Nil, fmt.Errorf("asking whether anybody was erased: %w", err)
	}
	key, err := e.DB.Erased.Key("", first)
	if err != nil {
		return uuid.Nil, err
	}
	var id uuid.UUID
	err = e.DB.InTx(ctx, func(tx pgx.Tx) error {
		p, err := e.find(ctx, tx, org, who, nil)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, erasureLockSQL, pgx.StrictNamedArgs{"org": org}); err != nil {
			return fmt.Errorf("waiting for what is being landed: %w", err)
		}
		if _, err := e.DB.erasing(ctx, tx, org); err != nil {
			return err // another key
		}
		err = tx.QueryRow(ctx, erasureOfHashSQL, pgx.StrictNamedArgs{"org": org, "hash": key.hashOf(org, p.given)}).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			id, err = newID(), nil
		}
		if err != nil {
			return fmt.Errorf("looking for an earlier erasure: %w", err)
		}
		if _, err := tx.Exec(ctx, erasureBeginSQL, pgx.StrictNamedArgs{"id": id, "org": org, "key_id": key.ID, "now": e.DB.Now()}); err != nil {
			return fmt.Errorf("noting the erasure: %w", err)
		}
		return p.keepHashes(ctx, tx, &key, id)
	})
	return id, err
}

// keepNames finds the person, and commits the hashes of names that have turned up since the last ones were. of are records that their
// text shows to be theirs.
func (e *Eraser) keepNames(ctx context.Context, org uuid.UUID, who Identity, id uuid.UUID, of []int64) (p *person, err error) {
	key, err := e.DB.Erased.Key("", false)
	if err != nil {
		return nil, err
	}
	for {
		var kept bool
		err := e.DB.InTx(ctx, func(tx pgx.Tx) error {
			if p, err = e.find(ctx, tx, org, who, of); err != nil {
				return err
			}
			if kept, err = p.kept(ctx, tx, &key); err != nil || kept {
				return err
			}
			if _, err := tx.Exec(ctx, erasureLockSQL, pgx.StrictNamedArgs{"org": org}); err != nil {
				return fmt.Errorf("waiting for what is being landed: %w", err)
			}
			return p.keepHashes(ctx, tx, &key, id)
		})
		if err != nil || kept {
			return p, err
		}
		// Whoever landed before the lock was not seen.
	}
}

const erasureWaitsSQL = `
select
  (select count(*) from ops.inbox where org_id = @org and state = 'new' and received_at <= @since)
  + (select count(*) from ops.reconcile_queue where org_id = @org and queued_at <= @since)`

// settle reads and folds what had come when it began; a daemon may be at it. It waits as long as what is left grows less.
func (e *Eraser) settle(ctx context.Context, org uuid.UUID) error {
	since := e.DB.Now()
	least := int64(math.MaxInt64)
	var waiting int64
	for {
		err := e.patiently(ctx, func() (bool, error) {
			for _, drain := range []func(context.Context) (int, error){e.Inbox.Drain, e.Fold.Drain} {
				if _, err := drain(ctx); err != nil && !errors.Is(err, ErrMore) {
					return false, err
				}
			}
			err := e.DB.Pool.QueryRow(ctx, erasureWaitsSQL, pgx.StrictNamedArgs{"org": org, "since": since}).Scan(&waiting)
			return waiting < least, err
		}, fmt.Sprintf("%d posts and records still wait to be read, and nobody reads them", least))
		if err != nil || waiting == 0 {
			return err
		}
		least = waiting
		if e.Waiting != nil {
			e.Waiting(waiting)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// pause waits a moment before one looks again.
func pause(ctx context.Context) error {
	select {
	case <-time.After(100 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patiently tries until work is done.
func (e *Eraser) patiently(ctx context.Context, work func() (done bool, err error), otherwise string) error {
	for over := e.DB.Now().Add(e.Patience); ; {
		done, err := work()
		if err != nil || done {
			return err
		}
		if !e.DB.Now().Before(over) {
			return fmt.Errorf("%s; order it again", otherwise)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// removeInTime removes all that is left, once nothing of it is in use.
func (e *Eraser) removeInTime(ctx context.Context, org uuid.UUID, who Identity, r *Receipt) error {
	return e.patiently(ctx, func() (bool, error) {
		attempt := *r
		attempt.Counts = maps.Clone(r.Counts)
		err := e.remove(ctx, org, who, &attempt)
		switch {
		case errors.Is(err, ErrInFlight), lostRace(err):
			return false, nil
		case errors.Is(err, errNames):
			if err := e.settle(ctx, org); err != nil {
				return false, err
			}
			return false, e.search(ctx, org, who, r)
		case errors.Is(err, errUnsettled):
			return false, e.settle(ctx, org)
		case err != nil:
			return false, err
		}
		*r = attempt
		return true, nil
	}, "a request about the person is under way")
}

// textPattern compiles a person's pattern.
func textPattern(p *person) (*regexp.Regexp, string, error) {
	pattern := strings.TrimPrefix(p.pattern(), "|")
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, "", errors.New("the phone or address cannot be searched for in text")
	}
	return re, pattern, nil
}

func sortedIDs(ids map[int64]bool) []int64 { return slices.Sorted(maps.Keys(ids)) }
