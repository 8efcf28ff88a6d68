package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/trunkline/trunkline/store"
)

// nothingArgs order a job that does nothing.
type nothingArgs struct{}

// Kind implements river.JobArgs.
func (nothingArgs) Kind() string { return "bench_nothing" }

// riverCooldown is River's pause between fetches in Trunkline's own workers (jobs/queue.go).
const riverCooldown = 10 * time.Millisecond

// workNothing has River work n jobs that do nothing, and returns jobs a second.
func (b *base) workNothing(ctx context.Context, n int) ([]float64, error) {
	var worked atomic.Int64
	done := make(chan struct{})
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[nothingArgs]) error {
		if worked.Add(1) == int64(n) {
			close(done)
		}
		return nil
	}))
	client, err := river.NewClient(riverpgxv5.New(b.Pool), &river.Config{
		Schema: store.RiverSchema, Logger: b.lab.log, Workers: workers, FetchCooldown: riverCooldown,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: outboxWorkers, FetchCooldown: riverCooldown}},
	})
	if err != nil {
		return nil, fmt.Errorf("making River's client: %w", err)
	}
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i].Args = nothingArgs{}
	}
	if _, err := client.InsertManyFast(ctx, params); err != nil {
		return nil, fmt.Errorf("inserting jobs: %w", err)
	}
	started := time.Now()
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("starting River: %w", err)
	}
	select {
	case <-done:
		err = nil
	case <-ctx.Done():
		err = ctx.Err()
	}
	took := time.Since(started)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return []float64{perSecond(n, took)}, errors.Join(err, client.Stop(stop))
}
