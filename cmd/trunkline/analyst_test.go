package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestAnalyst takes the role that analysts log in with a member of: it reads all that is meant for them, in a database that
// a daemon has filled, and can change nothing and see nothing of the daemon's own affairs.
func TestAnalyst(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 18, Activities: 120, Leads: 40, Posts: 40}, nil)
	d := r.serve(nil)
	r.post(d)
	r.settled(3 * time.Minute)
	conn, err := pgx.Connect(t.Context(), r.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	relations := func(schemas string) []string {
		return list[string](r, `select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.relkind in ('r', 'v', 'm', 'p') and n.nspname ~ $1 order by 1`, "^("+schemas+")$")
	}
	shown, hidden := relations("ipscape|convoso|convolo|dialedin|pipeline|analytics"), relations("ops|river")
	if len(shown) < 20 || len(hidden) < 15 {
		t.Fatalf("%d relations for analysts, %d of our own: too few to be all", len(shown), len(hidden))
	}
	if _, err := conn.Exec(t.Context(), `set role trunkline_analyst`); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, name := range shown {
		var n int
		if err := conn.QueryRow(t.Context(), `select count(*) from `+name).Scan(&n); err != nil {
			t.Errorf("reading %s: %v", name, err)
		}
		rows[name] = n
	}
	for name, want := range map[string]int{"ipscape.activities": 120, "ipscape.leads": 40} {
		if rows[name] != want {
			t.Errorf("%s: %d rows, want %d", name, rows[name], want)
		}
	}
	for _, name := range []string{
		"pipeline.calls", "analytics.freshness", "analytics.leads", "analytics.calls", "analytics.deliveries", "analytics.do_not_call",
		"analytics.agent_days", "analytics.dispositions_daily", "analytics.lead_field_sources", "analytics.match_links",
	} {
		if rows[name] == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	denied := 0
	refused := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		// 55000 is a view that nobody can write to.
		if !errors.As(err, &pg) || pg.Code != "42501" && (pg.Code != "55000" || !strings.Contains(sql, "analytics.")) {
			t.Errorf("%s: %v, want permission denied", sql, err)
			return
		}
		denied++
	}
	for _, name := range append(shown, hidden...) {
		refused(`delete from ` + name)
		refused(`insert into ` + name + ` default values`)
		if column := one[string](r, `select attname from pg_attribute where attrelid = $1::regclass and attnum = 1`, name); column != "" {
			refused(fmt.Sprintf(`update %s set %s = %[2]s`, name, column))
		}
		if !strings.HasPrefix(name, "analytics.") {
			refused(`truncate ` + name)
		}
	}
	for _, name := range hidden {
		refused(`select count(*) from ` + name)
	}
	for _, schema := range []string{"public", "ipscape", "convoso", "convolo", "dialedin", "pipeline", "analytics", "ops", "river"} {
		refused(`create table ` + schema + `.mine (a integer)`)
	}
	refused(`select ops.ensure_partitions(now(), 1)`)
	refused(`create schema mine`)
	refused(`alter role trunkline_analyst superuser`)
	t.Logf("%d relations read, %d statements refused", len(shown), denied)
}
