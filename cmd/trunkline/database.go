package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/api/console"
	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/embedded"
)

// database is the Postgres that a command works on.
type database struct {
	*store.DB
	// direct bypasses a pooler: River listens on it, and migrations lock on it.
	direct *pgxpool.Pool
	// lists is what the status page reads rows from, nil outside of a daemon.
	lists *pgxpool.Pool
	// replica is what requests and exports are read from where there is one, nil else.
	replica *store.Replica
	// private is the Postgres of our own, nil when DATABASE_URL names one.
	private *embedded.Server
	// demo is the session that keeps other demos away, nil outside of one.
	demo *pgx.Conn
}

// Connections of a daemon: the pool serves requests and drains; jobs and their notifier have their own.
const (
	poolConns   = 20
	directConns = 20
	toolConns   = 4
)

// openDatabase connects to DATABASE_URL, or starts the private Postgres (or attaches to it where it runs already), which has
// to be there already where existing says so.
func openDatabase(ctx context.Context, g *generalConfig, log *slog.Logger, conns int32, existing bool) (*database, error) {
	d := &database{}
	dsn, direct := g.DatabaseURL.Reveal(), g.DatabaseDirectURL.Reveal()
	if dsn == "" {
		dir, err := filepath.Abs(g.DataDir)
		if err != nil {
			return nil, withCode(exitDatabase, fmt.Errorf("finding the data directory: %w", err))
		}
		d.private, err = embedded.Start(ctx, embedded.Config{Dir: dir, BinDir: g.PGBin, Existing: existing, Log: log})
		if demo := filepath.Join(dir, demoDir); errors.Is(err, embedded.ErrNoCluster) && hasCluster(demo) {
			err = fmt.Errorf("%w; the demo's is in %s: export TRUNKLINE_DATA_DIR=%s", err, demo, demo)
		}
		if err != nil {
			return nil, withCode(exitDatabase, err)
		}
		dsn = d.private.DSN("trunkline")
	}
	if direct == "" {
		direct = dsn
	}
	if err := d.connect(ctx, dsn, direct, conns, log); err != nil {
		return nil, withCode(exitDatabase, errors.Join(err, d.Close(context.WithoutCancel(ctx))))
	}
	return d, nil
}

// demoDir is where in the data directory the demo has its own.
const demoDir = "demo"

// hasCluster tells whether a data directory has a private Postgres.
func hasCluster(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "postgres", "PG_VERSION"))
	return err == nil
}

func (d *database) connect(ctx context.Context, dsn, direct string, conns int32, log *slog.Logger) error {
	pool, err := store.OpenPool(ctx, dsn, store.PoolOptions{MaxConns: conns, Name: "trunkline"})
	if err != nil {
		return err
	}
	d.DB = &store.DB{Pool: pool, Log: log, Clock: time.Now}
	d.direct, err = store.OpenPool(ctx, direct, store.PoolOptions{MaxConns: conns, Name: "trunkline jobs"})
	if err != nil {
		return err
	}
	ping, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.direct.Ping(ping); err != nil {
		if d.private == nil {
			err = fmt.Errorf("%w (is it running, and is DATABASE_URL right?)", err)
		}
		return fmt.Errorf("reaching the database: %w", err)
	}
	return nil
}

// openLists opens the few connections whose statements end soon, for the status page's lists.
func (d *database) openLists(ctx context.Context) (*store.DB, error) {
	var err error
	d.lists, err = store.OpenPool(ctx, d.Pool.Config().ConnString(), store.PoolOptions{MaxConns: console.ListConns, Name: "trunkline page", Statement: console.ListStatement})
	if err != nil {
		return nil, err
	}
	return &store.DB{Pool: d.lists, Log: d.Log, Clock: d.Clock}, nil
}

// openReplica opens connections to the replica, where one is named. observe is told what became of each read.
func (d *database) openReplica(ctx context.Context, g *generalConfig, conns int32, observe func(outcome string)) (err error) {
	dsn := g.ReadDatabaseURL.Reveal()
	if dsn == "" {
		return nil
	}
	if d.replica, err = store.OpenReplica(ctx, d.DB, dsn, conns, observe); err != nil {
		return withCode(exitConfig, fault{"TRUNKLINE_READ_DATABASE_URL", "cannot be used"})
	}
	return nil
}

// Close ends the connections and stops the private Postgres, unless another daemon still uses it.
func (d *database) Close(ctx context.Context) error {
	if d.DB != nil {
		d.Pool.Close()
	}
	if d.lists != nil {
		d.lists.Close()
	}
	if d.replica != nil {
		d.replica.Close()
	}
	if d.direct != nil {
		d.direct.Close()
	}
	if d.demo != nil {
		// Its end is all that is wanted of it.
		_ = d.demo.Close(ctx)
	}
	if d.private == nil {
		return nil
	}
	return d.private.Stop(ctx)
}

// toolDatabase opens the database for a command other than serve, which refuses a schema that is not this version's.
func (p *program) toolDatabase(ctx context.Context, c *config) (*database, error) {
	log := newLogger(p.stderr, &generalConfig{LogLevel: logLevel{slog.LevelWarn}, LogFormat: c.General.LogFormat}, p.terminal, c.secrets())
	d, err := openDatabase(ctx, &c.General, log, toolConns, true)
	if err != nil {
		return nil, err
	}
	if err := migrations.Check(ctx, d.direct); err != nil {
		return nil, withCode(exitDatabase, errors.Join(err, d.Close(context.WithoutCancel(ctx))))
	}
	return d, nil
}

// withDatabase runs a command's work on the database and closes it afterwards.
func (p *program) withDatabase(ctx context.Context, work func(ctx context.Context, c *config, d *database) error) error {
	return p.withDatabaseOf(ctx, p.config, work)
}

// withVendors is withDatabase for what asks vendors, or has to know their settings.
func (p *program) withVendors(ctx context.Context, work func(ctx context.Context, c *config, d *database) error) error {
	return p.withDatabaseOf(ctx, p.vendorConfig, work)
}

func (p *program) withDatabaseOf(ctx context.Context, read func() (*config, error), work func(ctx context.Context, c *config, d *database) error) error {
	c, err := read()
	if err != nil {
		return err
	}
	d, err := p.toolDatabase(ctx, c)
	if err != nil {
		return interrupted(ctx, err)
	}
	err = interrupted(ctx, work(ctx, c, d))
	return errors.Join(err, d.Close(context.WithoutCancel(ctx)))
}
