package migrations_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func open(t *testing.T, dsn string, settings ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range settings {
		set(cfg)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestUpFromEmpty(t *testing.T) {
	t.Parallel()
	pool := open(t, storetest.EmptyDSN(t))
	if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrBehind) {
		t.Errorf("check of an empty database: %v, want ErrBehind", err)
	}
	before, err := migrations.Status(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if !before.Behind || before.Ahead || before.River != 0 || before.RiverTarget < 8 {
		t.Errorf("status of an empty database: %+v", before)
	}
	if err := migrations.Up(t.Context(), pool, quiet()); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Check(t.Context(), pool); err != nil {
		t.Errorf("check after up: %v", err)
	}
	after, err := migrations.Status(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if after.Behind || after.Ahead || after.River != after.RiverTarget || len(after.Migrations) != len(before.Migrations) {
		t.Errorf("status after up: %+v", after)
	}
	for _, m := range after.Migrations {
		if age := time.Since(m.AppliedAt); age < -time.Minute || age > 5*time.Minute {
			t.Errorf("%s applied %s ago; the time is not read as UTC", m.File, age)
		}
	}
}

// The daemon's pool may be as small as one connection and may limit its statements; neither may stop a migration.
func TestUpOnATightPool(t *testing.T) {
	t.Parallel()
	pool := open(t, storetest.EmptyDSN(t), func(cfg *pgxpool.Config) {
		cfg.MaxConns = 1
		cfg.ConnConfig.RuntimeParams["statement_timeout"] = "1ms"
		cfg.ConnConfig.RuntimeParams["timezone"] = "Australia/Sydney"
		cfg.AfterConnect = func(context.Context, *pgx.Conn) error { return nil }
	})
	var err error
	for range 20 { // status itself runs under the pool's limit of a millisecond
		var pgErr *pgconn.PgError
		if err = migrations.Up(t.Context(), pool, quiet()); !errors.As(err, &pgErr) || pgErr.Code != "57014" {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentUp(t *testing.T) {
	t.Parallel()
	dsn := storetest.EmptyDSN(t)
	var wg sync.WaitGroup
	for i := range 4 {
		pool := open(t, dsn)
		wg.Go(func() {
			if err := migrations.Up(t.Context(), pool, quiet()); err != nil {
				t.Errorf("up %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if err := migrations.Check(t.Context(), open(t, dsn)); err != nil {
		t.Error(err)
	}
}

// lockKey is the key that Up takes, repeated here because operators' notes name it.
const lockKey = 0x7472756e6b

func TestUpToDateTakesNoLock(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t)
	holder, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), "select pg_advisory_lock($1)", int64(lockKey)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := migrations.Up(ctx, open(t, dsn), quiet()); err != nil {
		t.Errorf("a current database waited for the lock: %v", err)
	}
}

// impatient is a log whose reader leaves at a word.
type impatient struct {
	said  strings.Builder
	at    string
	leave func()
}

// Write implements io.Writer.
func (i *impatient) Write(p []byte) (int, error) {
	n, err := i.said.Write(p)
	if strings.Contains(i.said.String(), i.at) {
		i.leave()
	}
	return n, err
}

func TestUpWaitsForTheLock(t *testing.T) {
	t.Parallel()
	dsn := storetest.EmptyDSN(t)
	holder, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), "select pg_advisory_lock($1)", int64(lockKey)); err != nil {
		t.Fatal(err)
	}
	pool := open(t, dsn)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// It waits until it has said so, however long that takes.
	log := &impatient{at: "waiting for another process", leave: cancel}
	if err := migrations.Up(ctx, pool, slog.New(slog.NewTextHandler(log, nil))); !errors.Is(err, context.Canceled) {
		t.Errorf("up while another holds the lock: %v, want to be stopped once it was logged: %q", err, log.said.String())
	}
	if err := holder.Close(t.Context()); err != nil { // as a killed process would
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), pool, quiet()); err != nil {
		t.Errorf("up after the holder has gone: %v", err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"ours":  "insert into ops.goose_db_version (version_id, is_applied) values (99, true)",
		"river": "insert into river.river_migration (line, version) values ('main', 999)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := storetest.DB(t)
			if _, err := pool.Exec(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrAhead) {
				t.Errorf("check: %v, want ErrAhead", err)
			}
			if err := migrations.Up(t.Context(), pool, quiet()); !errors.Is(err, migrations.ErrAhead) {
				t.Errorf("up: %v, want ErrAhead", err)
			}
		})
	}
}

// A released migration has run in somebody's database: testdata/released.sum freezes it (sha256sum's format).
func TestReleasedMigrationsAreNotEdited(t *testing.T) {
	t.Parallel()
	list, err := os.Open(filepath.Join("testdata", "released.sum"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	for scanner := bufio.NewScanner(list); scanner.Scan(); {
		want, name, ok := strings.Cut(scanner.Text(), "  ")
		if !ok || strings.HasPrefix(want, "#") {
			continue
		}
		text, err := os.ReadFile(filepath.Clean(name))
		if err != nil {
			t.Errorf("a released migration is gone: %v", err)
			continue
		}
		sum := sha256.Sum256(text)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s was edited after its release: write a new migration instead", name)
		}
	}
}

const uncommentedSQL = `
select n.nspname || '.' || c.relname || coalesce('.' || a.attname, '')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join lateral (
  select attnum, attname
  from pg_attribute
  where attrelid = c.oid
    and attnum > 0
    and not attisdropped
  union all
  select 0, null
) a on true
where n.nspname = any(@schemas)
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and coalesce(col_description(c.oid, a.attnum), case when a.attnum = 0 then obj_description(c.oid, 'pg_class') end, '') = ''
order by 1`

func TestEverythingIsCommented(t *testing.T) {
	t.Parallel()
	rows, err := storetest.DB(t).Query(t.Context(), uncommentedSQL, pgx.StrictNamedArgs{
		"schemas": []string{"ipscape", "convoso", "convolo", "dialedin", "pipeline", "ops", "analytics"},
	})
	if err != nil {
		t.Fatal(err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range missing {
		t.Errorf("%s has no comment", name)
	}
}

const publicObjectsSQL = `
select c.relname::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public'`

func TestNothingIsInPublic(t *testing.T) {
	t.Parallel()
	rows, err := storetest.DB(t).Query(t.Context(), publicObjectsSQL)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string(nil), found); len(found) > 0 {
		t.Errorf("objects in public:\n%s", diff)
	}
}

// refused tells whether the analysts' role was refused a statement.
const insufficientPrivilege = "42501"

func TestAnalystReadsAndNothingElse(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	// Rights on a database are not copied from its template: a daemon's start takes this one away again.
	if _, err := pool.Exec(t.Context(), "select ops.revoke_temporary()"); err != nil {
		t.Fatal(err)
	}
	// A statement runs as the role in a transaction of its own, rolled back.
	as := func(t *testing.T, statement string) error {
		t.Helper()
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(context.Background()) }()
		if _, err := tx.Exec(t.Context(), "set local role trunkline_analyst"); err != nil {
			t.Fatal(err)
		}
		_, err = tx.Exec(t.Context(), statement)
		return err
	}
	for _, statement := range []string{
		"select * from ipscape.activities", "select * from ipscape.leads", "select * from convoso.events",
		"select * from convolo.calls", "select * from dialedin.leads", "select * from pipeline.calls",
		"select * from pipeline.leads", "select * from analytics.freshness", "select * from analytics.leads",
		"select * from analytics.calls", "select * from analytics.deliveries", "select * from analytics.agent_days",
		"select * from analytics.dispositions_daily", "select * from analytics.do_not_call",
		"select * from analytics.lead_field_sources", "select * from analytics.match_links",
	} {
		if err := as(t, statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	for _, statement := range []string{
		"select * from ops.records", "select * from ops.api_keys", "select * from ops.inbox", "select * from ops.deliveries",
		"select * from river.river_job", "select * from ops.goose_db_version",
		"delete from ipscape.activities", "update pipeline.calls set direction = direction", "delete from pipeline.leads",
		"truncate pipeline.calls", "delete from analytics.leads", "create table public.mine (n int)",
		"create table pipeline.mine (n int)", "create schema mine", "create temporary table mine (n int)",
	} {
		err := as(t, statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != insufficientPrivilege {
			// A view that cannot be written at all is as good.
			if pgErr != nil && pgErr.Code == "55000" {
				continue
			}
			t.Errorf("%s: %v, want it refused", statement, err)
		}
	}
}

const analystTablesSQL = `
select n.nspname || '.' || c.relname
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(@schemas)
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not has_table_privilege('trunkline_analyst', c.oid, 'select')
union all
select n.nspname || '.' || c.relname || ' is writable or out of bounds'
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema'
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and (has_table_privilege('trunkline_analyst', c.oid, 'insert, update, delete, truncate')
    or not (n.nspname = any(@schemas)) and has_table_privilege('trunkline_analyst', c.oid, 'select'))`

func TestAnalystPrivilegesCoverEveryTable(t *testing.T) {
	t.Parallel()
	rows, err := storetest.DB(t).Query(t.Context(), analystTablesSQL, pgx.StrictNamedArgs{
		"schemas": []string{"ipscape", "convoso", "convolo", "dialedin", "pipeline", "analytics"},
	})
	if err != nil {
		t.Fatal(err)
	}
	faults, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Errorf("trunkline_analyst: %s", fault)
	}
}
