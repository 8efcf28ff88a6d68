package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store/export"
)

// exported is the view that the export's figures are taken on: twenty columns with text, times, numbers and JSON.
const exported = "calls"

// exportBench compares an export in each format with COPY of the same query, and takes the memory of the command itself.
func exportBench(ctx context.Context, l *lab) (_ []row, err error) {
	b, err := l.fresh(ctx, emptyTemplate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.drop(context.WithoutCancel(ctx))) }()
	if err := b.fillFloor(ctx, l.calls); err != nil {
		return nil, err
	}
	conn, err := b.Pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Release()
	var rows []row
	for _, format := range export.Formats() {
		got, err := interleave(ctx, l.pairs, copyOut(conn.Conn()), l.exportSide(conn.Conn(), format))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", format, err)
		}
		rows = append(rows, row{
			figure: fmt.Sprintf("export of %s calls to %s", number(float64(l.calls)), format), unit: "rows/s", yardstick: "COPY TO STDOUT of the same query",
		}.against(got[1][0], got[0][0]))
	}
	for _, format := range export.Formats() {
		figure := row{figure: fmt.Sprintf("peak RSS of an export of %s calls to %s", number(float64(l.calls)), format), must: 64, stretch: 48, atMost: true, unit: "MB"}
		figure.value, err = l.exportMemory(ctx, b, format)
		if errors.Is(err, errNoProc) {
			figure.note = "not measured: " + err.Error()
		} else if err != nil {
			return nil, fmt.Errorf("memory of %s: %w", format, err)
		}
		rows = append(rows, figure)
	}
	return rows, nil
}

// exportSide exports over one connection to nowhere, in rows a second.
func (l *lab) exportSide(conn *pgx.Conn, format export.Format) side {
	return func(ctx context.Context) ([]float64, error) {
		began := time.Now()
		n, err := export.Export(ctx, conn, io.Discard, export.Options{Relation: exported, Format: format})
		if err == nil && n != int64(l.calls) {
			err = fmt.Errorf("%d rows were exported, %d are there", n, l.calls)
		}
		return []float64{perSecond(int(n), time.Since(began))}, err
	}
}

// copyOut is the yardstick: the server writes CSV by itself.
func copyOut(conn *pgx.Conn) side {
	return func(ctx context.Context) ([]float64, error) {
		began := time.Now()
		var n int64
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `set local statement_timeout = 0`); err != nil {
				return err
			}
			done, err := conn.PgConn().CopyTo(ctx, io.Discard, `copy (select * from analytics.`+exported+`) to stdout (format csv)`)
			n = done.RowsAffected()
			return err
		})
		return []float64{perSecond(int(n), time.Since(began))}, err
	}
}

// exportMemory runs the command in a process of its own and watches its greatest resident memory, in MB.
func (l *lab) exportMemory(ctx context.Context, b *base, format export.Format) (peak float64, err error) {
	program, err := l.program(ctx)
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(l.dir, b.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("making the export's directory: %w", err)
	}
	d := &daemon{cmd: exec.CommandContext(ctx, program, "export", exported, "--format", string(format), "--out", filepath.Join(dir, "calls"))} //nolint:gosec // built by this program
	d.cmd.Env = b.environment(dir, "127.0.0.1:1")
	if err := d.cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting the export: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	// The system forgets a process that has ended, so it is asked while there is one.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil && peak == 0 {
				err = errNoProc
			}
			return peak, err
		case <-tick.C:
			if now, err := d.peakRSS(); err == nil {
				peak = max(peak, now)
			}
		}
	}
}
