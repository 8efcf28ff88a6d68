package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childEnv is not a TRUNKLINE_ name, which the program would take for a misspelt one of its own.
const childEnv = "CHILD_OF_A_TEST"

// sigterm asks a daemon to stop gently.
const sigterm = syscall.SIGTERM

// childMain is what main does, and it ends when the test that started it is gone, however that ended: then the pipe on
// standard input is closed.
func childMain() int {
	signals := stopSignals()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		signals <- syscall.SIGTERM
		time.Sleep(10 * time.Second)
		os.Exit(exitFailed)
	}()
	environ := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, childEnv+"=") })
	p := &program{stdout: os.Stdout, stderr: os.Stderr, environ: environ, signals: signals}
	return p.main(context.Background(), os.Args[1:])
}

// output is what a child writes, readable while it does.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String returns all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// child is a running trunkline.
type child struct {
	testing.TB
	cmd      *exec.Cmd
	stdin    io.Closer
	out, err output
	done     chan struct{}
	addr     string
}

// startChild starts trunkline with an environment of which nothing is inherited but what a process needs to live.
func startChild(t testing.TB, env map[string]string, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{TB: t, cmd: exec.Command(self, args...), done: make(chan struct{})} //nolint:gosec // the test binary itself
	c.cmd.Env = []string{childEnv + "=1"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GORACE", "GOCOVERDIR", "TRUNKLINE_PG_BIN"} {
		if value, set := os.LookupEnv(name); set {
			c.cmd.Env = append(c.cmd.Env, name+"="+value)
		}
	}
	if env["DATABASE_URL"] != "" && env["TRUNKLINE_DATA_DIR"] == "" {
		// Where the heartbeat is kept; the default would be in the tree.
		c.cmd.Env = append(c.cmd.Env, "TRUNKLINE_DATA_DIR="+t.TempDir())
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		c.cmd.Env = append(c.cmd.Env, name+"="+env[name])
	}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	// A group of its own keeps a Ctrl-C at the test away from it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A private Postgres outlives a killed child and may hold its pipes.
	c.cmd.WaitDelay = 5 * time.Second
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.done)
	}()
	t.Cleanup(c.end)
	return c
}

func (c *child) end() {
	if !c.gone() {
		c.kill()
	}
	_ = c.stdin.Close()
	log := c.err.String()
	if strings.Contains(log, "WARNING: DATA RACE") || strings.Contains(log, "goroutine ") && strings.Contains(log, "panic: ") {
		c.Errorf("trunkline raced or panicked:\n%s", log)
		return
	}
	if c.Failed() {
		lines := strings.Split(strings.TrimSpace(log), "\n")
		c.Logf("the last it said, pid %d:\n%s", c.cmd.Process.Pid, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

func (c *child) gone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// kill is kill -9, by pid, and returns once the process is gone.
func (c *child) kill() {
	c.Helper()
	_ = c.cmd.Process.Kill()
	<-c.done
}

func (c *child) signal(s os.Signal) {
	c.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.Fatalf("signalling trunkline: %v", err)
	}
}

// wait returns the exit code, and fails the test when the process takes longer than within.
func (c *child) wait(within time.Duration) int {
	c.Helper()
	select {
	case <-c.done:
	case <-time.After(within):
		c.Fatalf("trunkline %q has not ended within %s:\n%s", c.cmd.Args[1:], within, c.err.String())
	}
	return c.cmd.ProcessState.ExitCode()
}

// waitUp waits until the daemon says that it is up, and notes where it listens.
func (c *child) waitUp() {
	c.Helper()
	eventually(c, 3*time.Minute, func() string {
		if line := c.logged("trunkline is up"); line != nil {
			c.addr, _ = line["addr"].(string)
			return ""
		}
		if c.gone() {
			c.Fatalf("trunkline ended with %d before it was up:\n%s", c.cmd.ProcessState.ExitCode(), c.err.String())
		}
		return "the daemon to be up"
	})
}

func (c *child) url() string { return "http://" + c.addr }

// logged returns the first line of the log with a message, nil when there is none.
func (c *child) logged(msg string) map[string]any {
	lines := bufio.NewScanner(strings.NewReader(c.err.String()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == msg {
			return line
		}
	}
	return nil
}

// ended is a command that has run.
type ended struct {
	code           int
	stdout, stderr string
}

// String is for messages of tests.
func (e ended) String() string {
	return fmt.Sprintf("exit %d\nstdout:\n%s\nstderr:\n%s", e.code, e.stdout, e.stderr)
}

// runChild runs one command to its end.
func runChild(t testing.TB, env map[string]string, args ...string) ended {
	t.Helper()
	c := startChild(t, env, args...)
	code := c.wait(5 * time.Minute)
	return ended{code, c.out.String(), c.err.String()}
}
