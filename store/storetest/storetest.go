// Package storetest gives tests real databases. The first call starts a private Postgres for the test process (Unix socket
// only, no fsync), migrates a template once, and every test then gets a clone of it. The server ends with the process, also
// when that is killed. TRUNKLINE_TEST_DATABASE_URL names a running server to use instead.
//
// A missing Postgres fails the test: a suite that skips its database tests proves nothing.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/migrations"
)

const (
	// poolSize is enough for a test that runs workers, and small enough for many parallel tests on one server.
	poolSize = 8
	// setupTimeout limits making the cluster and the template; cleanUpTimeout limits one drop.
	setupTimeout   = 2 * time.Minute
	cleanUpTimeout = 30 * time.Second
)

// DB returns a pool on a fresh, fully migrated database, which is dropped when the test ends.
func DB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(DSN(t))
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	cfg.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Tx returns a transaction on a database shared with nobody, rolled back when the test ends.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	tx, err := DB(t).Begin(context.Background())
	if err != nil {
		t.Fatalf("storetest: begin: %v", err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// DSN returns the URL of a fresh, fully migrated database, which is dropped when the test ends.
func DSN(t testing.TB) string {
	t.Helper()
	s := server(t)
	template, err := s.migrated()
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	return s.create(t, template)
}

// Copy copies a whole database as it is now, as a backup of it would be: it closes the pool, for a database is copied only while
// nobody is on it, and returns one on the same database and one on the copy. Both end with the test.
func Copy(t testing.TB, pool *pgxpool.Pool) (same, copied *pgxpool.Pool) {
	t.Helper()
	s := server(t)
	name := pool.Config().ConnConfig.Database
	pool.Close()
	open := func(dsn string) *pgxpool.Pool {
		opened, err := pgxpool.New(context.Background(), dsn)
		if err != nil {
			t.Fatalf("storetest: %v", err)
		}
		t.Cleanup(opened.Close)
		return opened
	}
	return open(s.dsn(name)), open(s.create(t, name))
}

// EmptyDSN returns the URL of a fresh database without our schema, which is dropped when the test ends.
func EmptyDSN(t testing.TB) string {
	t.Helper()
	return server(t).create(t, "template0")
}

// Main runs a package's tests and then stops the test server and removes its files. Call it from TestMain. Without it the
// same happens a moment after the process has ended, except that on a server of your own the template stays until the next run.
func Main(m *testing.M) {
	code := m.Run()
	if err := current.close(); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// current is the server of this test process; there is one, and no test owns it.
var current process

// process is the server that all tests of this process share.
type process struct {
	start    sync.Once
	err      error
	admin    *pgxpool.Pool // on the maintenance database
	named    bool          // the server was named to us and outlives us
	dsn      func(database string) string
	stop     func() error // ends what start began
	prefix   string       // of the names of our databases
	lessor   *pgx.Conn    // holds the lock on prefix, on a named server
	count    atomic.Int64
	strategy string // of create database; empty before Postgres 15

	migrate  sync.Once
	template string
	tmplErr  error
}

func server(t testing.TB) *process {
	t.Helper()
	current.start.Do(func() { current.err = current.open() })
	if current.err != nil {
		t.Fatalf("storetest: %v", current.err)
	}
	return &current
}

func (p *process) open() error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	var err error
	if dsn := os.Getenv("TRUNKLINE_TEST_DATABASE_URL"); dsn != "" {
		p.dsn, err = onServer(dsn)
		p.named = true
		p.stop = func() error { return nil }
	} else {
		p.dsn, p.stop, err = startCluster(ctx)
	}
	if err != nil {
		return err
	}
	if p.admin, err = pgxpool.New(ctx, p.dsn("postgres")); err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	var version int
	if err := p.admin.QueryRow(ctx, "select current_setting('server_version_num')::int").Scan(&version); err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	if version >= 150000 {
		// A third faster than wal_log without fsync: the checkpoints it asks for cost nothing there.
		p.strategy = " strategy file_copy"
	}
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	p.prefix = namePrefix + hex.EncodeToString(id)
	return p.lease(ctx)
}

// namePrefix begins the name of every database of ours; eight hexadecimal digits of the process's own follow.
const namePrefix = "trunkline_test_"

const abandonedSQL = `
select datname
from pg_database
where datname like 'trunkline\_test\_%'
  and pg_try_advisory_xact_lock(hashtextextended(left(datname, @length), 0))`

// lease marks this process's databases as in use and, on a server that outlives us, drops those of processes that were
// killed: a lock on the prefix is held by a session that ends with its process.
func (p *process) lease(ctx context.Context) error {
	if !p.named {
		return nil
	}
	conn, err := p.admin.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("lease names on the test server: %w", err)
	}
	p.lessor = conn.Hijack()
	if _, err := p.lessor.Exec(ctx, "select pg_advisory_lock(hashtextextended($1, 0))", p.prefix); err != nil {
		return fmt.Errorf("lease names on the test server: %w", err)
	}
	rows, err := p.admin.Query(ctx, abandonedSQL, pgx.StrictNamedArgs{"length": len(p.prefix)})
	if err != nil {
		return fmt.Errorf("look for abandoned test databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for abandoned test databases: %w", err)
	}
	for _, name := range names {
		if err := p.drop(name); err != nil {
			return err
		}
	}
	return nil
}

// onServer makes database URLs on a server that was named to us.
func onServer(dsn string) (func(string) string, error) {
	u, err := url.Parse(dsn)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		// The parser's own error repeats the URL, which may hold a password.
		return nil, fmt.Errorf("TRUNKLINE_TEST_DATABASE_URL is not a postgres:// URL")
	}
	return func(database string) string {
		other := *u
		other.Path = "/" + database
		return other.String()
	}, nil
}

// migrated makes the template on first use. Tests that need no database never pay for it.
func (p *process) migrated() (string, error) {
	p.migrate.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		p.template = p.prefix + "_template"
		p.tmplErr = p.makeTemplate(ctx)
	})
	return p.template, p.tmplErr
}

func (p *process) makeTemplate(ctx context.Context) error {
	if err := p.exec(ctx, "create database %s template template0", p.template); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, p.dsn(p.template))
	if err != nil {
		return fmt.Errorf("connect to the template: %w", err)
	}
	defer pool.Close() // a template with a session on it cannot be cloned
	if err := migrations.Up(ctx, pool, discardLog()); err != nil {
		return fmt.Errorf("migrate the template: %w", err)
	}
	return nil
}

func (p *process) create(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("%s_%d", p.prefix, p.count.Add(1))
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	statement := "create database %s template " + pgx.Identifier{template}.Sanitize() + p.strategy
	if err := p.exec(ctx, statement, name); err != nil {
		t.Fatalf("storetest: %v", err)
	}
	t.Cleanup(func() {
		if err := p.drop(name); err != nil {
			t.Errorf("storetest: %v", err)
		}
	})
	return p.dsn(name)
}

// drop removes a database, sessions of a test that forgot to close its pool included.
func (p *process) drop(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpTimeout)
	defer cancel()
	return p.exec(ctx, "drop database if exists %s with (force)", name)
}

// exec runs a statement on a database's name; those statements take no parameters.
func (p *process) exec(ctx context.Context, statement, name string) error {
	if _, err := p.admin.Exec(ctx, fmt.Sprintf(statement, pgx.Identifier{name}.Sanitize())); err != nil {
		return fmt.Errorf("%s: %w", fmt.Sprintf(statement, name), err)
	}
	return nil
}

func (p *process) close() error {
	if p.stop == nil {
		return nil // no test asked for a database
	}
	var err error
	if p.admin != nil {
		if p.template != "" {
			err = p.drop(p.template)
		}
		p.admin.Close()
		if p.lessor != nil {
			_ = p.lessor.Close(context.Background())
		}
	}
	if stopErr := p.stop(); stopErr != nil {
		err = stopErr
	}
	return err
}
