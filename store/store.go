// Package store is Postgres: one file a table group, SQL by hand, transactions at the seams that the laws ask for.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"

	"github.com/trunkline/trunkline/migrations"
)

// RiverSchema is the schema of River's own tables.
const RiverSchema = migrations.RiverSchema

// Queryer is what a query runs on: the pool, a connection or a transaction.
type Queryer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// DB is the database. Its methods are safe for concurrent use.
type DB struct {
	Pool *pgxpool.Pool
	Log  *slog.Logger
	// Clock tells the time; use DB.Now, which cuts it to what a timestamptz can hold.
	Clock func() time.Time
	// Erased keeps out what is told of erased people. Nil keeps out nothing; whatever lands records in earnest has one.
	Erased *ErasureGuard

	// patience is how long a connection is waited for; zero for acquireTimeout.
	patience time.Duration
	// pinned is the connection that all is asked on; nil for any of the pool's.
	pinned *pgxpool.Conn
	// beat is the newest heartbeat that this process has committed.
	beat atomic.Pointer[Heartbeat]
}

// Now returns the clock's time in UTC, in microseconds: Postgres keeps no more, and a nanosecond would break equality.
func (db *DB) Now() time.Time { return db.Clock().UTC().Truncate(time.Microsecond) }

// PoolOptions are the limits of a connection pool.
type PoolOptions struct {
	MaxConns int32
	// Name shows in pg_stat_activity.
	Name string
	// Statement is how long a statement may take; zero for 25 s.
	Statement time.Duration
	// ReadOnly has the server refuse writes, and end what waits for a lock for a second: nobody locks who only reads.
	ReadOnly bool
}

// statementLimit is how long a statement may take where nothing else is said.
const statementLimit = 25 * time.Second

// OpenPool connects to a database. A statement is ended by the server's own clock, below any context's deadline: a cancelled
// context would close the connection.
func OpenPool(ctx context.Context, dsn string, o PoolOptions) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the database address: %w", err)
	}
	cfg.MaxConns = o.MaxConns
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		// Else each id that is copied in goes by way of its text, a tenth of what a walk takes. How ids are read stays as it is.
		types := conn.TypeMap()
		types.TryWrapEncodePlanFuncs = slices.Insert(types.TryWrapEncodePlanFuncs, 0, pgxuuid.TryWrapUUIDEncodePlan)
		return nil
	}
	params := cfg.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":                    o.Name,
		"statement_timeout":                   strconv.FormatInt(cmp.Or(o.Statement, statementLimit).Milliseconds(), 10),
		"idle_in_transaction_session_timeout": "30000",
		"timezone":                            "UTC",
		// Small batches by key are nearly always index work; compiling them costs more than it saves.
		"jit": "off",
	} {
		if _, set := params[name]; !set {
			params[name] = value
		}
	}
	if o.ReadOnly {
		params["default_transaction_read_only"] = "on"
		params["lock_timeout"] = "1000"
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the database pool: %w", err)
	}
	return pool, nil
}

// acquireTimeout bounds the wait for a connection, so that a full pool answers "busy" instead of hanging.
const acquireTimeout = 2 * time.Second

// ErrBusy means that no connection came free in time.
var ErrBusy = errors.New("database pool is busy")

// InTx runs fn in one transaction: committed when fn returns nil, rolled back otherwise. fn must not use the pool: a
// second connection inside a transaction can lock up a full pool.
func (db *DB) InTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	if db.pinned != nil {
		return pgx.BeginFunc(ctx, db.pinned, fn)
	}
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return pgx.BeginFunc(ctx, conn, fn)
}

func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	acquireCtx, cancel := context.WithTimeout(ctx, cmp.Or(db.patience, acquireTimeout))
	defer cancel()
	conn, err := db.Pool.Acquire(acquireCtx)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("acquiring a database connection: %w", err)
	}
	return conn, nil
}
