package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestMain makes the test binary double as the program: a child process with childEnv set is trunkline itself, so that
// tests kill and signal real daemons without building one first.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(childMain())
	}
	storetest.Main(m)
}

// fullSize says that tests of whole volumes take those of the acceptance, which last minutes, and not a part of them.
func fullSize() bool { return os.Getenv("TRUNKLINE_TEST_FULL") != "" }

// inFull picks the volume of such a test.
func inFull(small, full int) int {
	if fullSize() {
		return full
	}
	return small
}

// quick is the environment that makes seconds of what takes minutes at work.
func quick() map[string]string {
	return map[string]string{
		"TRUNKLINE_HTTP_ADDR":         "127.0.0.1:0",
		"TRUNKLINE_CALL_WINDOW":       "00:00-24:00",
		"TRUNKLINE_DIAL_QUIET":        "0s",
		"TRUNKLINE_PUSH":              "dialedin,convolo",
		"IPSCAPE_SETTLE":              "1s",
		"IPSCAPE_SCHEDULE_ACTIVITIES": "@every 1s",
		"IPSCAPE_SCHEDULE_LEADS":      "@every 1s",
	}
}

// rig is a world of simulated vendors, an empty database, and the environment that joins a daemon to both.
type rig struct {
	testing.TB
	box    *sandbox.Sandbox
	server *sandbox.Server
	dsn    string
	db     *pgxpool.Pool
	env    map[string]string
}

// newRig makes the vendors' seeded history an hour old, so that nothing of it is still to be told: what ipSCAPE adds to a
// call within twenty minutes is there, and truth does not move while a test compares with it. Their clocks go right.
func newRig(t testing.TB, opt sandbox.Options, env map[string]string) *rig {
	t.Helper()
	var seeded sync.Once
	opt.Now = func() (now time.Time) {
		now = time.Now()
		seeded.Do(func() { now = now.Add(-time.Hour) })
		return now
	}
	r := &rig{TB: t, box: sandbox.New(opt), env: quick()}
	var err error
	if r.server, err = r.box.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.server.Close() })
	maps.Copy(r.env, r.box.Env(r.server.URL()))
	r.fresh()
	maps.Copy(r.env, env)
	return r
}

// fresh gives the rig an empty database of its own.
func (r *rig) fresh() {
	r.Helper()
	r.dsn = storetest.EmptyDSN(r)
	cfg, err := pgxpool.ParseConfig(r.dsn)
	if err != nil {
		r.Fatal(err)
	}
	// The daemons' own sessions are told from ours by their names.
	cfg.MaxConns, cfg.ConnConfig.RuntimeParams["application_name"] = 4, "test"
	if r.db, err = pgxpool.NewWithConfig(r.Context(), cfg); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(r.db.Close)
	r.env = r.with(map[string]string{
		"DATABASE_URL": r.dsn, "TRUNKLINE_DATA_DIR": r.TempDir(), "TRUNKLINE_WEBHOOK_KEY_FILE": filepath.Join(r.TempDir(), "webhook.key"),
	})
}

// with returns the rig's environment with changes.
func (r *rig) with(changes map[string]string) map[string]string {
	env := maps.Clone(r.env)
	maps.Copy(env, changes)
	return env
}

// serve starts a daemon and waits until it is up.
func (r *rig) serve(changes map[string]string) *child {
	r.Helper()
	c := startChild(r, r.with(changes), "serve")
	c.waitUp()
	return c
}

// command runs one command to its end.
func (r *rig) command(args ...string) ended {
	r.Helper()
	return runChild(r, r.env, args...)
}

// front is a door of its own to the rig's vendors: what comes through it came from the daemon that was given its address.
type front struct {
	url    string
	mu     sync.Mutex
	inside map[string]int
}

func (r *rig) front() *front {
	f := &front{inside: map[string]int{}}
	vendors := r.box.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		f.count(req.URL.Path, 1)
		defer f.count(req.URL.Path, -1)
		vendors.ServeHTTP(w, req)
	}))
	f.url = server.URL
	r.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return f
}

func (f *front) count(path string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inside[path] += n
}

// waiting says how many requests whose path ends so are being answered.
func (f *front) waiting(suffix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for path, k := range f.inside {
		if strings.HasSuffix(path, suffix) {
			n += k
		}
	}
	return n
}

// one reads a single value.
func one[T any](r *rig, sql string, args ...any) T {
	r.Helper()
	var v T
	if err := r.db.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		r.Fatalf("%s: %v", sql, err)
	}
	return v
}

// list reads one column.
func list[T any](r *rig, sql string, args ...any) []T {
	r.Helper()
	rows, err := r.db.Query(context.Background(), sql, args...)
	if err != nil {
		r.Fatalf("%s: %v", sql, err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		r.Fatalf("%s: %v", sql, err)
	}
	return values
}

func (r *rig) exec(sql string, args ...any) {
	r.Helper()
	if _, err := r.db.Exec(context.Background(), sql, args...); err != nil {
		r.Fatalf("%s: %v", sql, err)
	}
}

// eventually looks until there is nothing more to wait for, which look says with an empty text, and returns how long that
// took. It fails the test when it takes longer than within.
func eventually(t testing.TB, within time.Duration, look func() (waiting string)) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		waiting := look()
		took := time.Since(began)
		if waiting == "" {
			return took
		}
		if took > within {
			t.Fatalf("still waiting after %s: %s", within, waiting)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// settled waits until everything that the vendors hold by now is read, everything told is folded, and every delivery has
// an end.
func (r *rig) settled(within time.Duration) {
	r.Helper()
	told := time.Now()
	eventually(r, within, func() string {
		streams := one[int](r, `select count(*) from analytics.freshness where source = 'ipscape' and stream in ('activities', 'leads') and covered_through > $1 and holes = 0`, told)
		posts := one[int](r, `select count(*) from ops.inbox where state = 'new'`)
		records := one[int](r, `select count(*) from ops.reconcile_queue`)
		open := one[int](r, `select count(*) from ops.deliveries where state in ('ready', 'sending', 'unknown')`)
		if streams == 2 && posts+records+open == 0 {
			return ""
		}
		return fmt.Sprintf("%d of 2 streams read, %d posts new, %d records to fold, %d deliveries open", streams, posts, records, open)
	})
}

// poster is how Convoso's posts, and our own calls of the API, are sent.
var poster = &http.Client{Timeout: time.Minute}

// post sends Convoso posts to a daemon; none means all that are planned.
func (r *rig) post(c *child, posts ...sandbox.Post) {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if len(posts) == 0 {
		if err := r.box.Convoso().PostParallel(ctx, poster, c.url(), 4); err != nil {
			r.Fatal(err)
		}
	}
	for _, p := range posts {
		if err := r.box.Convoso().PostOne(ctx, poster, c.url(), p); err != nil {
			r.Fatal(err)
		}
	}
}

// lawful fails when a vendor saw a request that its contract forbids.
func (r *rig) lawful() {
	r.Helper()
	if wrong := r.box.Violations(); len(wrong) > 0 {
		r.Errorf("requests that a contract forbids: %q", wrong)
	}
}

// youngLeads makes leads that are uploaded this moment: younger than any route made before, so that they are pushed.
func youngLeads(first, n int) []sandbox.Lead {
	now := time.Now().UTC()
	var leads []sandbox.Lead
	for i := first; i < first+n; i++ {
		leads = append(leads, sandbox.Lead{
			ID: int64(900_000 + i), CampaignID: 12, CampaignName: "Working Capital", ListID: 120, ListName: "Working Capital 1",
			Timezone: "America/New_York", CustomerKey: fmt.Sprintf("fresh-%05d", i), Phones: []string{youngPhone(i)},
			DataFields: map[string]any{
				"firstName": "Quillonius", "lastName": fmt.Sprintf("Ostrovander%05d", i), "businessName": fmt.Sprintf("Zephyrine Bakery %05d LLC", i),
				"email": fmt.Sprintf("quillonius%05d@zephyrine.example", i), "loanAmount": 20000 + i,
			},
			Created: now,
		})
	}
	return leads
}

func youngPhone(i int) string { return fmt.Sprintf("+121273%05d", 60_000+i) }

// execOn runs a statement on a database that has no rig.
func execOn(t testing.TB, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
