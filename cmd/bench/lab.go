package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/embedded"
)

// lab is the private Postgres and the volumes of a run.
type lab struct {
	options
	dir    string
	server *embedded.Server
	admin  *pgxpool.Pool
	log    *slog.Logger
	made   int
	// appendix is printed under the table: statements and plans, in Markdown.
	appendix strings.Builder
	// data is rendered once, by the first figure that needs it.
	once sync.Once
	data *dataset
	err  error
}

// emptyTemplate is the migrated database that all others are copies of.
const emptyTemplate = "bench_empty"

func openLab(ctx context.Context, o options, stderr io.Writer) (_ *lab, err error) {
	l := &lab{options: o, log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close(context.WithoutCancel(ctx)))
		}
	}()
	base := os.TempDir()
	if os.Geteuid() == 0 || len(base) > 40 {
		base = "/tmp" // short enough for a socket, and open to the user that root's server runs as
	}
	if l.dir, err = os.MkdirTemp(base, "trunkline-bench-"); err != nil {
		return nil, fmt.Errorf("making the bench's directory: %w", err)
	}
	if err := os.Chmod(l.dir, 0o711); err != nil { //nolint:gosec // the server's user passes through
		return nil, fmt.Errorf("opening the bench's directory: %w", err)
	}
	settings := map[string]string{"max_connections": "300", "shared_buffers": "1GB", "max_wal_size": "4GB"}
	if o.quick {
		settings["shared_buffers"] = "128MB"
	}
	l.server, err = embedded.Start(ctx, embedded.Config{Dir: l.dir, BinDir: os.Getenv("TRUNKLINE_PG_BIN"), Settings: settings})
	if err != nil {
		return nil, err
	}
	if l.admin, err = pgxpool.New(ctx, l.server.DSN("postgres")); err != nil {
		return nil, fmt.Errorf("connecting to the bench's Postgres: %w", err)
	}
	return l, l.makeEmpty(ctx)
}

func (l *lab) close(ctx context.Context) error {
	if l.admin != nil {
		l.admin.Close()
	}
	var err error
	if l.server != nil {
		err = l.server.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// makeEmpty migrates the template.
func (l *lab) makeEmpty(ctx context.Context) error {
	if err := l.server.EnsureDatabase(ctx, emptyTemplate); err != nil {
		return err
	}
	b, err := l.open(ctx, emptyTemplate)
	if err != nil {
		return err
	}
	defer b.shut()
	if err := migrations.Up(ctx, b.Pool, l.log); err != nil {
		return err
	}
	return (&store.Upkeeper{DB: b.DB, Retention: store.Retention{History: 1000 * time.Hour, Inbox: 1000 * time.Hour}}).Upkeep(ctx)
}

// base is one database with what works on it.
type base struct {
	*store.DB
	lab   *lab
	name  string
	queue *jobs.Queue
}

// conns is the size of a daemon's pool.
const conns = 20

func (l *lab) open(ctx context.Context, name string) (*base, error) {
	db, err := openDB(ctx, l.server.DSN(name), l.log)
	if err != nil {
		return nil, err
	}
	queue, err := jobs.NewQueue(db.Pool, l.log)
	if err != nil {
		db.Pool.Close()
		return nil, err
	}
	return &base{DB: db, lab: l, name: name, queue: queue}, nil
}

func openDB(ctx context.Context, dsn string, log *slog.Logger) (*store.DB, error) {
	pool, err := store.OpenPool(ctx, dsn, store.PoolOptions{MaxConns: conns, Name: "trunkline bench"})
	if err != nil {
		return nil, err
	}
	return &store.DB{Pool: pool, Log: log, Clock: time.Now}, nil
}

// fresh makes a copy of a template and writes out what the server still has in memory of earlier work.
func (l *lab) fresh(ctx context.Context, template string) (*base, error) {
	l.made++
	name := fmt.Sprintf("bench_%d", l.made)
	if _, err := l.admin.Exec(ctx, "create database "+quoted(name)+" template "+quoted(template)); err != nil {
		return nil, fmt.Errorf("copying database %s: %w", template, err)
	}
	if _, err := l.admin.Exec(ctx, "checkpoint"); err != nil {
		return nil, fmt.Errorf("writing a checkpoint: %w", err)
	}
	return l.open(ctx, name)
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// shut closes the database's connections.
func (b *base) shut() { b.Pool.Close() }

// drop closes the database and removes it.
func (b *base) drop(ctx context.Context) error {
	b.shut()
	if _, err := b.lab.admin.Exec(ctx, "drop database "+quoted(b.name)+" with (force)"); err != nil {
		return fmt.Errorf("dropping database %s: %w", b.name, err)
	}
	return nil
}

// on runs a side on a fresh copy of a template.
func (l *lab) on(template string, work func(ctx context.Context, b *base) ([]float64, error)) side {
	return func(ctx context.Context) ([]float64, error) {
		b, err := l.fresh(ctx, template)
		if err != nil {
			return nil, err
		}
		figures, err := work(ctx, b)
		return figures, errors.Join(err, b.drop(context.WithoutCancel(ctx)))
	}
}

// title says what was run, when and on what.
func (l *lab) title() string {
	kind := "Measured on"
	if l.quick || l.pairs < fullPairs {
		kind = "A smoke test, no measurement, on"
	}
	return fmt.Sprintf("%s %s: %d cores, %s/%s, %s, %s, medians; fsync on.", kind,
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), plural(l.pairs, "interleaved pair"))
}

// perSecond is a rate.
func perSecond(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }
