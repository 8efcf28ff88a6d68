package jobs

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// everyJob is one job of each kind, and of each queue that a kind may take. TestEveryKindIsListed keeps it complete.
func everyJob() []river.JobArgs {
	slot := time.Date(2026, 3, 2, 3, 17, 0, 0, time.UTC)
	return []river.JobArgs{
		WalkArgs{WalkID: uuid.New(), Schedule: "ipscape.leads", Slot: &slot},
		WalkArgs{WalkID: uuid.New(), Backfill: true},
		BackfillArgs{BackfillID: uuid.New()},
		ReconcileArgs{},
		InboxArgs{},
		WebhookArgs{},
		UpkeepArgs{Slot: slot},
		MissingArgs{Org: uuid.New(), Account: "default", Source: "ipscape", Stream: "leads"},
		CampaignStatsArgs{Account: "default", Since: slot},
		RefetchArgs{},
		DriftArgs{Org: uuid.New(), Account: "default", Source: "ipscape", Stream: "leads"},
		DeliverArgs{Destination: DestinationDialedIn},
		DeliverArgs{Destination: DestinationConvolo},
	}
}

func TestEveryKindIsListed(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, args := range everyJob() {
		listed[args.Kind()] = true
		// River refuses a kind of one letter, and only when a job is inserted.
		if len(args.Kind()) < 2 {
			t.Errorf("kind %q of %T is too short for River", args.Kind(), args)
		}
		opts := args.(river.JobArgsWithInsertOpts).InsertOpts()
		if opts.Queue == "" || opts.MaxAttempts == 0 {
			t.Errorf("%T takes River's default queue or attempts: %+v", args, opts)
		}
		if opts.UniqueOpts.ByArgs || opts.UniqueOpts.ByPeriod != 0 || opts.UniqueOpts.ByQueue || len(opts.UniqueOpts.ByState) > 0 {
			t.Errorf("%T is unique: a wake-up must never be swallowed (law 2)", args)
		}
	}
	packages, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0) //nolint:staticcheck // no build tags here
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(packages["jobs"], func(n ast.Node) bool {
		fn, ok := n.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || fn.Name.Name != "Kind" {
			return true
		}
		found++
		result, ok := fn.Body.List[0].(*ast.ReturnStmt).Results[0].(*ast.BasicLit)
		if !ok || !listed[strings.Trim(result.Value, `"`)] {
			t.Errorf("a Kind method at %d is missing from everyJob", fn.Pos())
		}
		return true
	})
	if found != len(listed) {
		t.Errorf("%d Kind methods, %d kinds listed", found, len(listed))
	}
}

// worked counts what fake drains were asked to do.
type worked struct {
	mu    sync.Mutex
	calls []string
}

func (w *worked) note(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
}

func (w *worked) sorted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.calls))
}

type fakeDrain func()

// Drain implements drain.
func (f fakeDrain) Drain(context.Context) (int, error) { f(); return 0, nil }

type fakeDeliverer func(destination string)

// Drain implements deliverer.
func (f fakeDeliverer) Drain(_ context.Context, destination string) (int, error) {
	f(destination)
	return 0, nil
}

type fakeUpkeep func()

// Upkeep implements upkeeper.
func (f fakeUpkeep) Upkeep(context.Context) error { f(); return nil }

type fakeMissing func(stream string)

// Look implements missingLook.
func (f fakeMissing) Look(_ context.Context, key store.StreamKey) error { f(key.Stream); return nil }

type fakeLook func(stream string)

// Look implements looker.
func (f fakeLook) Look(_ context.Context, key store.StreamKey) (store.DriftRun, error) {
	f(key.Stream)
	return store.DriftRun{}, nil
}

type fakeStats func(account string)

// Take implements campaignStats.
func (f fakeStats) Take(_ context.Context, account string, _ time.Time) error { f(account); return nil }

// fakeBackfills is a backfillStore whose backfills have no windows.
type fakeBackfills func()

// NextWindow implements backfillStore.
func (f fakeBackfills) NextWindow(context.Context, uuid.UUID) (uuid.UUID, bool, error) {
	return uuid.Nil, false, nil
}

// SettleBackfill implements backfillStore.
func (f fakeBackfills) SettleBackfill(context.Context, uuid.UUID) error { f(); return nil }

// startWorkers works the queues with fakes until the test ends.
func startWorkers(t *testing.T, pool *pgxpool.Pool) *worked {
	t.Helper()
	done := &worked{}
	workers, err := NewWorkers(WorkersConfig{
		Pool: pool, Log: quiet(), Now: time.Now,
		Walks:     runFunc(func(context.Context, uuid.UUID) error { done.note("walk"); return nil }),
		Backfills: fakeBackfills(func() { done.note("backfill") }),
		Reconcile: fakeDrain(func() { done.note("reconcile") }), Inbox: fakeDrain(func() { done.note("inbox") }),
		Deliver:      fakeDeliverer(func(d string) { done.note("deliver " + d) }),
		Destinations: []string{DestinationDialedIn, DestinationConvolo},
		Webhooks:     fakeDrain(func() { done.note("webhook") }),
		Upkeep:       fakeUpkeep(func() { done.note("upkeep") }),
		Missing:      fakeMissing(func(stream string) { done.note("missing " + stream) }),
		Refetch:      fakeDrain(func() { done.note("refetch") }),
		Drift:        fakeLook(func(stream string) { done.note("drift " + stream) }),
		Stats:        fakeStats(func(account string) { done.note("campaign_stats " + account) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := workers.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := workers.Stop(ctx); err != nil {
			t.Errorf("stopping the workers: %v", err)
		}
	})
	return done
}

func newTestQueue(t *testing.T, pool *pgxpool.Pool) *Queue {
	t.Helper()
	q, err := NewQueue(pool, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// eventually waits for cond, which a server answers.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

func countOf(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// A kind without a worker, or a queue that nobody declared, leaves its jobs available for ever; River says nothing.
func TestEveryKindIsWorked(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	done, queue := startWorkers(t, pool), newTestQueue(t, pool)
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for _, args := range everyJob() {
			if err := queue.Insert(t.Context(), tx, args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "every job is completed", func() bool {
		return countOf(t, pool, `select count(*) from river.river_job where state = 'completed'`) == len(everyJob())
	})
	want := []string{"backfill", "campaign_stats default", "deliver convolo", "deliver dialedin", "drift leads", "inbox", "missing leads", "reconcile", "refetch", "upkeep", "walk", "walk", "webhook"}
	if got := done.sorted(); !slices.Equal(got, want) {
		t.Errorf("worked %v, want %v", got, want)
	}
}

func TestWakeUps(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	done, queue := startWorkers(t, pool), newTestQueue(t, pool)
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		return errors.Join(
			queue.WakeReconcile(t.Context(), tx), queue.WakeReconcile(t.Context(), tx), queue.WakeInbox(t.Context(), tx),
			queue.WakeDeliver(t.Context(), tx, nil),
			queue.WakeDeliver(t.Context(), tx, []string{"dialedin", "convolo", "dialedin"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	// Each call wakes once, two calls twice; a call wakes each destination once.
	want := []string{"deliver convolo", "deliver dialedin", "inbox", "reconcile", "reconcile"}
	eventually(t, "the drains are woken", func() bool { return len(done.sorted()) >= len(want) })
	eventually(t, "no job is left", func() bool {
		return countOf(t, pool, `select count(*) from river.river_job where state <> 'completed'`) == 0
	})
	if got := done.sorted(); !slices.Equal(got, want) {
		t.Errorf("woken %v, want %v", got, want)
	}
}

// Law 2: the job lives and dies with the transaction that makes it necessary.
func TestJobsOfARollbackAreNone(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	done, queue := startWorkers(t, pool), newTestQueue(t, pool)
	undo := errors.New("undo")
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for _, args := range everyJob() {
			if err := queue.Insert(t.Context(), tx, args); err != nil {
				return err
			}
		}
		if n := countOf(t, pool, `select count(*) from river.river_job`); n != 0 {
			t.Errorf("%d jobs are seen before the commit", n)
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	if n := countOf(t, pool, `select count(*) from river.river_job`); n != 0 {
		t.Errorf("%d jobs are left of a transaction that was rolled back", n)
	}
	if got := done.sorted(); len(got) != 0 {
		t.Errorf("worked %v for a transaction that was rolled back", got)
	}
}
