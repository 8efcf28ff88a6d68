package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
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
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
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

// TestBackfillOutlivesItsDaemon reads a history of twenty days, kills the daemon in the middle, pauses the next one, and
// wants the table to be the vendor's truth, the live position where it was, and nobody rung.
func TestBackfillOutlivesItsDaemon(t *testing.T) {
	t.Parallel()
	const activities, days = 2_000, 20
	r := newBackfillRig(t, sandbox.Options{
		Seed: 5, Activities: activities, Leads: 150, Posts: -1, Span: days*24*time.Hour - time.Minute, PageSize: 10, Latency: 60 * time.Millisecond, // so that a window is committed in parts
	})
	r.exec(`insert into ops.routes (route_id, org_id, destination, origin, created_at) values ($1, $2, 'dialedin', 'operator', now())`, uuid.New(), r.org)
	now := time.Now().UTC().Truncate(time.Second)
	key := store.StreamKey{Org: r.org, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE, Stream: "activities"}
	live := store.TimeRange{From: now.Add(-30 * time.Minute), To: now.Add(-time.Minute)}
	r.exec(`insert into ops.streams (org_id, account_id, source, stream, capability, origin, covered, last_success_at)
		values ($1, 'default', 'ipscape', 'activities', 'created', $2, tstzmultirange(tstzrange($2, $3)), $3)`, r.org, live.From, live.To)
	before, err := r.db.StreamState(t.Context(), r.db.Pool, key)
	if err != nil {
		t.Fatal(err)
	}

	to := now.Add(-time.Hour + 10*time.Second)
	b, err := r.desk.Start(t.Context(), r.org, store.BackfillOrder{
		Source: "ipscape", Streams: []string{"activities"}, From: to.Add(-days * 24 * time.Hour), To: to, Actor: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.Progress.Windows != days || b.State != store.BackfillPlanned {
		t.Fatalf("ordered %+v, want %d windows", b, days)
	}
	first := r.daemon()
	r.until(b.ID, "some windows to be read", func(b store.Backfill) bool {
		return b.Progress.Rows > activities/4 && len(r.stopped(b.ID).cursors) > 0
	})
	r.kill(first)
	killed, err := r.desk.Show(t.Context(), r.org, b.ID)
	if err != nil || killed.State != store.BackfillRunning || killed.Progress.Left() == 0 || killed.Progress.Done == 0 {
		t.Fatalf("the kill came when the backfill was %+v, %v: it proves nothing", killed, err)
	}

	at := r.stopped(b.ID)
	r.daemon()
	sweeper := r.sweeper(t)
	if err := sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.count(`select count(*) from river.river_job where kind = 'backfill'`); n == 0 || n > store.BackfillAtOnce {
		t.Errorf("the sweeper woke %d workers", n)
	}
	r.until(b.ID, "the next daemon to go on", func(b store.Backfill) bool { return b.Progress.Rows > killed.Progress.Rows })
	paused, err := r.desk.Pause(t.Context(), r.org, b.ID)
	if err != nil || paused.State != store.BackfillPaused {
		t.Fatalf("paused: %+v, %v", paused, err)
	}
	time.Sleep(200 * time.Millisecond)
	if err := sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if later, err := r.desk.Show(t.Context(), r.org, b.ID); err != nil || later.Progress.Rows != paused.Progress.Rows || later.State != store.BackfillPaused {
		t.Errorf("while paused %d rows were read, state %s, %v", later.Progress.Rows-paused.Progress.Rows, later.State, err)
	}
	if _, err := r.desk.Resume(t.Context(), r.org, b.ID); err != nil {
		t.Fatal(err)
	}
	done := r.until(b.ID, "its end", ended)
	if done.State != store.BackfillDone || done.Progress.Done != days || done.Error != "" {
		t.Errorf("ended as %+v", done)
	}
	r.checkActivities()
	if len(at.cursors) == 0 {
		t.Fatal("no window was in the middle of its pages at the kill: it proves nothing")
	}
	r.checkResumed(at)

	after, err := r.db.StreamState(t.Context(), r.db.Pool, key)
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Covered = []store.TimeRange{b.Range, live}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("the stream (-want +got):\n%s", diff)
	}
	r.until(b.ID, "the fold", func(store.Backfill) bool { return r.count(`select count(*) from ops.reconcile_queue`) == 0 })
	if calls, n := r.count(`select count(*) from pipeline.calls`), r.count(`select count(*) from ops.deliveries`); calls == 0 || n != 0 {
		t.Errorf("%d calls are folded and %d deliveries ordered; a backfill rings nobody", calls, n)
	}
}

// checkActivities compares the table with what the vendor holds.
func (r *backfillRig) checkActivities() {
	r.t.Helper()
	want := map[string]string{}
	for _, a := range r.box.IPSCAPE().Activities() {
		want[strconv.FormatInt(a.ID, 10)] = fmt.Sprint(a.Type, a.StatusID, a.CampaignID)
	}
	rows, err := r.db.Pool.Query(r.t.Context(), `select activity_id::text, type, coalesce(status_id, 0)::int, coalesce(campaign_id, 0)::bigint from ipscape.activities`)
	if err != nil {
		r.t.Fatal(err)
	}
	got := map[string]string{}
	var id, kind string
	var status int
	var campaign int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &kind, &status, &campaign}, func() error {
		got[id] = fmt.Sprint(kind, status, campaign)
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("activities (-vendor +table):\n%s", diff)
	}
}

// stopped is where the open windows of a backfill were when its daemon was killed.
type stopped struct {
	cursors []string
	// asked is how many requests the vendor had seen.
	asked int
}

func (r *backfillRig) stopped(id uuid.UUID) stopped {
	r.t.Helper()
	rows, err := r.db.Pool.Query(r.t.Context(), `select cursor from ops.walks where backfill_id = $1 and cursor <> '' and finished_at is null`, id)
	if err != nil {
		r.t.Fatal(err)
	}
	cursors, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	return stopped{cursors, len(r.box.Requests())}
}

// checkResumed wants no page asked for again whose rows were committed: of each window the vendor saw, after the kill, none
// of the cursors before the one that was committed.
func (r *backfillRig) checkResumed(at stopped) {
	r.t.Helper()
	log := r.box.Requests()
	for _, cursor := range at.cursors {
		i := slices.IndexFunc(log, func(q sandbox.Request) bool { return q.Cursor == cursor })
		if i < 0 {
			r.t.Errorf("nobody asked for the page that came next: cursor %q", cursor)
			continue
		}
		of := func(q sandbox.Request) bool { return q.Op == log[i].Op && maps.Equal(q.Filters, log[i].Filters) }
		read := map[string]bool{}
		for _, q := range log[:min(i, at.asked)] {
			if of(q) {
				read[q.Cursor] = true
			}
		}
		for _, q := range log[at.asked:] {
			if of(q) && read[q.Cursor] {
				r.t.Errorf("a page was committed and asked for again: cursor %q, after %q", q.Cursor, cursor)
			}
		}
	}
}

// One window fails again and again; the others are read, and the backfill says which one failed.
func TestBackfillShowsAFailedWindow(t *testing.T) {
	t.Parallel()
	r := newBackfillRig(t, sandbox.Options{Seed: 6, Activities: 200, Leads: -1, Posts: -1, Span: 96 * time.Hour})
	to := time.Now().UTC().Truncate(time.Second)
	from := to.Add(-100 * time.Hour)
	poison := to.Add(-40 * time.Hour)
	fetch := r.entry("activities").Stream.Fetch
	var healed atomic.Bool
	r.entry("activities").Stream.Fetch = func(ctx context.Context, req walk.PageRequest, sink walk.Sink) (walk.Page, error) {
		if !healed.Load() && !req.From.After(poison) && req.To.After(poison) {
			return walk.Page{}, &vendorapi.Error{Vendor: "ipscape", Op: "list_activities", Kind: vendorapi.Malformed, Detail: "a login page"}
		}
		return fetch(ctx, req, sink)
	}
	r.daemon()
	b, err := r.desk.Start(t.Context(), r.org, store.BackfillOrder{Source: "ipscape", Streams: []string{"activities"}, From: from, Window: 20 * time.Hour, Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	sweeper, stop := r.sweeper(t), make(chan struct{})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-stop; cancel() }()
		sweeper.Run(ctx)
	}()
	defer func() { close(stop); <-swept }()
	got := r.until(b.ID, "its end", ended)
	troubled, err := r.db.TroubledWindows(t.Context(), b.ID, 10)
	if got.State != store.BackfillFailed || got.Progress.Failed != 1 || got.Progress.Done != got.Progress.Windows-1 || err != nil || len(troubled) != 1 ||
		troubled[0].Range.From.After(poison) || !troubled[0].Range.To.After(poison) {
		t.Fatalf("ended as %+v with %+v, %v", got, troubled, err)
	}
	healed.Store(true)
	if _, err := r.desk.Resume(t.Context(), r.org, b.ID); err != nil {
		t.Fatal(err)
	}
	if got := r.until(b.ID, "its end", ended); got.State != store.BackfillDone || got.Error != "" {
		t.Errorf("resumed, it ended as %+v", got)
	}
	r.checkActivities()
}
