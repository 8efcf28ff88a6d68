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
		keep             bool
	)
	cmd := &cobra.Command{
		Use:   "export TABLE",
		Short: "Write a view for analysts to CSV, JSON Lines or Parquet",
		Long: "Write a view for analysts to CSV, JSON Lines or Parquet.\n\n" +
			"TABLE is a view of schema analytics, such as calls, or a table of the other schemas that analysts may read, such as\n" +
			"ipscape.activities. All rows come from one snapshot, in no particular order. A file appears under its name when it is\n" +
			"whole, and not before; one that had the name is replaced, and that is said, unless --no-clobber forbids it. What is\n" +
			"personal in the rows is in the file.",
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
			if keep && (out == "" || out == "-") {
				return withCode(exitUsage, errors.New("--no-clobber goes with --out"))
			}
			c, err := p.config()
			if err != nil {
				return err
			}
			return p.export(cmd.Context(), c, &o, &outFile{path: out, keep: keep})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&format, "format", "", "csv, jsonl or parquet; empty = what the name of --out ends in")
	flags.StringVarP(&out, "out", "o", "", "the file to write; empty or - = standard output")
	flags.BoolVar(&keep, "no-clobber", false, "with --out: refuse to replace a file that is there")
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

func (p *program) export(ctx context.Context, c *config, o *export.Options, out *outFile) error {
	// A lower limit that somebody set for the process stands.
	if before := debug.SetMemoryLimit(-1); before > exportMemory {
		debug.SetMemoryLimit(exportMemory)
		defer debug.SetMemoryLimit(before)
	}
	if err := out.find(); err != nil {
		return err
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

func (p *program) exportFrom(ctx context.Context, d *database, o *export.Options, out *outFile) error {
	var denied *pgconn.PgError
	err := migrations.Check(ctx, d.direct)
	// An analyst may not see which version the schema has; the views keep their columns from version to version.
	if err != nil && (!errors.As(err, &denied) || denied.Code != "42501") {
		return withCode(exitDatabase, err)
	}
	if d.replica != nil {
		// What goes wrong here is in the log, and no reason to fail.
		if conn, err := d.replica.Conn(ctx, store.ReplicaMostBehind); err == nil {
			out.wrote, out.failed = false, false
			err = p.exportOn(ctx, conn, o, out)
			conn.Release()
			if out.failed || ctx.Err() != nil || !store.EndedByReplica(err) {
				return err
			}
			if out.wrote && (out.stdout() || out.device) {
				return fmt.Errorf("%w: the replica ended the export when part of it was out; give --out a file, and it begins again on DATABASE_URL by itself", err)
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

func (p *program) exportOn(ctx context.Context, conn *pgxpool.Conn, o *export.Options, out *outFile) error {
	show := p.showRows(o.Relation)
	o.Progress = show.at
	var rows int64
	var err error
	write := func(w io.Writer) (err error) {
		rows, err = export.Export(ctx, conn.Conn(), out.noting(w), *o)
		return err
	}
	if out.stdout() {
		err = write(p.stdout)
	} else {
		err = out.write(write)
	}
	show.stop()
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stderr, show.line("exported", rows))
	if out.replaced {
		fmt.Fprintf(p.stderr, "%s was there before and is replaced\n", out.path)
	}
	return nil
}
