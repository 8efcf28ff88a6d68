package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func (p *program) backfillCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "backfill", Short: "Read a range of time again, window by window", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(
		p.backfillStartCommand(), p.backfillListCommand(), p.backfillShowCommand(),
		p.backfillSteerCommand("pause", "Stop a backfill where it is; it keeps its place", (*jobs.Backfiller).Pause),
		p.backfillSteerCommand("resume", "Let a paused backfill go on, or try the failed windows of a failed one again", (*jobs.Backfiller).Resume),
		p.backfillSteerCommand("cancel", "End a backfill; what was read stays", (*jobs.Backfiller).Cancel),
	)
	return cmd
}

// backfillOptions are the flags of start.
type backfillOptions struct {
	from, to, window     string
	filters              []string
	dryRun, wait, asJSON bool
}

func (p *program) backfillStartCommand() *cobra.Command {
	var o backfillOptions
	cmd := &cobra.Command{
		Use:   "start SOURCE [STREAM…] --from T [--to T] [--window D] [--filter k=v…] [--dry-run] [--wait]",
		Short: "Order a backfill and print its id",
		Long: "Order a backfill and print its id.\n\n" +
			"Streams, of which none means all:\n" + streamHelp([]pipeline.Source{pipeline.SourceIPSCAPE, pipeline.SourceConvoso}) + "\n\n" +
			"The range is half-open: --to is not in it. Lists that filter by no time are read whole, once. The windows are read by a\n" +
			"daemon, behind what is live. LendWorks' list cannot be asked for a time; its second looks read it (LENDWORKS_RESCAN).\n\n" +
			"Filters of ipscape's streams:\n" + filterHelp(),
		Example: "  trunkline backfill start ipscape activities --from 2026-01-01 --to 2026-02-01\n" +
			"  trunkline backfill start ipscape activities leads --from 2026-01-01 --filter campaignId=12 --dry-run\n" +
			"  trunkline backfill start ipscape --from 2026-03-01T09:00:00Z --window 6h --wait\n" +
			"  trunkline backfill start convoso call_log --from 2026-01-01",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := o.order(args)
			if err != nil {
				return withCode(exitUsage, err)
			}
			plan, err := jobs.PlanBackfill(order, time.Now())
			if err != nil {
				return withCode(exitUsage, flagged(err))
			}
			if o.dryRun { // which says how long it takes at the vendor's rate
				return p.withVendors(cmd.Context(), func(ctx context.Context, c *config, d *database) error { return p.dryRun(ctx, c, d, plan, o.asJSON) })
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error { return p.startBackfill(ctx, c, d, order, &o) })
		},
	}
	cmd.Flags().StringVar(&o.from, "from", "", "first moment to read: a date (00:00 UTC) or RFC 3339 time")
	cmd.Flags().StringVar(&o.to, "to", "", "where to stop, itself not read; empty = now")
	cmd.Flags().StringVar(&o.window, "window", "", "length of a window, such as 6h or 7d; empty = 24h")
	cmd.Flags().StringArrayVar(&o.filters, "filter", nil, "k=v, a filter of the streams; may be repeated")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print windows, pages and time, and order nothing")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "stay until it has ended; exits 6 when some windows failed")
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

// filterHelp lists the filters of each stream.
func filterHelp() string {
	catalog, _ := jobs.Catalog("ipscape")
	var b strings.Builder
	for _, s := range catalog {
		names := make([]string, len(s.Filters))
		for i, f := range s.Filters {
			names[i] = f.Name
		}
		fmt.Fprintf(&b, "  %-14s %s\n", s.Name, strings.Join(names, " "))
	}
	return strings.TrimRight(b.String(), "\n")
}

// order reads flags and arguments as far as they can be read without knowing the streams.
func (o *backfillOptions) order(args []string) (store.BackfillOrder, error) {
	order := store.BackfillOrder{Source: args[0], Streams: args[1:], Actor: "cli"}
	var faults []error
	read := func(name, text string, into *time.Time) {
		if text == "" {
			return
		}
		at, err := parseTime(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--%s %w", name, err))
		}
		*into = at
	}
	if o.from == "" {
		faults = append(faults, errors.New("--from is missing"))
	}
	read("from", o.from, &order.From)
	read("to", o.to, &order.To)
	if o.window != "" {
		var ok bool
		if order.Window, ok = store.ParseWindow(o.window); !ok {
			faults = append(faults, errors.New("--window must be a length of time such as 6h or 7d"))
		}
	}
	for _, f := range o.filters {
		name, value, ok := strings.Cut(f, "=")
		if !ok || name == "" {
			faults = append(faults, errors.New("--filter must be k=v"))
			continue
		}
		if order.Filters == nil {
			order.Filters = map[string]string{}
		}
		order.Filters[name] = value
	}
	return order, errors.Join(faults...)
}

// flagged tells the faults of an order by the names of flags and arguments.
func flagged(err error) error {
	var order *store.InvalidOrder
	if !errors.As(err, &order) {
		return err
	}
	flags := map[string]string{"source": "SOURCE", "streams": "STREAM", "filters": "--filter"}
	lines := make([]error, len(order.Faults))
	for i, f := range order.Faults {
		name, ok := flags[f.Field]
		if !ok {
			name = "--" + f.Field
		}
		lines[i] = fmt.Errorf("%s %s", name, f.Problem)
	}
	return errors.Join(lines...)
}

// backfiller is what commands order and steer backfills with.
func backfiller(c *config, d *database, p *program) (*jobs.Backfiller, error) {
	queue, err := jobs.NewQueue(d.direct, p.toolLog(c))
	if err != nil {
		return nil, err
	}
	return &jobs.Backfiller{DB: d.DB, Queue: queue, Account: store.DefaultAccount}, nil
}

func (p *program) startBackfill(ctx context.Context, c *config, d *database, order store.BackfillOrder, o *backfillOptions) error {
	org, err := orgID(ctx, d, "")
	if err != nil {
		return err
	}
	desk, err := backfiller(c, d, p)
	if err != nil {
		return err
	}
	b, err := desk.Start(ctx, org, order)
	if err != nil {
		return withCode(exitUsage, flagged(err))
	}
	if o.asJSON && !o.wait {
		err = printJSON(p.stdout, backfillRowOf(&b))
	} else if !o.asJSON {
		_, err = fmt.Fprintln(p.stdout, b.ID)
	}
	if err != nil {
		return err
	}
	if err := p.tellMissing(ctx, d, c.missingFor(pipeline.Source(order.Source)), "read the windows"); err != nil {
		return err
	}
	if !o.wait {
		return nil
	}
	err = p.waitForBackfill(ctx, d, b.ID)
	if o.asJSON && ctx.Err() == nil {
		if b, readErr := d.Backfill(ctx, uuid.Nil, b.ID); readErr == nil {
			err = errors.Join(err, printJSON(p.stdout, backfillRowOf(&b)))
		}
	}
	return err
}

// backfillID reads the one argument of the commands that take a backfill's id.
func backfillID(args []string) (uuid.UUID, error) {
	id, err := uuid.Parse(args[0])
	if err != nil {
		return uuid.Nil, withCode(exitUsage, errors.New("want a backfill's id"))
	}
	return id, nil
}

func (p *program) backfillSteerCommand(
	name, short string, do func(b *jobs.Backfiller, ctx context.Context, org, id uuid.UUID) (store.Backfill, error),
) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     name + " ID",
		Short:   short,
		Example: "  trunkline backfill " + name + " 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := backfillID(args)
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				// The operator of the machine steers those of every organisation.
				found, err := d.Backfill(ctx, uuid.Nil, id)
				if err != nil {
					return err
				}
				desk, err := backfiller(c, d, p)
				if err != nil {
					return err
				}
				b, err := do(desk, ctx, found.Org, id)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(p.stdout, backfillRowOf(&b))
				}
				_, err = fmt.Fprintln(p.stdout, b.State)
				return err
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// toolLog is the log of a command: its warnings.
func (p *program) toolLog(c *config) *slog.Logger {
	return newLogger(p.stderr, &generalConfig{LogLevel: logLevel{slog.LevelWarn}, LogFormat: c.General.LogFormat}, p.terminal, c.secrets())
}
