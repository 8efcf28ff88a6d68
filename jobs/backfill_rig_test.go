package jobs_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// backfillRig is an ipSCAPE account with a history, and what a daemon reads it with.
type backfillRig struct {
	*jobsWorld
	t       *testing.T
	org     uuid.UUID
	box     *sandbox.Sandbox
	entries []jobs.StreamEntry
	desk    *jobs.Backfiller
	fold    *store.Reconciler
}

func newBackfillRig(t *testing.T, opt sandbox.Options) *backfillRig {
	t.Helper()
	r := &backfillRig{jobsWorld: newJobsWorld(t), t: t}
	r.db.Clock = time.Now
	org, err := r.db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.org = org.ID
	// The history ends an hour ago: ipSCAPE changes a call for twenty minutes, and truth must hold still.
	var seeded atomic.Bool
	opt.Now = func() time.Time {
		if seeded.CompareAndSwap(false, true) {
			return time.Now().Add(-time.Hour)
		}
		return time.Now()
	}
	r.box = sandbox.New(opt)
	server, err := r.box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	env := r.box.Env(server.URL())
	client, err := ipscape.NewClient(
		ipscape.Config{BaseURL: env["IPSCAPE_BASE_URL"], Token: vendorapi.Secret(env["IPSCAPE_TOKEN"]), AuthHeader: "Authorization", AuthPrefix: "Bearer "},
		vendorapi.Client{HTTP: &http.Client{}, Now: time.Now, Log: r.db.Log},
	)
	if err != nil {
		t.Fatal(err)
	}
	settings := ipscape.Settings{Account: store.DefaultAccount, Zone: time.UTC, Region: "AU"}
	r.entries = jobs.IPSCAPE(jobs.IPSCAPEConfig{Client: client, Settings: settings, Start: time.Hour, Settle: time.Second, MaxPages: 100_000})
	r.desk = &jobs.Backfiller{DB: r.db, Queue: r.queue, Account: store.DefaultAccount}
	r.fold = &store.Reconciler{
		DB: r.db, MaxAge: 24 * time.Hour, Wake: r.queue.WakeDeliver,
		Facts: func(rec *pipeline.Record) (pipeline.Facts, error) { return settings.Facts(*rec) },
	}
	return r
}

// mortal is a walk.Store that a dead daemon had: from its death on it says nothing more to the database.
type mortal struct {
	*walkstore.Store
	dead atomic.Bool
}

var errDead = errors.New("the daemon is dead")

// Claim implements walk.Store.
func (m *mortal) Claim(ctx context.Context, id, run uuid.UUID, lease time.Duration) (walk.Walk, error) {
	if m.dead.Load() {
		return walk.Walk{}, errDead
	}
	return m.Store.Claim(ctx, id, run, lease)
}

// Renew implements walk.Store.
func (m *mortal) Renew(ctx context.Context, id, run uuid.UUID, lease time.Duration) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.Renew(ctx, id, run, lease)
}

// Commit implements walk.Store.
func (m *mortal) Commit(ctx context.Context, b walk.Batch) (walk.Committed, error) {
	if m.dead.Load() {
		return walk.Committed{}, errDead
	}
	return m.Store.Commit(ctx, b)
}

// Release implements walk.Store.
func (m *mortal) Release(ctx context.Context, id, run uuid.UUID, problem error) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.Release(ctx, id, run, problem)
}

// Fail implements walk.Store.
func (m *mortal) Fail(ctx context.Context, id, run uuid.UUID, problem error, keepCursor bool) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.Fail(ctx, id, run, problem, keepCursor)
}

// daemon is workers that read the rig's account, without sweeper and schedules.
type daemon struct {
	store   *mortal
	workers *jobs.Workers
}

func (r *backfillRig) entry(name string) *jobs.StreamEntry {
	for i := range r.entries {
		if r.entries[i].Stream.Name == name {
			return &r.entries[i]
		}
	}
	return nil
}

func (r *backfillRig) daemon() *daemon {
	r.t.Helper()
	d := &daemon{store: &mortal{Store: &walkstore.Store{
		DB: r.db,
		Table: func(_ pipeline.Source, stream string) *store.TypedTable {
			if e := r.entry(stream); e != nil {
				return e.Table
			}
			return nil
		},
		Enqueue: func(ctx context.Context, tx pgx.Tx, _ int) error { return r.queue.WakeReconcile(ctx, tx) },
	}}}
	runner := &walk.Runner{Store: d.store, Now: time.Now, Log: r.db.Log, Streams: func(w walk.Walk) (*walk.Stream, bool) {
		e := r.entry(w.Stream)
		if e == nil {
			return nil, false
		}
		return e.Stream, true
	}}
	var err error
	d.workers, err = jobs.NewWorkers(jobs.WorkersConfig{
		Pool: r.db.Pool, Log: r.db.Log, Now: time.Now, Walks: runner, Backfills: r.db, Reconcile: r.fold,
		Inbox: idle{}, Webhooks: idle{}, Deliver: deliverIdle{}, Upkeep: idle{}, SoftStop: 100 * time.Millisecond,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := d.workers.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { d.stop(r.t) })
	return d
}

func (d *daemon) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.workers.Stop(ctx); err != nil {
		t.Errorf("stopping the workers: %v", err)
	}
}

// kill ends a daemon as kill -9 does: what it was at stays as it is, and its jobs are gone.
func (r *backfillRig) kill(d *daemon) {
	r.t.Helper()
	d.store.dead.Store(true)
	d.stop(r.t)
	r.exec(`delete from river.river_job where kind = 'backfill'`)
	r.exec(`update ops.walks set lease_until = clock_timestamp() where lease_until is not null`)
}

// idle has nothing to do, and deliverIdle nothing to send.
type (
	idle        struct{}
	deliverIdle struct{}
)

func (idle) Upkeep(context.Context) error { return nil }

func (idle) Drain(context.Context) (int, error) { return 0, nil }

func (deliverIdle) Drain(context.Context, string) (int, error) { return 0, nil }

func (r *backfillRig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.db.Pool.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

func (r *backfillRig) count(sql string, args ...any) int {
	r.t.Helper()
	var n int
	if err := r.db.Pool.QueryRow(r.t.Context(), sql, args...).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// until waits for a backfill to look as wanted.
func (r *backfillRig) until(id uuid.UUID, what string, want func(store.Backfill) bool) store.Backfill {
	r.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		b, err := r.desk.Show(r.t.Context(), r.org, id)
		if err != nil {
			r.t.Fatal(err)
		}
		if want(b) {
			return b
		}
		if time.Now().After(deadline) {
			troubled, _ := r.db.TroubledWindows(r.t.Context(), id, 5)
			r.t.Fatalf("waited in vain for %s: %+v, %+v", what, b, troubled)
		}
	}
}

func ended(b store.Backfill) bool { return b.State.Ended() }
