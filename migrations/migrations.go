// Package migrations holds the numbered SQL of trunkline's schemas and applies it, together with River's own migrations, under
// one advisory lock: daemons may start at once on an empty database, and exactly one of them does the work.
//
// Files are NNNNN_name.sql in goose's format, numbered without a gap. Our version table is ops.goose_db_version, River's
// tables live in schema river; nothing of ours is in public.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed *.sql
var files embed.FS

const (
	// RiverSchema is where River's tables live, for river.Config.Schema.
	RiverSchema  = "river"
	versionTable = "ops.goose_db_version"
)

// Up brings the database to this binary's schema. Any number of processes may call it at once; a database that is current
// already costs two reads and no lock. It fails with ErrAhead when the database belongs to a newer binary. Statements run on
// connections of their own, made from the pool's configuration without its statement timeout, so a pooler that shares
// sessions must not stand in between.
func Up(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	return up(ctx, pool, files, log)
}

func up(ctx context.Context, pool *pgxpool.Pool, fsys fs.FS, log *slog.Logger) error {
	report, err := status(ctx, pool, fsys)
	if err != nil {
		return err
	}
	if err := report.refuseNewer(); err != nil {
		return err
	}
	if !report.Behind {
		return nil
	}
	own, err := ownPool(ctx, pool)
	if err != nil {
		return err
	}
	defer own.Close()
	unlock, err := takeLock(ctx, own, log)
	if err != nil {
		return err
	}
	defer unlock()
	// Read again: while we waited, another process may have done all of it, or be newer than we are.
	if report, err = status(ctx, own, fsys); err != nil {
		return err
	}
	if err := report.refuseNewer(); err != nil {
		return err
	}
	if err := upOurs(ctx, own, fsys, log); err != nil {
		return err
	}
	return upRiver(ctx, own, log)
}

// ownPool opens connections for migrating only: no limit on a statement's time, no hooks that expect types a migration is
// yet to make.
func ownPool(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Pool, error) {
	cfg := pool.Config()
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = 3, 0, 0
	cfg.PrepareConn, cfg.AfterRelease, cfg.BeforeClose, cfg.ShouldPing = nil, nil, nil, nil
	cfg.BeforeAcquire = nil //nolint:staticcheck // deprecated, but whoever set it must not have it called here
	// Set after connecting and not as start-up parameters, which poolers refuse.
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sessionSQL)
		return err
	}
	own, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open connections to migrate: %w", err)
	}
	return own, nil
}

const sessionSQL = `
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set timezone = 'UTC'`

// prepareSQL makes the two schemas whose contents the migrators themselves make first. Reading before creating spares a
// role without CREATE on the database the error when both are there.
const prepareSQL = `
do $$
begin
	if to_regnamespace('ops') is null then
		create schema ops;
	end if;
	if to_regnamespace('river') is null then
		create schema river;
	end if;
end
$$`

// describeSQL comments the version table, which goose makes bare.
const describeSQL = `
comment on table ops.goose_db_version is 'Migrations of trunkline''s schemas that were applied here.';
comment on column ops.goose_db_version.id is 'Order in which rows were written.';
comment on column ops.goose_db_version.version_id is 'Number of the migration file; 0 is the empty schema.';
comment on column ops.goose_db_version.is_applied is 'Whether the migration is in force.';
comment on column ops.goose_db_version.tstamp is 'When it was applied, UTC.'`

func upOurs(ctx context.Context, pool *pgxpool.Pool, fsys fs.FS, log *slog.Logger) (err error) {
	if _, err := pool.Exec(ctx, prepareSQL); err != nil {
		return fmt.Errorf("make schemas ops and river: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := newProvider(db, fsys)
	if err != nil {
		return err
	}
	results, err := provider.Up(ctx)
	for _, result := range results {
		log.InfoContext(ctx, "migration applied", "version", result.Source.Version, "file", result.Source.Path,
			"duration_ms", result.Duration.Milliseconds())
	}
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		return fmt.Errorf("migration %s: %w", partial.Failed.Source.Path, partial.Err)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := pool.Exec(ctx, describeSQL); err != nil {
		return fmt.Errorf("comment the version table: %w", err)
	}
	return nil
}

// newProvider refuses a set of files with a gap or a duplicate, and Go migrations registered by anybody.
func newProvider(db *sql.DB, fsys fs.FS) (*goose.Provider, error) {
	if _, err := numbered(fsys); err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

func upRiver(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	migrator, err := newRiver(pool)
	if err != nil {
		return err
	}
	result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return fmt.Errorf("migrate river: %w", err)
	}
	for _, version := range result.Versions {
		log.InfoContext(ctx, "river migration applied", "version", version.Version, "name", version.Name,
			"duration_ms", version.Duration.Milliseconds())
	}
	return nil
}

func newRiver(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{
		Schema: RiverSchema,
		Logger: slog.New(slog.DiscardHandler), // we log what was applied ourselves
	})
	if err != nil {
		return nil, fmt.Errorf("read river's migrations: %w", err)
	}
	return migrator, nil
}

const (
	// lockKey is the advisory lock around both migrators: the ASCII letters of "trunk".
	lockKey = 0x7472756e6b
	// lockPoll is the pace of trying, lockPatience the silence before the wait is logged.
	lockPoll     = 50 * time.Millisecond
	lockPatience = 3 * time.Second
)

const lockTrySQL = `
select pg_try_advisory_lock(@key)`

// takeLock gets the lock on a connection kept for it, so that the lock goes with the process. It tries again and again
// instead of waiting in the server: a session waiting there holds a snapshot, for which a concurrent index build of the
// lock's holder would wait in turn.
func takeLock(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (unlock func(), err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to lock migrations: %w", err)
	}
	// Closing the session is what frees the lock, whatever state the connection is in.
	unlock = func() {
		_ = conn.Conn().Close(context.WithoutCancel(ctx))
		conn.Release()
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	var waited time.Duration
	for {
		var got bool
		if err := conn.QueryRow(ctx, lockTrySQL, pgx.StrictNamedArgs{"key": int64(lockKey)}).Scan(&got); err != nil {
			unlock()
			return nil, fmt.Errorf("lock migrations: %w", err)
		}
		if got {
			return unlock, nil
		}
		if waited%lockPatience == 0 && waited > 0 {
			log.InfoContext(ctx, "waiting for another process to finish migrating", "waited_s", int(waited.Seconds()))
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, fmt.Errorf("wait for the migration lock: %w", ctx.Err())
		case <-ticker.C:
			waited += lockPoll
		}
	}
}
