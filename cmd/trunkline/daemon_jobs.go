package main

import (
	"context"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// pagePatience is how long a replay by the status page waits for what it handed over: a browser waits with it.
const pagePatience = 4 * time.Second

// replayer tries again what lies in quarantine, with what this daemon reads.
func (d *daemon) replayer(patience time.Duration) *jobs.Replayer {
	return &jobs.Replayer{
		DB: d.db.DB, Fold: d.fold, Inbox: d.inbox, Patience: patience,
		Stream: func(source pipeline.Source, stream string) (*walk.Stream, *store.TypedTable, bool) {
			for i := range d.streams {
				if s := &d.streams[i]; s.key.Source == source && s.key.Stream == stream {
					return s.Stream, s.Table, true
				}
			}
			return nil, nil, false
		},
	}
}

func (d *daemon) buildJobs(context.Context) (err error) {
	workers := jobs.WorkersConfig{
		Pool: d.db.direct, Log: d.riverLog(), Now: d.now, Walks: d.runner, Backfills: d.db.DB, Reconcile: d.fold, Inbox: d.inbox,
		Deliver: d.engine, Destinations: d.engine.Destinations(), Webhooks: d.webhooks, Upkeep: d.upkeep(), Missing: d.missing, SoftStop: d.budget().soft, Trace: d.trace,
	}
	if d.trace.On() {
		workers.Reconcile = jobs.TracedFold{Fold: d.fold, Tracer: d.trace}
	}
	if d.stats != nil {
		workers.Stats, workers.Refetch = d.stats, d.refetch
	}
	workers.Drift, workers.Unknowns = d.drift, d.unknowns
	d.workers, err = jobs.NewWorkers(workers)
	if err != nil {
		return err
	}
	d.scheduler = &jobs.Scheduler{DB: d.db.DB, Log: d.log, List: d.recurring(), Moved: d.pulses.of("scheduler")}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	d.sweeper = &jobs.Sweeper{
		DB: d.db.DB, Queue: d.queue, Engine: d.engine, Log: d.log, Fold: d.fold,
		Daemon: store.Daemon{ID: d.id, Host: host, Version: versionText(), StartedAt: d.db.Now()},
		Moved:  d.pulses.of("sweeper"),
	}
	if d.refetch != nil {
		d.sweeper.Accounts = []store.StreamKey{d.refetch.Key}
	}
	for _, s := range d.streams {
		if s.Stream.Capability == walk.Created {
			d.sweeper.Streams = append(d.sweeper.Streams, s.key)
		}
		if s.Table != nil && s.Table.Missing {
			d.sweeper.Whole = append(d.sweeper.Whole, s.key)
		}
	}
	return nil
}

// recurring lists the daemon's schedules.
func (d *daemon) recurring() []jobs.Recurring {
	var list []jobs.Recurring
	for _, s := range d.streams {
		vendorNow := func() time.Time { return d.runner.VendorNow(s.key.Org, s.key.Account, s.key.Source) }
		live := &jobs.LiveWalk{Store: d.walkStore, Queue: d.queue, Key: s.key, Stream: s.Stream, VendorNow: vendorNow}
		list = append(list, jobs.Recurring{Name: live.Name(), Spec: s.Spec, Due: live.Due})
		for _, e := range s.Rereads {
			again := &jobs.Reread{DB: d.db.DB, Queue: d.queue, Key: s.key, Stream: s.Stream, Kind: e.Kind, Span: e.Span, VendorNow: vendorNow}
			list = append(list, jobs.Recurring{Name: again.Name(), Spec: e.Spec, Due: again.Due, Later: true})
		}
	}
	list = append(list, d.driftSchedules()...)
	daily, err := jobs.ParseSpec("17 3 * * *", time.UTC)
	if err != nil {
		// A constant that does not parse is found by any test that starts a daemon.
		d.log.Error("schedule of the upkeep cannot be read", "error", err)
	}
	return append(list, jobs.Recurring{Name: "upkeep", Spec: daily, Later: true, Due: func(ctx context.Context, tx pgx.Tx, slot time.Time) error {
		return d.queue.Insert(ctx, tx, jobs.UpkeepArgs{Slot: slot})
	}})
}
