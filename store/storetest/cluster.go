package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"

	"github.com/trunkline/trunkline/store/embedded"
)

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// startCluster makes a cluster in a short temporary directory. Nothing in it must survive, so nothing waits for the disk.
func startCluster(ctx context.Context) (dsn func(string) string, stop func() error, err error) {
	dir, release, err := clusterDir(ctx)
	if err != nil {
		return nil, nil, err
	}
	server, err := embedded.Start(ctx, embedded.Config{
		Dir:    dir,
		BinDir: os.Getenv("TRUNKLINE_PG_BIN"),
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300",
			"autovacuum": "off", "max_wal_size": "1GB", "shared_buffers": "64MB",
		},
	})
	if err != nil {
		return nil, nil, errors.Join(err, release())
	}
	// The watcher ends the server in immediate mode and removes its files: faster than asking the server politely, and the
	// same path is used when the test process is killed.
	return server.DSN, release, nil
}

// clusterDir makes a directory for a cluster. release ends the server in it and removes it; the end of the process does so too.
func clusterDir(ctx context.Context) (dir string, release func() error, err error) {
	base := os.TempDir()
	if os.Geteuid() == 0 || len(base) > 40 {
		base = "/tmp" // short enough for a socket, and open to the user that root's server runs as
	}
	if dir, err = os.MkdirTemp(base, "trunkline-test-"); err != nil {
		return "", nil, fmt.Errorf("make test directory: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's user passes through
		return "", nil, fmt.Errorf("open test directory: %w", err)
	}
	if release, err = watch(ctx, dir); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, release, nil
}

// watchScript waits until the test process has gone, which closes its end of the pipe on standard input, however it went.
// Then it ends the server and removes its directory. The signal is SIGQUIT: end at once, nothing here is worth a checkpoint.
const watchScript = `
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$1/postgres/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
	kill -QUIT "$pid" 2>/dev/null
	tries=0
	while [ -e "$1/postgres/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do
		sleep 0.05
		tries=$((tries + 1))
	done
fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

// watch starts the watcher of dir; release lets it do its work and waits for it. Unlike Linux' parent-death signal this works
// on every Unix, does not hang on a thread, and removes the files too.
func watch(ctx context.Context, dir string) (release func() error, err error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", watchScript, "sh", dir) //nolint:gosec // our own script
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}                                            // out of reach of a Ctrl-C
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("watch the test server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("watch the test server: %w", err)
	}
	return func() error {
		_ = pipe.Close()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("remove the test server in %s: %w", dir, err)
		}
		return nil
	}, nil
}
