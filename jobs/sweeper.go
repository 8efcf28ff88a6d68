package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
)

// sweepInterval is the floor under every wake-up: what a lost job or a killed daemon left behind waits no longer.
const sweepInterval = 2 * time.Second

// obligeInterval is how often opt-outs are looked for that a dialler was never told of.
const obligeInterval = 5 * time.Minute

// openWalksMax is how many walks one sweep wakes.
const openWalksMax = 100

// Sweeper finds work that waits although its wake-up is gone, and wakes it again.
type Sweeper struct {
	DB     *store.DB
	Queue  *Queue
	Engine *deliver.Engine
	Log    *slog.Logger
	Daemon store.Daemon
	// Streams are those whose holes are looked for; Whole are those whose vanished objects are.
	Streams, Whole []store.StreamKey
	// Accounts are those whose objects are read again by id; their streams are empty.
	Accounts []store.StreamKey
	// Fold orders the do-not-call entries that are owed and were never ordered.
	Fold *store.Reconciler
	// obligeNext is when it is asked to again.
	obligeNext time.Time
	// Moved is called after each part of a sweep, well or not, as a sign of life; optional.
	Moved func()
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	every(ctx, sweepInterval, func() {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "sweep failed", "error", err)
		}
	})
}

// Sweep looks once. A part that fails does not keep the others from being looked at.
func (s *Sweeper) Sweep(ctx context.Context) error {
	inTx := func(part func(context.Context, pgx.Tx) error) func(context.Context) error {
		return func(ctx context.Context) error {
			return s.DB.InTx(ctx, func(tx pgx.Tx) error { return part(ctx, tx) })
		}
	}
	return s.inTurn(ctx,
		func(ctx context.Context) error { return s.DB.Heartbeat(ctx, s.Daemon) },
		inTx(s.drains), inTx(s.walks), inTx(s.missing), inTx(s.refetch),
		func(ctx context.Context) error { return s.DB.SettleBackfill(ctx, uuid.Nil) },
		inTx(s.backfills), s.oblige, s.deliveries,
	)
}

// inTurn does one part after the other, whatever became of those before, with a sign of life after each.
func (s *Sweeper) inTurn(ctx context.Context, parts ...func(context.Context) error) error {
	var errs []error
	for _, part := range parts {
		errs = append(errs, bounded(ctx, part))
		moved(s.Moved)
	}
	return errors.Join(errs...)
}

// loopPatience bounds each turn of the loops whose going round says that the daemon is alive: a Postgres that hangs, and ends no
// statement, must not look like a daemon that does.
const loopPatience = time.Minute

func bounded(ctx context.Context, part func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, loopPatience)
	defer cancel()
	return part(ctx)
}

// oblige looks for opt-outs that a dialler was never told of, every few minutes: it reads the whole list. So it does for what no
// route wanted and one wants again.
func (s *Sweeper) oblige(ctx context.Context) error {
	now := s.DB.Now()
	if s.Fold == nil || now.Before(s.obligeNext) {
		return nil
	}
	s.obligeNext = now.Add(obligeInterval)
	n, err := s.Fold.ObligeMissing(ctx)
	if n > 0 {
		s.Log.WarnContext(ctx, "opt-outs that a dialler was never told of are told now", "entries", n)
	}
	back, backErr := s.Fold.ReviveUnrouted(ctx)
	if back > 0 {
		s.Log.WarnContext(ctx, "deliveries that were cancelled for want of a route are ready again: it is back", "deliveries", back)
	}
	return errors.Join(err, backErr)
}

func (s *Sweeper) drains(ctx context.Context, tx pgx.Tx) error {
	b, err := s.DB.Backlog(ctx, tx)
	if err != nil {
		return err
	}
	if b.Reconcile {
		err = errors.Join(err, s.Queue.WakeReconcile(ctx, tx))
	}
	if b.Inbox {
		err = errors.Join(err, s.Queue.WakeInbox(ctx, tx))
	}
	webhooks, werr := s.DB.WebhooksWait(ctx, tx)
	if webhooks {
		werr = s.Queue.WakeWebhooks(ctx, tx)
	}
	return errors.Join(err, werr)
}

func (s *Sweeper) walks(ctx context.Context, tx pgx.Tx) error {
	for _, key := range s.Streams {
		if err := s.walkHoles(ctx, tx, key); err != nil {
			return err
		}
	}
	open, err := s.DB.OpenWalks(ctx, tx, openWalksMax)
	if err != nil {
		return err
	}
	for _, w := range open {
		woken, err := s.DB.WalkWoken(ctx, tx, w.ID)
		if err != nil {
			return err
		}
		if woken {
			continue
		}
		if err := s.Queue.Insert(ctx, tx, WalkArgs{WalkID: w.ID, Backfill: w.Kind == "backfill"}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sweeper) deliveries(ctx context.Context) error {
	swept, err := s.Engine.Sweep(ctx)
	if err != nil || len(swept.Due) == 0 {
		return err
	}
	return s.DB.InTx(ctx, func(tx pgx.Tx) error {
		var wake []string
		for _, d := range swept.Due {
			woken, err := s.DB.DestinationWoken(ctx, tx, d)
			if err != nil {
				return fmt.Errorf("sweeping deliveries: %w", err)
			}
			if !woken {
				wake = append(wake, d)
			}
		}
		return s.Queue.WakeDeliver(ctx, tx, wake)
	})
}
