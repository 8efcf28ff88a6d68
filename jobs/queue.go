package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/trunkline/trunkline/store"
)

// fetchCooldown is River's pause between two fetches, and between two notifications of an inserting client. River's
// default of 100 ms would cap a queue at ten fetches a second and delay jobs that come in quick succession.
const fetchCooldown = 10 * time.Millisecond

// Queue inserts jobs, always in somebody's transaction: what makes a job necessary and the job are committed together
// (law 2).
type Queue struct {
	client *river.Client[pgx.Tx]
}

// NewQueue returns a queue that only inserts; it needs no Start.
func NewQueue(pool *pgxpool.Pool, log *slog.Logger) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: store.RiverSchema, Logger: log, FetchCooldown: fetchCooldown, FetchPollInterval: time.Second,
		Middleware: []rivertype.Middleware{&traced{}},
	})
	if err != nil {
		return nil, fmt.Errorf("making the job queue: %w", err)
	}
	return &Queue{client: client}, nil
}

// Insert makes a job in the caller's transaction.
func (q *Queue) Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error {
	if _, err := q.client.InsertManyFastTx(ctx, tx, []river.InsertManyParams{{Args: args}}); err != nil {
		return fmt.Errorf("making a %s job: %w", args.Kind(), err)
	}
	return nil
}

// insertAt makes a job that is not worked before a time.
func (q *Queue) insertAt(ctx context.Context, tx pgx.Tx, args river.JobArgs, at time.Time) error {
	_, err := q.client.InsertManyFastTx(ctx, tx, []river.InsertManyParams{{Args: args, InsertOpts: &river.InsertOpts{ScheduledAt: at}}})
	if err != nil {
		return fmt.Errorf("making a %s job: %w", args.Kind(), err)
	}
	return nil
}

// WakeReconcile asks for a fold of what the transaction landed.
func (q *Queue) WakeReconcile(ctx context.Context, tx pgx.Tx) error {
	return q.Insert(ctx, tx, ReconcileArgs{})
}

// WakeInbox asks for the posts that the transaction keeps to be read.
func (q *Queue) WakeInbox(ctx context.Context, tx pgx.Tx) error {
	return q.Insert(ctx, tx, InboxArgs{})
}

// WakeWebhooks asks for the webhooks that the transaction ordered to be sent.
func (q *Queue) WakeWebhooks(ctx context.Context, tx pgx.Tx) error {
	return q.Insert(ctx, tx, WebhookArgs{})
}

// WakeDeliver asks for the deliveries that the transaction ordered to be sent.
func (q *Queue) WakeDeliver(ctx context.Context, tx pgx.Tx, destinations []string) error {
	destinations = slices.Compact(slices.Sorted(slices.Values(destinations)))
	params := make([]river.InsertManyParams, 0, len(destinations))
	for _, d := range destinations {
		params = append(params, river.InsertManyParams{Args: DeliverArgs{Destination: d}})
	}
	if len(params) == 0 {
		return nil
	}
	if _, err := q.client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("making deliver jobs: %w", err)
	}
	return nil
}
