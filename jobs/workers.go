package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/tracing"
)

// Times of River's clients.
const (
	// jobTimeout ends a job that hangs. Drains and walks end by themselves well before.
	jobTimeout = 2 * time.Minute
	// rescueAfter lies above jobTimeout; what a killed daemon was at is taken over long before, by lease (law 2).
	rescueAfter = 5 * time.Minute
	// keepCompleted and keepDiscarded are for operators who look at jobs; the truth is in the tables.
	keepCompleted = 72 * time.Hour
	keepDiscarded = 30 * 24 * time.Hour
)

// WorkersConfig is what the workers run on. Missing, Stats, Refetch and Drift may be nil where nothing asks for them; every other field
// but SoftStop and Trace must be set.
type WorkersConfig struct {
	Pool *pgxpool.Pool
	Log  *slog.Logger
	Now  func() time.Time

	Walks        walkRunner
	Backfills    backfillStore
	Reconcile    drain
	Inbox        drain
	Deliver      deliverer
	Destinations []string
	Webhooks     drain
	Upkeep       upkeeper
	Missing      missingLook
	Stats        campaignStats
	Refetch      drain
	Drift        looker
	// Unknowns is written once more when the workers have stopped; nil where there are none.
	Unknowns *Unknowns
	// SoftStop is how long a stop waits for running jobs before it cancels them; 30 s.
	SoftStop time.Duration
	// Trace is told of every job.
	Trace *tracing.Tracer
}

// Workers work the queues.
type Workers struct {
	client   *river.Client[pgx.Tx]
	unknowns *Unknowns
}

// NewWorkers registers one worker a kind and makes River's client.
func NewWorkers(cfg WorkersConfig) (*Workers, error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &walkWorker{runner: cfg.Walks})
	river.AddWorker(workers, &backfillWorker{store: cfg.Backfills, runner: cfg.Walks, log: cfg.Log})
	river.AddWorker(workers, &reconcileWorker{drain: cfg.Reconcile})
	river.AddWorker(workers, &inboxWorker{drain: cfg.Inbox})
	river.AddWorker(workers, &deliverWorker{engine: cfg.Deliver})
	river.AddWorker(workers, &webhookWorker{drain: cfg.Webhooks})
	river.AddWorker(workers, &upkeepWorker{store: cfg.Upkeep})
	if cfg.Missing != nil {
		river.AddWorker(workers, &missingWorker{look: cfg.Missing})
	}
	if cfg.Stats != nil {
		river.AddWorker(workers, &campaignStatsWorker{stats: cfg.Stats})
	}
	if cfg.Refetch != nil {
		river.AddWorker(workers, &refetchWorker{drain: cfg.Refetch})
	}
	if cfg.Drift != nil {
		river.AddWorker(workers, &driftWorker{drift: cfg.Drift})
	}
	queues := map[string]river.QueueConfig{
		queueWalks:     {MaxWorkers: 8, FetchCooldown: fetchCooldown},
		queueBackfill:  {MaxWorkers: store.BackfillAtOnce, FetchCooldown: fetchCooldown},
		queueReconcile: {MaxWorkers: 2, FetchCooldown: fetchCooldown},
		queueInbox:     {MaxWorkers: 2, FetchCooldown: fetchCooldown},
		queueWebhooks:  {MaxWorkers: 2, FetchCooldown: fetchCooldown},
		queueUpkeep:    {MaxWorkers: 1},
		queueRefetch:   {MaxWorkers: 2, FetchCooldown: fetchCooldown},
	}
	for _, d := range cfg.Destinations {
		queues[queueOf(d)] = river.QueueConfig{MaxWorkers: 2, FetchCooldown: fetchCooldown}
	}
	if cfg.SoftStop == 0 {
		cfg.SoftStop = 30 * time.Second
	}
	client, err := river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{
		Schema:                      store.RiverSchema,
		Logger:                      cfg.Log,
		Queues:                      queues,
		Workers:                     workers,
		Middleware:                  []rivertype.Middleware{&traced{tracer: cfg.Trace}, &outcome{now: cfg.Now, log: cfg.Log}}, // outermost first
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		SoftStopTimeout:             cfg.SoftStop,
		CompletedJobRetentionPeriod: keepCompleted,
		DiscardedJobRetentionPeriod: keepDiscarded,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("making the workers: %w", err)
	}
	return &Workers{client: client, unknowns: cfg.Unknowns}, nil
}

// Start begins to work the queues. The context is not the workers' life: end them with Stop.
func (w *Workers) Start(ctx context.Context) error {
	if err := w.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the workers: %w", err)
	}
	return nil
}

// Stop lets running jobs end, and cancels them once ctx is done or the soft stop has run out. What they counted is written at the end.
func (w *Workers) Stop(ctx context.Context) error {
	defer w.unknowns.last(ctx)
	err := w.client.Stop(ctx)
	if err == nil {
		return nil
	}
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("stopping the workers: %w", err)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := w.client.StopAndCancel(last); err != nil {
		return fmt.Errorf("cancelling the workers: %w", err)
	}
	return nil
}
