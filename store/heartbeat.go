package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Heartbeat is a count in the database that daemons raise and remember outside of it. A database whose count is behind what was
// committed has lost commits: it was restored, or a failover took a server that lagged.
type Heartbeat struct {
	// DatabaseID tells databases apart; a restored copy has its original's.
	DatabaseID uuid.UUID
	Beat       int64
	// At is when the count was raised (UTC).
	At time.Time
}

// Lost is what a daemon found missing.
type Lost struct {
	// From is the last instant that the database is known to hold, Until the last one that a daemon saw committed (UTC).
	From, Until time.Time
	// Waiting is how many deliveries that ring were ready, and are asked about before they may ring.
	Waiting int
}

// attentionLost is the kind of ops.attention that tells of lost commits.
const attentionLost = "lost_commits"

const heartbeatLockSQL = `
insert into ops.heartbeat as h (database_id, beat, beat_at)
values (gen_random_uuid(), 0, @now)
on conflict (one) do update
set beat = h.beat
returning database_id, beat, beat_at`

const heartbeatBeatSQL = `
update ops.heartbeat
set beat = @beat,
  beat_at = @now`

// What lies before the lost span may have been half read, hence the margin.
const coverageCutSQL = `
update ops.streams
set covered = covered - tstzmultirange(tstzrange(@lost_from::timestamptz - interval '15 minutes', null))`

const lostWaitingSQL = `
select count(*)
from ops.deliveries
where state = 'ready' and class = 'rings'`

const attentionInsertSQL = `
insert into ops.attention (attention_id, kind, detail, lost_from, lost_until, since)
values (@id, @kind, @detail, @lost_from, @lost_until, @now)`

// Beat raises the heartbeat. last is the newest beat that the caller knows to be committed, in this process or from outside; a
// zero one is none. Where the database is behind it, the same transaction cuts the coverage of what was lost, so that it is read
// again, and notes the loss, which makes BeginDeliveries ask about whatever may have rung; then lost is not nil.
func (db *DB) Beat(ctx context.Context, last Heartbeat) (h Heartbeat, lost *Lost, err error) {
	now := db.Now()
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		lost = nil
		if err := tx.QueryRow(ctx, heartbeatLockSQL, pgx.StrictNamedArgs{"now": now}).Scan(&h.DatabaseID, &h.Beat, &h.At); err != nil {
			return err
		}
		if h.DatabaseID == last.DatabaseID && h.Beat < last.Beat {
			lost = &Lost{From: h.At.UTC(), Until: last.At.UTC()}
			if err := noteLoss(ctx, tx, lost, now); err != nil {
				return err
			}
			h.Beat = last.Beat
		}
		h.Beat, h.At = h.Beat+1, now
		_, err := tx.Exec(ctx, heartbeatBeatSQL, pgx.StrictNamedArgs{"beat": h.Beat, "now": now})
		return err
	})
	if err != nil {
		return Heartbeat{}, nil, fmt.Errorf("raising the heartbeat: %w", err)
	}
	db.beat.Store(&h)
	return h, lost, nil
}

func noteLoss(ctx context.Context, tx pgx.Tx, lost *Lost, now time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("noting lost commits: %w", err)
	}
	if _, err := tx.Exec(ctx, coverageCutSQL, pgx.StrictNamedArgs{"lost_from": lost.From}); err != nil {
		return fmt.Errorf("cutting the coverage of what was lost: %w", err)
	}
	if err := tx.QueryRow(ctx, lostWaitingSQL).Scan(&lost.Waiting); err != nil {
		return fmt.Errorf("counting what may have rung: %w", err)
	}
	detail := fmt.Sprintf("the database lost what was committed from %s to %s; %d deliveries that ring are asked about before they may ring, "+
		"and streams are read again from there; posts of that time are gone", lost.From.Format(time.RFC3339), lost.Until.Format(time.RFC3339), lost.Waiting)
	_, err = tx.Exec(ctx, attentionInsertSQL, pgx.StrictNamedArgs{
		"id": id, "kind": attentionLost, "detail": detail, "lost_from": lost.From, "lost_until": lost.Until, "now": now,
	})
	return err
}

// ErrLostCommits means that the database is behind what this process has seen committed. Nothing is sent until Beat has noted
// the loss.
var ErrLostCommits = errors.New("the database has lost commits")

const heartbeatReadSQL = `
select set_config('lock_timeout', @timeout, true),
  coalesce((select h.database_id from ops.heartbeat h), @none),
  coalesce((select h.beat from ops.heartbeat h), 0)`

// prepareBegin bounds waits for locks, and refuses a database that has lost commits.
func (db *DB) prepareBegin(ctx context.Context, tx pgx.Tx) error {
	var timeout string
	var h Heartbeat
	err := tx.QueryRow(ctx, heartbeatReadSQL, pgx.StrictNamedArgs{"timeout": beginLockTimeout, "none": uuid.Nil}).Scan(&timeout, &h.DatabaseID, &h.Beat)
	if err != nil {
		return err
	}
	if last := db.beat.Load(); last != nil && h.DatabaseID == last.DatabaseID && h.Beat < last.Beat {
		return ErrLostCommits
	}
	return nil
}
