package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// daemon is a whole trunkline in a process of its own: what it uses is told by the system, and nothing of the vendor's, the
// database's or this program's is in it.
type daemon struct {
	cmd     *exec.Cmd
	program string
	env     []string
	log     io.Closer
}

// program builds trunkline once, as make build does, and returns its path. The bench runs inside the module, so the source is at hand.
func (l *lab) program(ctx context.Context) (string, error) {
	path := filepath.Join(l.dir, "trunkline")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", path, "github.com/trunkline/trunkline/cmd/trunkline") //nolint:gosec // a path of our own
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building trunkline: %w: %s", err, bytes.TrimSpace(said))
	}
	return path, nil
}

// environment joins a daemon to a database and to a simulated ipSCAPE. Nothing is walked but what is ordered.
func (b *base) environment(dir, vendor string) []string {
	env := []string{
		"DATABASE_URL=" + b.lab.server.DSN(b.name), "TRUNKLINE_DATA_DIR=" + dir, "TRUNKLINE_HTTP_ADDR=127.0.0.1:0", "TRUNKLINE_LOG_FORMAT=json",
		"IPSCAPE_BASE_URL=http://" + vendor + "/v3.0", "IPSCAPE_TOKEN=bench", "IPSCAPE_TIMEZONE=UTC", "IPSCAPE_RATE=0",
	}
	for _, name := range []string{"ACTIVITIES", "LEADS", "DIAL_ATTEMPTS", "LEAD_LISTS", "CAMPAIGNS", "USERS", "LOOKBACK", "RESCAN", "SWEEP", "DRIFT"} {
		env = append(env, "IPSCAPE_SCHEDULE_"+name+"=off")
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GOGC", "GOMEMLIMIT"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// startDaemon starts trunkline and waits until it is up. Its log goes to a file beside its data.
func startDaemon(ctx context.Context, program, dir string, env []string) (_ *daemon, err error) {
	logFile := filepath.Join(dir, "daemon.log")
	out, err := os.Create(logFile) //nolint:gosec // in the bench's own directory
	if err != nil {
		return nil, fmt.Errorf("making the daemon's log: %w", err)
	}
	d := &daemon{program: program, env: env, log: out, cmd: exec.Command(program, "serve")} //nolint:gosec,noctx // built by this program; stop ends it
	d.cmd.Env, d.cmd.Stderr, d.cmd.Dir = env, out, dir
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the daemon: %w", err), out.Close())
	}
	up := func() (bool, error) { return logged(logFile, "trunkline is up") }
	if err := until(ctx, time.Minute, up); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the daemon: %w", err), d.stop())
	}
	return d, nil
}

// stop ends the daemon gently.
func (d *daemon) stop() error {
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	if ended := d.cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("ending the daemon: %w", ended))
	}
	return errors.Join(err, d.log.Close())
}

// run runs one command beside the daemon, with its environment.
func (d *daemon) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, d.program, args...) //nolint:gosec // built by this program
	cmd.Env, cmd.Dir = d.env, d.cmd.Dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running trunkline %s: %w: %s", args[0], err, bytes.TrimSpace(said))
	}
	return nil
}

// logged says whether a log holds a message.
func logged(path, message string) (bool, error) {
	f, err := os.Open(path) //nolint:gosec // in the bench's own directory
	if err != nil {
		return false, fmt.Errorf("reading the daemon's log: %w", err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var line struct{ Msg string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == message {
			return true, nil
		}
	}
	return false, lines.Err()
}

// until asks every tenth of a second.
func until(ctx context.Context, within time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errNoProc means that this system does not tell what a process uses.
var errNoProc = errors.New("the system does not tell what a process uses")

// proc reads a file of the system about the daemon.
func (d *daemon) proc(name string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.cmd.Process.Pid, name))
	if err != nil {
		return "", errNoProc
	}
	return string(text), nil
}

// peakRSS is the greatest resident memory so far, in MB.
func (d *daemon) peakRSS() (float64, error) {
	text, err := d.proc("status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		var kilobytes float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kilobytes); n == 1 {
			return kilobytes / 1024, nil
		}
	}
	return 0, errNoProc
}

// clockTicks is Linux's USER_HZ, the same on every architecture that Go runs on.
const clockTicks = 100

// cpu is the processor time used so far.
func (d *daemon) cpu() (time.Duration, error) {
	text, err := d.proc("stat")
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; fields 14 and 15 of proc(5) are the 12th and 13th after it.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errNoProc
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, fmt.Errorf("reading processor time: %w", err)
	}
	return time.Duration(user+system) * time.Second / clockTicks, nil
}
