package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Retention is how long what is not needed for a rebuild is kept.
type Retention struct {
	History time.Duration
	Inbox   time.Duration
	// Webhooks is how long events and their deliveries are kept; 0 = for ever.
	Webhooks time.Duration
}

// Upkeeper keeps the partitioned tables in shape.
type Upkeeper struct {
	DB        *DB
	Retention Retention
}

const partitionsEnsureSQL = `select ops.ensure_partitions(@now, 3)`

// A partition is dropped as a whole, once its upper bound is older than the retention. One with posts that nobody has
// settled stays: nothing that was acknowledged is lost for its age.
const partitionsDropSQL = `select ops.drop_partitions(@table, @before)`

// Ids of posts begin with their time: what is older than the inbox tells no duplicate any more.
const inboxFactsPruneSQL = `delete from ops.inbox_facts where inbox_id < @before`

// earliestID is below every UUIDv7 that is made at a time or later.
func earliestID(at time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(max(at.UnixMilli(), 0))<<16)
	return id
}

const temporaryRevokeSQL = `select ops.revoke_temporary()`

// Upkeep makes the partitions of the months to come and drops those past their retention, with what told duplicates of
// posts that are gone, and forgets old walks, what keys used long ago, answers to idempotency keys and webhook events that ran out,
// and counts what was kept out of erased people's. It matches agents that are one person, and takes from analysts the right to make
// temporary tables, which a database made from a dump or a template gives them again.
func (u *Upkeeper) Upkeep(ctx context.Context) error {
	made, err := u.makePartitions(ctx)
	if err != nil {
		return err
	}
	// In a transaction of its own: one that held a new partition and waited for an old one could lock up with a reader of both.
	dropped, err := u.drop(ctx)
	if err != nil {
		return err
	}
	if err := u.forgetRequests(ctx); err != nil {
		return err
	}
	if err := u.DB.InTx(ctx, func(tx pgx.Tx) error { return countArrivals(ctx, tx) }); err != nil {
		return err
	}
	if u.Retention.Webhooks > 0 {
		if _, err := u.DB.ForgetWebhooks(ctx, u.DB.Now().Add(-u.Retention.Webhooks)); err != nil {
			return err
		}
	}
	if made+dropped > 0 {
		u.DB.Log.InfoContext(ctx, "partitions kept in shape", "made", made, "dropped", dropped)
	}
	if err := u.matchAllPeople(ctx); err != nil {
		return err
	}
	return u.forgetWalks(ctx)
}

func (u *Upkeeper) makePartitions(ctx context.Context) (made int, err error) {
	err = u.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, partitionsEnsureSQL, pgx.StrictNamedArgs{"now": u.DB.Now()}).Scan(&made); err != nil {
			return fmt.Errorf("making partitions: %w", err)
		}
		// Under the lock that the partitions took: two at a time would fail.
		if _, err := tx.Exec(ctx, temporaryRevokeSQL); err != nil {
			return fmt.Errorf("revoking temporary tables: %w", err)
		}
		return nil
	})
	return made, err
}

func (u *Upkeeper) drop(ctx context.Context) (dropped int, err error) {
	now := u.DB.Now()
	err = u.DB.InTx(ctx, func(tx pgx.Tx) error {
		for _, old := range []struct {
			table string
			keep  time.Duration
		}{{"inbox", u.Retention.Inbox}, {"record_history", u.Retention.History}} {
			var n int
			if err := tx.QueryRow(ctx, partitionsDropSQL, pgx.StrictNamedArgs{"table": old.table, "before": now.Add(-old.keep)}).Scan(&n); err != nil {
				return fmt.Errorf("dropping old partitions of %s: %w", old.table, err)
			}
			dropped += n
		}
		if _, err := tx.Exec(ctx, inboxFactsPruneSQL, pgx.StrictNamedArgs{"before": earliestID(now.Add(-u.Retention.Inbox))}); err != nil {
			return fmt.Errorf("forgetting what posts told that are no longer kept: %w", err)
		}
		return nil
	})
	return dropped, err
}

// forgetRequests forgets what was kept of requests to our own API.
func (u *Upkeeper) forgetRequests(ctx context.Context) error {
	now := u.DB.Now()
	return u.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := pruneUsage(ctx, tx, now); err != nil {
			return err
		}
		if err := pruneRates(ctx, tx, now); err != nil {
			return err
		}
		return pruneIdempotency(ctx, tx, now)
	})
}
