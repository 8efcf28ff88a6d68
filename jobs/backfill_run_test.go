package jobs_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

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
