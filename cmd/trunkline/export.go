package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/export"
)

// exportMemory is how much memory an export lets the garbage collector grow to: rows leave garbage at the rate they pass.
const exportMemory = 40 << 20

func (p *program) exportCommand() *cobra.Command {
	var (
		o                export.Options
		format, from, to string
		out              string
	)
	cmd := &cobra.Command{
		Use:   "export TABLE",
		Short: "Write a view for analysts to CSV, JSON Lines or Parquet",
		Long: "Write a view for analysts to CSV, JSON Lines or Parquet.\n\n" +
			"TABLE is a view of schema analytics, such as calls, or a table of the other schemas that analysts may read, such as\n" +
			"ipscape.activities. All rows come from one snapshot, in no particular order. A file appears under its name when it is\n" +
			"whole, and not before. What is personal in the rows is in the file.",
		Example: "  trunkline export calls --format parquet --from 2026-03-01 --to 2026-04-01 --out calls.parquet\n" +
			"  trunkline export leads --format csv --columns lead_id,source,created_at,speed_to_lead_s > leads.csv\n" +
			"  DATABASE_URL=postgres://maria@db/trunkline trunkline export ipscape.activities --format jsonl | gzip > activities.jsonl.gz",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Relation = args[0]
			if err := readExport(&o, format, from, to, out); err != nil {
				return withCode(exitUsage, err)
			}
			if stdout, ok := p.stdout.(*os.File); ok && o.Format == export.Parquet && out == "" && isTerminal(stdout) {
				return withCode(exitUsage, errors.New("parquet is nothing for a terminal: give --out, or send it somewhere"))
			}
			c, err := p.config()
			if err != nil {
				return err
			}
			return p.export(cmd.Context(), c, &o, out)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&format, "format", "", "csv, jsonl or parquet; empty = what the name of --out ends in")
	flags.StringVarP(&out, "out", "o", "", "the file to write; empty or - = standard output")
	flags.StringSliceVar(&o.Columns, "columns", nil, "columns in the order wanted, separated by commas; empty = all")
	flags.StringVar(&from, "from", "", "first moment: a date (00:00 UTC) or RFC 3339 time")
	flags.StringVar(&to, "to", "", "end, itself left out; empty = none")
	flags.StringVar(&o.TimeColumn, "time-column", "", "the column that --from and --to look at; empty = the time of what a row is about")
	flags.StringVar(&o.Organisation, "org", "", "organisation, by id or name; empty = all")
	flags.BoolVar(&o.Unguarded, "no-formula-guard", false, "csv: leave cells that a spreadsheet would run as formulas as they are")
	return cmd
}

// readExport reads the flags, without the database.
func readExport(o *export.Options, format, from, to, out string) error {
	if o.Format = export.Format(format); format == "" {
		o.Format = export.Format(strings.TrimPrefix(filepath.Ext(out), "."))
	}
	if !slices.Contains(export.Formats(), o.Format) {
		if format == "" {
			return errors.New("--format is missing: csv, jsonl or parquet")
		}
		return errors.New("--format must be csv, jsonl or parquet")
	}
	var faults []error
	for _, bound := range []struct {
		name, text string
		into       *time.Time
	}{{"from", from, &o.From}, {"to", to, &o.To}} {
		if bound.text == "" {
			continue
		}
		at, err := parseTime(bound.text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--%s %w", bound.name, err))
		}
		*bound.into = at
	}
	switch ranged := !o.From.IsZero() || !o.To.IsZero(); {
	case len(faults) > 0:
	case o.TimeColumn != "" && !ranged:
		faults = append(faults, errors.New("--time-column says what --from and --to look at, and neither is given"))
	case !o.From.IsZero() && !o.To.IsZero() && !o.To.After(o.From):
		faults = append(faults, errors.New("--to must be later than --from"))
	}
	return errors.Join(faults...)
}

func (p *program) export(ctx context.Context, c *config, o *export.Options, out string) error {
	// A lower limit that somebody set for the process stands.
	if before := debug.SetMemoryLimit(-1); before > exportMemory {
		debug.SetMemoryLimit(exportMemory)
		defer debug.SetMemoryLimit(before)
	}
	d, err := openDatabase(ctx, &c.General, p.toolLog(c), 1, true)
	if err != nil {
		return interrupted(ctx, err)
	}
	if err = d.openReplica(ctx, &c.General, 1, nil); err == nil {
		err = p.exportFrom(ctx, d, o, out)
	}
	return errors.Join(interrupted(ctx, err), d.Close(context.WithoutCancel(ctx)))
}

func (p *program) exportFrom(ctx context.Context, d *database, o *export.Options, out string) error {
	var denied *pgconn.PgError
	err := migrations.Check(ctx, d.direct)
	// An analyst may not see which version the schema has; the views keep their columns from version to version.
	if err != nil && (!errors.As(err, &denied) || denied.Code != "42501") {
		return withCode(exitDatabase, err)
	}
	if d.replica != nil {
		// What goes wrong here is in the log, and no reason to fail.
		if conn, err := d.replica.Conn(ctx, store.ReplicaMostBehind); err == nil {
			err = p.exportOn(ctx, conn, o, out)
			conn.Release()
			if !store.EndedByReplica(err) {
				return err
			}
			if toStdout(out) {
				return fmt.Errorf("%w: rows that the replica removes ended the export; give --out, and it begins again on DATABASE_URL by itself", err)
			}
			fmt.Fprintln(p.stderr, "the replica ended the export, which begins again on DATABASE_URL:", store.Loggable(err))
		}
	}
	conn, err := d.direct.Acquire(ctx)
	if err != nil {
		return withCode(exitDatabase, fmt.Errorf("connecting: %w", err))
	}
	defer conn.Release()
	return p.exportOn(ctx, conn, o, out)
}

func toStdout(out string) bool { return out == "" || out == "-" }

func (p *program) exportOn(ctx context.Context, conn *pgxpool.Conn, o *export.Options, out string) error {
	show := p.showRows(o.Relation)
	o.Progress = show.at
	var rows int64
	var err error
	write := func(w io.Writer) (err error) {
		rows, err = export.Export(ctx, conn.Conn(), w, *o)
		return err
	}
	if toStdout(out) {
		err = write(p.stdout)
	} else {
		err = wholeFile(out, write)
	}
	show.stop()
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stderr, show.line("exported", rows))
	return nil
}

// wholeFile writes a file under a temporary name beside its own, and gives it its name when it is whole and on the disk. A
// failure leaves nothing, and what had that name before as it was. The file is for its owner only: it may hold persons' data.
func wholeFile(path string, write func(io.Writer) error) (err error) {
	path = behindLinks(path)
	if into, err := os.Stat(path); err == nil && !into.Mode().IsRegular() {
		if into.IsDir() {
			return withCode(exitUsage, fmt.Errorf("--out %s is a directory", path))
		}
		return toDevice(path, write)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing the file out: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("naming the file: %w", err)
	}
	return f.Close()
}

// mostLinks is how many links in a row are followed, as many as Linux does.
const mostLinks = 40

// behindLinks is what a path comes to: a link stays, and what it points to is written, be it there yet or not. /dev/stdout is one.
func behindLinks(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	if _, err := os.Stat(path); err == nil {
		return path // a pipe has no name to resolve
	}
	for range mostLinks {
		next, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(next) {
			// Joining takes ".." off the text; where the directory is a link, its parent is another one.
			dir := filepath.Dir(path)
			if resolved, err := filepath.EvalSymlinks(dir); err == nil {
				dir = resolved
			}
			next = filepath.Join(dir, next)
		}
		path = next
	}
	return path
}

// toDevice writes to what is no file: a pipe, or /dev/stdout, which must not be replaced by one.
func toDevice(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the operator names it
	if err != nil {
		return fmt.Errorf("opening the output: %w", err)
	}
	return errors.Join(write(f), f.Close())
}
