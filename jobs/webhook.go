package jobs

import (
	"context"

	"github.com/riverqueue/river"
)

// WebhookArgs wakes the drain of webhooks.
type WebhookArgs struct{}

// Kind implements river.JobArgs.
func (WebhookArgs) Kind() string { return "webhook" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (WebhookArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueWebhooks, MaxAttempts: drainAttempts}
}

type webhookWorker struct {
	river.WorkerDefaults[WebhookArgs]
	drain drain
}

// Work sends the webhooks that are due.
func (w *webhookWorker) Work(ctx context.Context, _ *river.Job[WebhookArgs]) error {
	_, err := w.drain.Drain(ctx)
	return err
}
