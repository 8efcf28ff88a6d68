package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/api"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
	"github.com/trunkline/trunkline/sync/tracing/otlp"
	"github.com/trunkline/trunkline/sync/walk"
	"github.com/trunkline/trunkline/sync/webhook"
)

// daemon is the whole running program: built once from the configuration, started, and stopped in reverse.
type daemon struct {
	cfg      *config
	log      *slog.Logger
	now      func() time.Time
	db       *database
	org      store.Organisation
	id       uuid.UUID
	metrics  *metrics
	registry *prometheus.Registry
	http     *http.Client
	// traces leads to the collector and is nil without one; so is trace then, which begins no spans.
	traces *otlp.Exporter
	trace  *tracing.Tracer

	// facts says what a record of any source tells.
	facts   func(*pipeline.Record) (pipeline.Facts, error)
	queue   *jobs.Queue
	streams []accountStream
	// ipscape is nil where ipSCAPE is off.
	ipscape *ipscape.Client
	// lendworks is nil where LendWorks is off.
	lendworks *lendworks.Client
	walkStore *walkstore.Store
	missing   *jobs.Missing
	// stats, refetch and unknowns are nil without ipSCAPE.
	refetch  *jobs.Refetcher
	stats    *jobs.CampaignStats
	unknowns *jobs.Unknowns
	drift    *jobs.Drift
	runner   *walk.Runner
	fold     *store.Reconciler
	inbox    *store.InboxDrain
	engine   *deliver.Engine
	// webhooks sends webhooks out.
	webhooks *webhook.Engine
	intake   *store.Intake

	workers   *jobs.Workers
	scheduler *jobs.Scheduler
	sweeper   *jobs.Sweeper
	server    *api.Server
	// listener is the API's port, nil without that role.
	listener net.Listener
	// addr is where the API listens, once started.
	addr string

	// lastBeat is the newest heartbeat known to be committed.
	lastBeat store.Heartbeat

	// pulses tell which of the daemon's loops still go round; manager is who started it, and is told.
	pulses  *pulses
	manager *serviceManager

	background sync.WaitGroup
	stopLoops  context.CancelFunc
}

// accountStream is a stream of one account.
type accountStream struct {
	key store.StreamKey
	jobs.StreamEntry
}

// newDaemon brings the schema up to date and builds every part. It takes over d and closes it when building fails.
func newDaemon(ctx context.Context, cfg *config, log *slog.Logger, d *database) (*daemon, error) {
	dm := &daemon{cfg: cfg, log: log, now: time.Now, db: d, id: uuid.New(), registry: prometheus.NewRegistry(), http: newVendorHTTP()}
	dm.pulses, dm.manager = newPulses(dm.now), &serviceManager{notify: notifySystemd, log: log}
	for _, step := range []func(context.Context) error{
		dm.migrate, dm.buildTraces, dm.buildMetrics, dm.buildFacts, dm.buildQueue, dm.buildStreams, dm.buildReconcile, dm.buildDrift, dm.buildDeliveries, dm.buildInbox, dm.buildWebhooks, dm.buildJobs, dm.buildAPI,
	} {
		if err := step(ctx); err != nil {
			dm.stopTraces(ctx)
			return nil, errors.Join(err, d.Close(context.WithoutCancel(ctx)))
		}
	}
	return dm, nil
}

// migrate brings the schema up to date, and makes what a fresh database lacks.
func (d *daemon) migrate(ctx context.Context) error {
	if err := migrations.Up(ctx, d.db.direct, d.log); err != nil {
		return withCode(exitDatabase, err)
	}
	if err := d.upkeep().Upkeep(ctx); err != nil {
		return withCode(exitDatabase, err)
	}
	org, err := d.db.EnsureDefault(ctx)
	if err != nil {
		return withCode(exitDatabase, err)
	}
	d.org = org
	if err := d.db.SetTimezone(ctx, d.cfg.General.Timezone.String()); err != nil {
		// The host's zones may be newer than the server's. Only the local days of analysts are wrong then, by the zone they had.
		d.log.Warn("postgres does not take TRUNKLINE_TIMEZONE: local days in analytics stay as they were", "error", err)
	}
	if !d.cfg.General.Roles.worker {
		// Routes are the workers' business: a daemon that only serves the API need not know them.
		return nil
	}
	removed, err := d.db.SetEnvironmentRoutes(ctx, org.ID, d.cfg.General.Push)
	for _, r := range removed {
		d.log.Warn("a route is gone from TRUNKLINE_PUSH: nothing is sent by it any more", "destination", r.Destination, "condition", r.Condition.String())
	}
	return err
}

func (d *daemon) upkeep() *store.Upkeeper {
	return &store.Upkeeper{DB: d.db.DB, Retention: store.Retention{
		History: d.cfg.General.History.Duration, Inbox: d.cfg.General.Inbox.Duration, Webhooks: d.cfg.General.WebhooksKept.Duration,
	}}
}

func (d *daemon) buildQueue(context.Context) (err error) {
	// River tells of its own affairs at info; an operator wants to hear of them at warn only.
	d.queue, err = jobs.NewQueue(d.db.direct, d.riverLog())
	return err
}

func (d *daemon) buildStreams(ctx context.Context) error {
	if err := d.addIPSCAPE(ctx); err != nil {
		return err
	}
	if err := d.addLendWorks(ctx); err != nil {
		return err
	}
	if err := d.addConvosoLog(ctx); err != nil {
		return err
	}
	find := func(source pipeline.Source, stream string) *accountStream {
		for i := range d.streams {
			if s := &d.streams[i]; s.key.Source == source && s.key.Stream == stream {
				return s
			}
		}
		return nil
	}
	table := func(source pipeline.Source, stream string) *store.TypedTable {
		if s := find(source, stream); s != nil {
			return s.Table
		}
		return nil
	}
	d.missing = &jobs.Missing{DB: d.db.DB, Queue: d.queue, Log: d.log, Table: table, Most: float64(d.cfg.IPSCAPE.MissingMax)}
	d.walkStore = &walkstore.Store{
		DB: d.db.DB, Table: table, Finish: d.walked,
		Enqueue: func(ctx context.Context, tx pgx.Tx, _ int) error { return d.queue.WakeReconcile(ctx, tx) },
	}
	if d.refetch != nil {
		d.walkStore.Again = d.refetch.Again
	}
	d.runner = &walk.Runner{
		Store: d.walkStore, Now: d.now, Log: d.log, Observe: d.metrics.walked, Trace: d.trace,
		Streams: func(w walk.Walk) (*walk.Stream, bool) {
			s := find(w.Source, w.Stream)
			if s == nil || s.key.Org != w.Org || s.key.Account != w.Account {
				return nil, false
			}
			return s.Stream, true
		},
	}
	return nil
}

// walked orders what follows a walk that ended well.
func (d *daemon) walked(ctx context.Context, tx pgx.Tx, w store.Walk, whole bool) error {
	if err := d.missing.Owe(ctx, tx, w, whole); err != nil || d.stats == nil {
		return err
	}
	return d.stats.After(ctx, tx, w)
}

func (d *daemon) buildReconcile(context.Context) error {
	rules, err := d.cfg.rules()
	if err != nil {
		return err
	}
	d.fold = &store.Reconciler{
		DB: d.db.DB, MaxAge: d.cfg.General.MaxAge.Duration, Wake: d.queue.WakeDeliver, Observe: d.metrics.folded, Sped: d.metrics.sped,
		WakeWebhooks: d.queue.WakeWebhooks,
		Rules:        rules, Facts: d.facts,
	}
	if d.cfg.DialedIn.on() {
		// Law 6: an opt-out is an obligation at every dialler that has a do-not-call list.
		d.fold.Blockers = []string{jobs.DestinationDialedIn}
	}
	switch {
	case d.cfg.IPSCAPE.on() && d.cfg.IPSCAPE.Writes:
		d.fold.Blockers = append(d.fold.Blockers, jobs.DestinationIPSCAPE)
	case d.cfg.IPSCAPE.on():
		d.fold.LocalBlockers = append(d.fold.LocalBlockers, jobs.DestinationIPSCAPE)
	}
	if d.cfg.Convolo.on() {
		d.fold.LocalBlockers = append(d.fold.LocalBlockers, jobs.DestinationConvolo)
	}
	if d.cfg.Convoso.OrgToken != "" {
		d.fold.LocalBlockers = append(d.fold.LocalBlockers, string(pipeline.SourceConvoso))
	}
	return nil
}

func (d *daemon) buildInbox(context.Context) error {
	settings, err := d.cfg.Convoso.settings(d.cfg.General.Region)
	if err != nil {
		return err
	}
	d.inbox = &store.InboxDrain{DB: d.db.DB, Wake: d.queue.WakeReconcile, Read: jobs.ReadPosts(jobs.PostReaders{
		pipeline.SourceConvoso:   jobs.ReadConvoso(settings),
		pipeline.SourceConvolo:   jobs.ReadConvolo(d.cfg.Convolo.settings()),
		pipeline.SourceLendWorks: jobs.ReadLendWorks(d.cfg.LendWorks.settings(d.cfg.General.Region)),
	})}
	d.intake = store.NewIntake(d.db.DB, store.IntakeConfig{
		Enqueue: func(ctx context.Context, tx pgx.Tx, _ []store.Post) error { return d.queue.WakeInbox(ctx, tx) },
	})
	return nil
}
