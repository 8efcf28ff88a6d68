package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// childOptions are the orders of the process whose memory is measured: the vendor's bytes must not count as its own.
type childOptions struct {
	dsn, vendor string
	rows        int
}

// walkAsChild loads everything the vendor has and writes the process's greatest resident memory, in kB.
func walkAsChild(ctx context.Context, o childOptions, stdout io.Writer) error {
	log := slog.New(slog.DiscardHandler)
	db, err := openDB(ctx, o.dsn, log)
	if err != nil {
		return err
	}
	defer db.Pool.Close()
	queue, err := jobs.NewQueue(db.Pool, log)
	if err != nil {
		return err
	}
	w, err := newWalker(ctx, db, queue, o.vendor, 0, log)
	if err != nil {
		return err
	}
	now := time.Now()
	if _, err := w.walk(ctx, walk.Live, vendorapi.Live, []store.TimeRange{{From: now.Add(-2 * span), To: now}}); err != nil {
		return err
	}
	if err := holds(ctx, db, o.rows); err != nil {
		return err
	}
	kilobytes, err := peakRSS()
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, kilobytes)
	return nil
}

// errNoRSS means that this system does not tell.
var errNoRSS = errors.New("the system does not tell peak memory")

func peakRSS() (kilobytes int, err error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, errNoRSS
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
		}
	}
	return 0, errNoRSS
}

// rssBench compares the memory of a long walk with that of a shorter one, each in a process of its own.
func rssBench(ctx context.Context, l *lab) ([]row, error) {
	figure := row{figure: "peak RSS of a walk", must: 64, stretch: 48, atMost: true, unit: "MB"}
	if _, err := peakRSS(); errors.Is(err, errNoRSS) {
		figure.note = "not measured: " + err.Error()
		return []row{figure}, nil
	}
	d, err := l.dataset(ctx)
	if err != nil {
		return nil, err
	}
	short := l.rssRows / 3
	if l.rssRows >= 1_000_000 {
		short = l.rssRows / 10
	}
	got, err := interleave(ctx, l.pairs, l.childSide(d, short), l.childSide(d, l.rssRows))
	if err != nil {
		return nil, err
	}
	figure.figure = fmt.Sprintf("peak RSS of a walk of %s rows", number(float64(l.rssRows)))
	figure.value = got[1][0].median()
	against := row{figure: figure.figure + " ÷ a shorter one", unit: "MB", yardstick: number(float64(short)) + " rows", must: 1.1, stretch: 1.1, atMost: true}
	return []row{figure, against.against(got[1][0], got[0][0])}, nil
}

func (l *lab) childSide(d *dataset, rows int) side {
	return l.on(emptyTemplate, func(ctx context.Context, b *base) (_ []float64, err error) {
		addr, stop, err := serve(ctx, newVendor(d.activities, rows, 1000, 0))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program: %w", err)
		}
		cmd := exec.CommandContext(ctx, self, "-child-dsn", l.server.DSN(b.name), "-child-vendor", addr, "-child-rows", strconv.Itoa(rows)) //nolint:gosec // this very program
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("walking in a process of its own: %w", err)
		}
		kilobytes, err := strconv.Atoi(strings.TrimSpace(string(out)))
		return []float64{float64(kilobytes) / 1024}, err
	})
}
