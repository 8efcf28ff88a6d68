package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// deafGrace is how long a process named by postmaster.pid may stay silent before it is taken for a stranger that got
	// the dead server's process id. Postgres itself then decides whether the file is stale.
	deafGrace = 3 * time.Second
	// memoryGrace is how long the children of a killed server may take to let go of its shared memory.
	memoryGrace = 15 * time.Second
	// abandonGrace is how long the end of a server whose start was given up is waited for.
	abandonGrace = 10 * time.Second
	// probeTimeout limits one look at the socket.
	probeTimeout = 5 * time.Second
)

// answer is what a look at the socket showed.
type answer int

const (
	silent   answer = iota // nobody answers
	busy                   // a server is starting up, recovering or shutting down
	answered               // our server, ready
)

// ensure leaves a server answering: the living one, or a new one. Called under the start lock.
func (s *Server) ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	defer cancel()
	if err := s.checkVersion(); err != nil { // again: another process may have made the cluster meanwhile
		return err
	}
	if !exists(filepath.Join(s.cluster(), "PG_VERSION")) {
		if err := s.makeCluster(ctx); err != nil {
			return err
		}
	}
	if err := s.adoptCluster(); err != nil {
		return err
	}
	attached, err := s.attach(ctx)
	if attached || err != nil {
		return err
	}
	return s.launch(ctx)
}

// serving says whether the server we use answers now.
func (s *Server) serving(ctx context.Context) bool {
	return s.probe(ctx, *s.sockets.Load()) == answered
}

// attach finds a living server through postmaster.pid and waits while it starts up or shuts down. A daemon that was killed
// leaves its server running, and this is how the next one takes it over.
func (s *Server) attach(ctx context.Context) (bool, error) {
	var deaf time.Duration
	for {
		file, ok := readPIDFile(s.cluster())
		if !ok || !alive(file.pid) {
			return false, nil
		}
		sockets := file.sockets
		if sockets == "" { // not written yet
			sockets = *s.sockets.Load()
		}
		switch s.probe(ctx, sockets) {
		case answered:
			s.sockets.Store(&sockets)
			s.log.Info("attached to the running private postgres", "dir", s.root, "pid", file.pid)
			return true, nil
		case busy:
			deaf = 0
		case silent:
			if deaf += poll; deaf > deafGrace {
				return false, nil
			}
		}
		if err := pause(ctx, poll); err != nil {
			return false, fmt.Errorf("wait for the postgres with process id %d: %w", file.pid, err)
		}
	}
}

// probe connects to the socket and makes sure that the server behind it is the one of our cluster.
func (s *Server) probe(ctx context.Context, sockets string) answer {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn(sockets, "postgres"))
	if err != nil {
		var pgErr *pgconn.PgError
		// cannot_connect_now while starting or stopping; too_many_connections is a server in good health.
		if errors.As(err, &pgErr) && (pgErr.Code == "57P03" || pgErr.Code == "53300") {
			return busy
		}
		return silent
	}
	defer func() { _ = conn.Close(ctx) }()
	var dir string
	if err := conn.QueryRow(ctx, "show data_directory").Scan(&dir); err != nil {
		return busy
	}
	theirs, err := os.Stat(dir)
	if err != nil {
		return silent
	}
	ours, err := os.Stat(s.cluster())
	if err != nil || !os.SameFile(ours, theirs) {
		return silent
	}
	return answered
}

// launch starts a server and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	var waited time.Duration
	for {
		report, err := s.launchOnce(ctx)
		if err == nil {
			return nil
		}
		// The children of a server that was killed notice within moments; until then Postgres rightly refuses.
		if !strings.Contains(report, "pre-existing shared memory block") || waited > memoryGrace {
			return err
		}
		waited += 10 * poll
		if pauseErr := pause(ctx, 10*poll); pauseErr != nil {
			return err
		}
	}
}

// launchOnce starts a server, in a session of its own so that a Ctrl-C on our terminal is ours alone. It returns what the
// server logged when it failed.
func (s *Server) launchOnce(ctx context.Context) (report string, err error) {
	log, offset, err := s.openLog()
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }()
	// The server outlives this call, and this process when that is killed: its context never ends.
	cmd := s.account.command(context.WithoutCancel(ctx), s.bins.program("postgres"), s.essentials()...)
	cmd.SysProcAttr.Setsid = true
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("run %s: %w", s.bins.program("postgres"), err)
	}
	ended := make(chan struct{})
	// Reaps the server whenever it ends; Stop waits for it when it is we who stop it.
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	for {
		select {
		case <-ended:
			report = s.readLog(offset)
			return report, fmt.Errorf("the server did not start (log %s): %s", s.logPath(), lastLines(report))
		default:
		}
		if s.serving(ctx) {
			s.child = ended
			s.log.Info("private postgres started", "dir", s.root, "postgres", s.bins.version, "user", s.account.name, "pid", cmd.Process.Pid)
			return "", nil
		}
		if err := pause(ctx, poll); err != nil {
			// Asked to end rather than left behind; recovery goes on with the next start.
			_ = cmd.Process.Signal(syscall.SIGINT)
			select {
			case <-ended:
			case <-time.After(abandonGrace):
			}
			return "", fmt.Errorf("wait for the server to answer: %w (log %s): %s", err, s.logPath(), lastLines(s.readLog(offset)))
		}
	}
}

// shutdown stops the server fast and waits for its end. Called under the start lock by the last holder.
func (s *Server) shutdown(ctx context.Context) error {
	file, ok := readPIDFile(s.cluster())
	if !ok || !alive(file.pid) {
		return nil
	}
	grace := stopGrace
	if _, ok := ctx.Deadline(); ok {
		grace = 24 * time.Hour // the context ends pg_ctl
	}
	out, err := s.account.command(ctx, s.bins.program("pg_ctl"), "stop", "-D", s.cluster(),
		"-m", "fast", "-w", "-t", strconv.Itoa(int(grace.Seconds()))).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_ctl stop: %w: %s", err, lastLines(string(out)))
	}
	if s.child != nil {
		select {
		case <-s.child:
		case <-ctx.Done():
			return fmt.Errorf("wait for the server to end: %w", ctx.Err())
		}
	}
	s.log.Info("private postgres stopped", "dir", s.root, "pid", file.pid)
	return nil
}

// pidFile is what we need of postmaster.pid.
type pidFile struct {
	pid     int
	sockets string // fifth line; written a moment after the first
}

func readPIDFile(cluster string) (pidFile, bool) {
	file, err := os.Open(filepath.Join(cluster, "postmaster.pid")) //nolint:gosec // the cluster is the operator's own directory
	if err != nil {
		return pidFile{}, false
	}
	defer func() { _ = file.Close() }()
	var lines []string
	for scanner := bufio.NewScanner(file); scanner.Scan() && len(lines) < 8; {
		lines = append(lines, strings.TrimSpace(scanner.Text()))
	}
	if len(lines) == 0 {
		return pidFile{}, false
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 0 {
		return pidFile{}, false
	}
	found := pidFile{pid: pid}
	if len(lines) > 4 {
		found.sockets = lines[4]
	}
	return found, true
}

// alive says whether a process exists, ours to signal or not.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
