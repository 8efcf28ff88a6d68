package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// BackfillState is where a backfill stands.
type BackfillState string

// The states of a backfill (interface.md section 2). Failed means that all windows have ended and some of them failed.
const (
	BackfillPlanned   BackfillState = "planned"
	BackfillRunning   BackfillState = "running"
	BackfillPaused    BackfillState = "paused"
	BackfillDone      BackfillState = "done"
	BackfillFailed    BackfillState = "failed"
	BackfillCancelled BackfillState = "cancelled"
)

// Ended tells whether a backfill has nothing more to read. A failed one can be resumed.
func (s BackfillState) Ended() bool {
	return s == BackfillDone || s == BackfillFailed || s == BackfillCancelled
}

// ErrBackfillEnded means that a backfill has ended in a way that what was asked of it can no longer be done.
var ErrBackfillEnded = errors.New("the backfill has ended")

// BackfillStream is one stream of a backfill. A stream that is Whole, a snapshot, is read whole in one window.
type BackfillStream struct {
	Name  string
	Whole bool
}

// NewBackfill is an order for a backfill.
type NewBackfill struct {
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
	Streams []BackfillStream
	// Range is cut into windows of the length Window, in whole seconds.
	Range  TimeRange
	Window time.Duration
	// Filters are the streams' own; with any, a window reads a part only and claims no coverage.
	Filters map[string]string
	// Actor is who ordered it.
	Actor string
	// Wake makes the jobs that work on it, in the transaction that makes it (law 2).
	Wake func(ctx context.Context, tx pgx.Tx, id uuid.UUID) error
}

// SplitWindows cuts a range into windows of a length, the last one shorter where it does not come out even. Both lower
// ends and upper ends are in order, and together the windows are the range.
func SplitWindows(r TimeRange, length time.Duration) []TimeRange {
	var out []TimeRange
	for from := r.From; length > 0 && from.Before(r.To); from = from.Add(length) {
		to := from.Add(length)
		if to.After(r.To) {
			to = r.To
		}
		out = append(out, TimeRange{from, to})
	}
	return out
}

const backfillInsertSQL = `
insert into ops.backfills (id, org_id, account_id, source, streams, range, window_s, filters, actor, windows, created_at)
values (@id, @org, @account, @source, @streams, tstzrange(@from, @to), @window_s, @filters, @actor, @windows, @now)`

const backfillWalksSQL = `
insert into ops.walks (id, org_id, account_id, source, stream, kind, lane, time_window, filters, created_at, backfill_id)
select n.id, @org, @account, @source, n.stream, 'backfill', 'backfill',
  case when n.lower is null then null else tstzrange(n.lower, n.upper) end, @filters, @now, @backfill
from unnest(@ids::uuid[], @streams::text[], @lowers::timestamptz[], @uppers::timestamptz[]) as n (id, stream, lower, upper)`

// CreateBackfill makes a backfill, a walk for each of its windows, and the jobs that work on them, all in one transaction.
func (db *DB) CreateBackfill(ctx context.Context, order NewBackfill) (id uuid.UUID, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) (err error) {
		id, err = db.createBackfill(ctx, tx, order)
		return err
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("making a backfill of %s: %w", order.Source, err)
	}
	return id, nil
}

// CreateBackfillOnce is CreateBackfill under an idempotency key, nil for none: what answer makes of the backfill is kept and repeated. It
// fails with ErrKeyInFlight and ErrKeyReused too.
func (db *DB) CreateBackfillOnce(ctx context.Context, order NewBackfill, key *IdempotencyKey, answer func(*Backfill) (Answer, error)) (Answer, error) {
	got, err := db.once(ctx, order.Org, key, func(tx pgx.Tx) (Answer, error) {
		id, err := db.createBackfill(ctx, tx, order)
		if err != nil {
			return Answer{}, err
		}
		list, err := db.readBackfills(ctx, tx, order.Org, id, false, 0, 1)
		if err == nil && len(list) == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return Answer{}, fmt.Errorf("reading backfill %s: %w", id, err)
		}
		return answer(&list[0])
	})
	if err != nil {
		return Answer{}, fmt.Errorf("making a backfill of %s: %w", order.Source, err)
	}
	return got, nil
}

func (db *DB) createBackfill(ctx context.Context, tx pgx.Tx, order NewBackfill) (uuid.UUID, error) {
	id := newID()
	// Streams are locked one after the other, by everybody in the same order.
	streams := slices.SortedFunc(slices.Values(order.Streams), func(a, b BackfillStream) int { return strings.Compare(a.Name, b.Name) })
	w := newWindows(streams, order.Range, order.Window)
	if len(w.ids) == 0 {
		return uuid.Nil, errors.New("it has no windows")
	}
	filters := []byte("{}")
	if len(order.Filters) > 0 {
		var err error
		if filters, err = json.Marshal(order.Filters); err != nil {
			return uuid.Nil, fmt.Errorf("writing its filters: %w", err)
		}
	}
	names := make([]string, len(streams))
	for i, s := range streams {
		names[i] = s.Name
	}
	args := pgx.StrictNamedArgs{
		"id": id, "org": order.Org, "account": order.Account, "source": string(order.Source), "streams": names,
		"from": micros(order.Range.From), "to": micros(order.Range.To), "window_s": int(order.Window / time.Second),
		"filters": string(filters), "actor": cleanText(order.Actor, maxActor), "windows": len(w.ids), "now": db.Now(),
	}
	if _, err := tx.Exec(ctx, backfillInsertSQL, args); err != nil {
		return uuid.Nil, err
	}
	for _, s := range streams {
		key := StreamKey{Org: order.Org, Account: order.Account, Source: order.Source, Stream: s.Name}
		if err := db.EnsureStream(ctx, tx, key, s.capability()); err != nil {
			return uuid.Nil, err
		}
	}
	_, err := tx.Exec(ctx, backfillWalksSQL, pgx.StrictNamedArgs{
		"org": order.Org, "account": order.Account, "source": string(order.Source), "filters": string(filters), "now": args["now"],
		"backfill": id, "ids": w.ids, "streams": w.streams, "lowers": w.lowers, "uppers": w.uppers,
	})
	if err != nil {
		return uuid.Nil, err
	}
	return id, order.Wake(ctx, tx, id)
}

// maxActor bounds the text that tells who ordered a backfill.
const maxActor = 200

func (s BackfillStream) capability() string {
	if s.Whole {
		return "snapshot"
	}
	return "created"
}

// newWindows are the rows of a backfill's walks, column by column; a whole snapshot has no bounds.
type windowColumns struct {
	ids            []uuid.UUID
	streams        []string
	lowers, uppers []*time.Time
}

func newWindows(streams []BackfillStream, r TimeRange, length time.Duration) windowColumns {
	var w windowColumns
	for _, s := range streams {
		if s.Whole {
			w.add(s.Name, nil, nil)
			continue
		}
		for _, window := range SplitWindows(r, length) {
			w.add(s.Name, timeOrNull(window.From), timeOrNull(window.To))
		}
	}
	return w
}

func (w *windowColumns) add(stream string, lower, upper *time.Time) {
	w.ids = append(w.ids, newID())
	w.streams = append(w.streams, stream)
	w.lowers, w.uppers = append(w.lowers, lower), append(w.uppers, upper)
}
