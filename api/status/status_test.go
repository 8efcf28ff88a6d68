package status_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// seqRead counts the rows that scans of whole tables have read so far, of the tables that grow for years.
func seqRead(t *testing.T, pool *pgxpool.Pool) (rows int) {
	t.Helper()
	err := pool.QueryRow(t.Context(), `select coalesce(sum(seq_tup_read), 0)::bigint from pg_stat_user_tables
		where schemaname = 'ops' and (relname in ('records', 'deliveries', 'quarantine') or relname like 'inbox%')`).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// apart uses connections of its own, and waits until they are gone: what a connection has read is told when it ends.
func apart(t *testing.T, pool *pgxpool.Pool, use func(own *pgxpool.Pool)) {
	t.Helper()
	own, err := pgxpool.NewWithConfig(context.Background(), pool.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	use(own)
	own.Close()
	deadline := time.Now().Add(60 * time.Second)
	for {
		var open int
		if err := pool.QueryRow(t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state is not null and application_name = $1`,
			pool.Config().ConnConfig.RuntimeParams["application_name"]).Scan(&open); err != nil {
			t.Fatal(err)
		}
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are still open: nobody knows what they have read", open)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestReadFollowsIndexes: what the page asks every few seconds reads no large table whole.
func TestReadFollowsIndexes(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	db := &store.DB{Pool: pool, Log: slog.New(slog.DiscardHandler), Clock: time.Now}
	if _, err := db.EnsureDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile("../console/testdata/rows.sql")
	if err != nil {
		t.Fatal(err)
	}
	apart(t, pool, func(own *pgxpool.Pool) {
		exec(t, own, string(rows))
		exec(t, own, `
		insert into ops.deliveries (id, org_id, account_id, destination, operation, class, state, source_time, not_before, created_at, settled_at, dedupe)
		select gen_random_uuid(), org_id, 'default', 'dialedin', 'insert_lead', 'rings', 'confirmed', t, t, t, t, 'old' || i
		from ops.organisations, generate_series(1, 20000) i, lateral (select now() - interval '2 days' - i * interval '1 minute' as t) x;
		insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, body)
		select (lpad(to_hex((extract(epoch from t) * 1000)::bigint), 12, '0') || '7000' || '8' || substr(md5(i::text), 1, 15))::uuid, org_id, 'convoso', 'done', t, 'POST', 'application/json', '{}'
		from ops.organisations, generate_series(1, 20000) i, lateral (select now() - interval '3 hours' - i * interval '10 seconds' as t) x;
		insert into ops.quarantine (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, first_seen_at, last_seen_at, state)
		select gen_random_uuid(), org_id, 'default', 'ipscape', 'activities', 'fixed' || i, 'decode', 'e', '', '', now(), now(), 'fixed' from ops.organisations, generate_series(1, 10000) i`)
		exec(t, own, `vacuum analyze ops.deliveries, ops.inbox, ops.quarantine, ops.walks, ops.streams`)
	})
	before := seqRead(t, pool)
	var st *status.Status
	apart(t, pool, func(own *pgxpool.Pool) {
		looking := &store.DB{Pool: own, Log: db.Log, Clock: time.Now}
		if st, err = status.Read(t.Context(), looking, 48*time.Hour, &pipeline.Rules{}); err != nil {
			t.Fatal(err)
		}
	})
	if read := seqRead(t, pool) - before; read > 0 {
		t.Errorf("%d rows were read by scans of whole tables", read)
	}

	if st.Well || len(st.Streams) != 5 || st.Quarantine != 10 || st.BadPosts == 0 || st.Obligations == 0 || len(st.Backfills) == 0 || len(st.Posts) == 0 || len(st.Gaps) == 0 {
		t.Errorf("the status lacks something: %+v", st)
	}
	if !slices.ContainsFunc(st.Deliveries, func(d status.Delivery) bool { return d.State == "ready" && d.Reason == "" && d.Hold == "call_window" }) {
		t.Errorf("what deliveries wait for is not told: %+v", st.Deliveries)
	}
	for _, d := range st.Deliveries {
		if d.Count >= 20000 {
			t.Errorf("%+v counts what ended days ago", d)
		}
	}
	if line := st.FirstLine(); !strings.HasPrefix(line, "not well: no daemon is running; ") || !strings.Contains(line, "ipscape.activities has 2 holes") || !strings.Contains(line, "ipscape.dial_attempts of account brisbane-office-second-account has not") {
		t.Errorf("first line %q", line)
	}
	for _, p := range st.Problems {
		if p.Command == "" && p.Runbook == "" {
			t.Errorf("%q says nothing of what to do", p.Text)
		}
	}
	text, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	var back struct{ Problems []string }
	if err := json.Unmarshal(text, &back); err != nil || len(back.Problems) != len(st.Problems) || back.Problems[0] != "no daemon is running" {
		t.Errorf("as JSON: %v %q", err, back.Problems)
	}
}

// TestReadOfNothing: an empty database is a state too.
func TestReadOfNothing(t *testing.T) {
	t.Parallel()
	db := &store.DB{Pool: storetest.DB(t), Log: slog.New(slog.DiscardHandler), Clock: time.Now}
	st, err := status.Read(t.Context(), db, time.Hour, &pipeline.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(st)
	if err != nil || strings.Contains(string(text), "null,") && strings.Contains(string(text), `"streams":null`) {
		t.Errorf("lists of nothing are null: %s %v", text, err)
	}
	if st.FirstLine() != "not well: no daemon is running" {
		t.Errorf("first line %q", st.FirstLine())
	}
}

// TestReasonsSayWhatToRead: a reason without a command names a heading that there is in the runbook, and no command is named that the
// vendor's no makes useless.
func TestReasonsSayWhatToRead(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	db := &store.DB{Pool: pool, Log: slog.New(slog.DiscardHandler), Clock: time.Now}
	exec(t, pool, `
		insert into ops.budgets (org_id, account_id, source, refilled_at, denied_at, paused_until)
		values (gen_random_uuid(), 'default', 'ipscape', now(), now(), null), (gen_random_uuid(), 'default', 'convoso', now(), null, now() + interval '1 hour');
		insert into ops.streams (org_id, account_id, source, stream, capability, last_error, warning)
		values (gen_random_uuid(), 'default', 'ipscape', 'leads', 'created', 'denied', null), (gen_random_uuid(), 'default', 'convoso', 'call_log', 'created', 'away', 'lacks too much');
		insert into ops.attention (attention_id, kind, detail, since) values (gen_random_uuid(), 'lost_commits', 'commits were lost', now());
		insert into ops.daemons (daemon_id, host, version, started_at, seen_at) values (gen_random_uuid(), 'h', 'v', now(), now())`)
	st, err := status.Read(t.Context(), db, time.Hour, &pipeline.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	book, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := strings.Split(string(book), "\n")
	got := []string{}
	for _, p := range st.Problems {
		if p.Runbook != "" && !slices.Contains(headings, "## "+p.Runbook) && !slices.Contains(headings, "### "+p.Runbook) {
			t.Errorf("%q: the runbook has no heading %q", p.Text, p.Runbook)
		}
		text, _, _ := strings.Cut(p.Text, " until ")
		got = append(got, text+" | "+p.Command+p.Runbook)
	}
	slices.Sort(got)
	want := []string{
		"commits were lost | The database lost commits",
		"convoso asked us to wait | TrunklineVendorPaused",
		"convoso.call_log fails | trunkline sync convoso call_log --wait",
		"convoso.call_log: lacks too much | What vanished at ipSCAPE",
		"ipscape refuses our credentials | A vendor says no",
		"ipscape.leads fails | ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
