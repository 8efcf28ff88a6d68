package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// MissingArgs asks to look for the objects that a read of a stream's whole list has not seen.
type MissingArgs struct {
	Org     uuid.UUID       `json:"org"`
	Account string          `json:"account"`
	Source  pipeline.Source `json:"source"`
	Stream  string          `json:"stream"`
}

// Kind implements river.JobArgs.
func (MissingArgs) Kind() string { return "missing" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (MissingArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueUpkeep, MaxAttempts: drainAttempts}
}

// Missing marks what has disappeared from lists that are read whole.
type Missing struct {
	DB    *store.DB
	Queue *Queue
	Log   *slog.Logger
	// Table finds a stream's typed table, nil for none.
	Table func(pipeline.Source, string) *store.TypedTable
	// Most is the share of a list's rows that may be marked at once (IPSCAPE_MISSING_MAX).
	Most float64
}

// Owe orders the look, in the transaction that ended the walk well; whole tells that it read its list from end to end.
func (m *Missing) Owe(ctx context.Context, tx pgx.Tx, w store.Walk, whole bool) error {
	table := m.Table(w.Key.Source, w.Key.Stream)
	if !whole || table == nil || !table.Missing {
		return nil
	}
	if err := m.DB.OweMissing(ctx, tx, w.Key, w.StartedAt); err != nil {
		return err
	}
	return m.Queue.Insert(ctx, tx, MissingArgs(w.Key))
}

// Look judges the stream's latest whole read. A stream that is not configured here is left to the daemon that has it.
func (m *Missing) Look(ctx context.Context, key store.StreamKey) error {
	table := m.Table(key.Source, key.Stream)
	if table == nil || !table.Missing {
		return nil
	}
	j, err := m.DB.JudgeMissing(ctx, key, table, m.Most)
	if err != nil || j.Since.IsZero() {
		return err
	}
	switch {
	case j.Refused != "":
		m.Log.WarnContext(ctx, "nothing is marked as missing", "source", key.Source, "stream", key.Stream, "since", j.Since, "reason", j.Refused)
	case j.Marked > 0:
		m.Log.InfoContext(ctx, "objects are gone at the vendor", "source", key.Source, "stream", key.Stream, "since", j.Since, "missing", j.Marked, "of", j.Present)
	}
	return nil
}

// missingLook is what the worker needs of Missing.
type missingLook interface {
	Look(ctx context.Context, key store.StreamKey) error
}

type missingWorker struct {
	river.WorkerDefaults[MissingArgs]
	look missingLook
}

// Work looks once.
func (w *missingWorker) Work(ctx context.Context, job *river.Job[MissingArgs]) error {
	return w.look.Look(ctx, store.StreamKey(job.Args))
}

// missing wakes the look at whole reads whose job is gone.
func (s *Sweeper) missing(ctx context.Context, tx pgx.Tx) error {
	due, err := s.DB.MissingDue(ctx, tx)
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range due {
		if slices.Contains(s.Whole, key) {
			errs = append(errs, s.Queue.Insert(ctx, tx, MissingArgs(key)))
		}
	}
	return errors.Join(errs...)
}
