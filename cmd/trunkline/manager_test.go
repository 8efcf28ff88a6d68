package main

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trunkline/trunkline/store/storetest"
)

// TestWatchdogNeedsEveryLoop: one loop that stands still ends the signs of life, and they come back with it.
func TestWatchdogNeedsEveryLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said atomic.Int64
		m := &serviceManager{log: slog.New(slog.DiscardHandler), notify: func(state string) error {
			if state == sayAlive {
				said.Add(1)
			}
			return errors.New("a manager that cannot be told is no reason to stop")
		}}
		p := newPulses(time.Now)
		scheduler, sweeper := p.of("scheduler"), p.of("sweeper")
		go m.watchEvery(t.Context(), p, 40*time.Second)
		during := func(span time.Duration, loops ...func()) int64 {
			before := said.Load()
			for range int(span / time.Second) {
				for _, moved := range loops {
					moved()
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
			return said.Load() - before
		}
		if n := during(40*time.Second, scheduler, sweeper); n < 4 {
			t.Errorf("%d signs of life in the watchdog's limit, want 4 at least", n)
		}
		during(25*time.Second, scheduler)
		if n := during(2*time.Minute, scheduler); n != 0 {
			t.Errorf("%d signs of life while the sweeper stands still", n)
		}
		if got := p.still(20 * time.Second); !slices.Equal(got, []string{"sweeper"}) {
			t.Errorf("%q stand still", got)
		}
		if n := during(40*time.Second, scheduler, sweeper); n < 3 {
			t.Errorf("%d signs of life after the sweeper went on", n)
		}
	})
}

// TestServiceManagerIsTold runs a daemon as systemd would: with a socket that takes its words.
func TestServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	// A socket's path has to be short, which that of a test's own directory need not be.
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	var words output
	go func() {
		for packet := make([]byte, 4096); ; {
			n, err := socket.Read(packet)
			if err != nil {
				return
			}
			_, _ = words.Write(append(packet[:n:n], '\n'))
		}
	}()
	c := startChild(t, map[string]string{
		"DATABASE_URL": storetest.EmptyDSN(t), "TRUNKLINE_HTTP_ADDR": "127.0.0.1:0", "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "8000000",
	}, "serve")
	c.waitUp()
	// Loops that gave no sign after their start would have ended the words after 4 s, which is three of them.
	eventually(t, time.Minute, func() string {
		if strings.Count(words.String(), sayAlive) < 6 {
			return "the watchdog to be fed on"
		}
		return ""
	})
	if got := words.String(); !strings.HasPrefix(got, sayReady+"\n") || strings.Contains(got, sayStopping) {
		t.Errorf("a daemon that is up said:\n%s", got)
	}
	if got := runChild(t, map[string]string{"TRUNKLINE_HTTP_ADDR": c.addr}, "healthcheck"); got.code != exitDone || got.stdout != "ready\n" {
		t.Errorf("healthcheck: %s", got)
	}
	c.signal(sigterm)
	if code := c.wait(time.Minute); code != exitDone {
		t.Errorf("exit %d", code)
	}
	eventually(t, time.Minute, func() string {
		if !strings.Contains(words.String(), sayStopping+"\n") {
			return "the word that the daemon stops"
		}
		return ""
	})
}
