// Package embedded runs trunkline's private Postgres: the database of a daemon that was given no DATABASE_URL.
//
// The cluster lives in a directory of its own, survives restarts and crashes, and is shared by every daemon and command
// that names the same directory: the first starts the server, the others attach to it, the last to leave stops it. The server
// listens on a Unix socket only, in a directory that nobody but its owner (and root) can enter.
//
// Nothing here ever deletes a cluster. A directory that holds a cluster of another major version, or something that is no
// cluster, is left as it is and reported.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// superuser owns the cluster; every connection over the private socket is trusted to be it.
	superuser = "trunkline"
	// defaultDatabase is made by Start when it is missing.
	defaultDatabase = "trunkline"
	// port only names the socket file: the server opens no TCP port.
	port = 5432
	// minMajor is the oldest Postgres with multiranges, which our schema needs.
	minMajor = 14
	// defaultStartTimeout leaves room for crash recovery over a full max_wal_size on a slow disk.
	defaultStartTimeout = 2 * time.Minute
	// defaultStateDir is where root keeps a cluster whose own directory the server's user cannot reach.
	defaultStateDir = "/var/lib/trunkline"
	// stopGrace is how long a fast shutdown may take when the caller's context has no deadline.
	stopGrace = 60 * time.Second
	// poll is the pace at which files, locks and sockets are looked at again while waiting.
	poll = 25 * time.Millisecond
)

// ErrNoBinaries means that no Postgres server programs were found and none could be fetched. Its text says what to install.
var ErrNoBinaries = errors.New("no Postgres server programs found: install them (Debian, Ubuntu: apt-get install postgresql; " +
	"macOS: brew install postgresql@17), or name their directory in TRUNKLINE_PG_BIN, or a running server in DATABASE_URL")

// ErrVersionMismatch means that the cluster was made by another major version of Postgres than the programs found.
// Neither was touched.
var ErrVersionMismatch = errors.New("postgres version mismatch")

// ErrNoCluster means that there is no cluster in the data directory, and that none was to be made.
var ErrNoCluster = errors.New("there is no database here yet: start trunkline serve first, or name a server in DATABASE_URL")

// Config says where the private Postgres lives and how it is run. Only Dir is required.
type Config struct {
	// Dir is the data root, such as .trunkline. The cluster is Dir/postgres, its log Dir/postgres.log.
	Dir string
	// BinDir names the directory of initdb, pg_ctl and postgres (TRUNKLINE_PG_BIN). Empty means PATH, then the usual
	// places of Debian, PGDG and Homebrew, then a download.
	BinDir string
	// StateDir replaces /var/lib/trunkline, used as root only: for a cluster whose Dir the server's user cannot reach, and
	// for downloaded programs.
	StateDir string
	// Existing refuses to make a cluster where there is none.
	Existing bool
	// Settings are server settings on top of ours, for tests (fsync=off). They win over postgresql.conf.
	Settings map[string]string
	// StartTimeout limits the wait for a server to answer, recovery included. Zero means two minutes.
	StartTimeout time.Duration
	// Log is told what happens; nil is silent.
	Log *slog.Logger
}

// Server is one holder's share in a private Postgres. It is safe for concurrent use.
type Server struct {
	cfg Config
	log *slog.Logger
	// repository replaces Maven Central as the place to download from, in tests.
	repository string
	account    account
	bins       binaries
	root       string                 // data root in use: Config.Dir, or its stand-in under StateDir
	sockets    atomic.Pointer[string] // directory of the socket of the server we use

	mu    sync.Mutex
	inUse *fileLock     // shared while we need the server; nil once stopped
	child chan struct{} // closed when a postmaster started by us has ended; nil when we attached
}

// Start gives access to the private Postgres in cfg.Dir: it attaches to a living server or starts one, making the cluster
// first when there is none, and sees to it that the database trunkline exists. Any number of processes may call it at once.
// It fails with ErrNoBinaries or ErrVersionMismatch, or with the last lines of the server's log.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.StartTimeout <= 0 {
		s.cfg.StartTimeout = defaultStartTimeout
	}
	if s.cfg.StateDir == "" {
		s.cfg.StateDir = defaultStateDir
	}
	if cfg.Dir == "" {
		return nil, errors.New("embedded postgres: no data directory given")
	}
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("embedded postgres: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", s.cfg.Dir, err)
	}
	if err := s.settle(ctx, dir); err != nil {
		return err
	}
	if s.cfg.Existing && !exists(filepath.Join(s.cluster(), "PG_VERSION")) {
		return fmt.Errorf("%s: %w", s.cluster(), ErrNoCluster)
	}
	// The versions are compared before the first file is written, the lock files included.
	if s.bins, err = findBinaries(ctx, s); err != nil {
		return err
	}
	if err := s.checkVersion(); err != nil {
		return err
	}
	sockets, err := s.socketDir(ctx)
	if err != nil {
		return err
	}
	s.sockets.Store(&sockets)
	s.mu.Lock()
	defer s.mu.Unlock()
	inUse, err := openLock(s.path("postgres.lock"), s.account)
	if err != nil {
		return err
	}
	err = s.serialized(ctx, func() error {
		if err := s.ensure(ctx); err != nil {
			return err
		}
		return inUse.lock(ctx, shared)
	})
	if err != nil {
		inUse.close()
		return err
	}
	s.inUse = inUse
	if err := s.EnsureDatabase(ctx, defaultDatabase); err != nil {
		return errors.Join(err, s.release(context.WithoutCancel(ctx)))
	}
	return nil
}

// Ensure starts the server again when it has died under us, and does nothing while it answers. The socket stays where it
// was, so pools that were opened on DSN reconnect by themselves.
func (s *Server) Ensure(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse == nil {
		return errors.New("embedded postgres: ensure: already stopped")
	}
	if s.serving(ctx) {
		return nil
	}
	if err := s.serialized(ctx, func() error { return s.ensure(ctx) }); err != nil {
		return fmt.Errorf("embedded postgres: %w", err)
	}
	return nil
}

// Stop gives up this holder's share. The last holder of a directory stops the server: fast, so that open sessions are ended
// and everything committed is kept. Stop may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse == nil {
		return nil
	}
	if err := s.release(ctx); err != nil {
		return fmt.Errorf("embedded postgres: stop: %w", err)
	}
	return nil
}

// release closes our share whatever happens, so that a failed stop never keeps the next holder from being the last one.
func (s *Server) release(ctx context.Context) error {
	inUse := s.inUse
	s.inUse = nil
	defer inUse.close()
	return s.serialized(ctx, func() error {
		// Nobody can begin to use the server while we hold the start lock, so getting the exclusive lock proves that
		// we are alone.
		alone, err := inUse.try(exclusive)
		if err != nil {
			return err
		}
		if !alone {
			s.log.Info("private postgres left running for its other users", "dir", s.root)
			return nil
		}
		return s.shutdown(ctx)
	})
}

// serialized runs do while no other process starts or stops a server on this directory.
func (s *Server) serialized(ctx context.Context, do func() error) error {
	gate, err := openLock(s.path("postgres-start.lock"), s.account)
	if err != nil {
		return err
	}
	defer gate.close()
	if err := gate.lock(ctx, exclusive); err != nil {
		return err
	}
	return do()
}

// Dir returns the data root in use: Config.Dir made absolute, or its stand-in under Config.StateDir when the server's user
// cannot reach it.
func (s *Server) Dir() string { return s.root }

// DSN returns the URL of a database on this server, for pgx and for psql alike. It holds no password: the socket's directory
// is the protection.
func (s *Server) DSN(database string) string {
	return dsn(*s.sockets.Load(), database)
}

func dsn(sockets, database string) string {
	query := url.Values{"host": {sockets}, "port": {strconv.Itoa(port)}}
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

const databaseExistsSQL = `
select exists (select from pg_catalog.pg_database where datname = @name)`

// EnsureDatabase creates the database when it is missing. Two callers at once both succeed.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to create database %s: %w", name, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var exists bool
	if err := conn.QueryRow(ctx, databaseExistsSQL, pgx.StrictNamedArgs{"name": name}).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	_, err = conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "42P04" || pgErr.Code == "23505") {
		return nil // duplicate_database, or the same seen by the unique index: somebody else made it meanwhile
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// path returns a file of the data root.
func (s *Server) path(name string) string { return filepath.Join(s.root, name) }

// cluster returns Postgres' own data directory.
func (s *Server) cluster() string { return s.path("postgres") }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
