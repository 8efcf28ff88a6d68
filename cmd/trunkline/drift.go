package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// errDriftArgs says what can be looked at.
var errDriftArgs = errors.New("SOURCE must be ipscape, and STREAM activities or leads: only their objects are read one by one")

func driftArgs(args []string) error {
	if pipeline.Source(args[0]) != pipeline.SourceIPSCAPE || len(args) > 1 && args[1] != ipscape.StreamActivities && args[1] != ipscape.StreamLeads {
		return withCode(exitUsage, errDriftArgs)
	}
	return nil
}

func (p *program) driftCommand() *cobra.Command {
	var sample int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "drift SOURCE [STREAM]",
		Short: "Compare a sample of what is stored with the vendor, and say what mends it",
		Long: "Compare a sample of what is stored with the vendor, and say what mends it.\n\n" +
			"Stored activities and leads, picked at random, are read again one by one, and a few places of the vendor's lists are\n" +
			"looked through. It only reads. What it finds:\n" +
			"  missing       listed within what is covered, and not here\n" +
			"  extra         here, and gone at the vendor\n" +
			"  stale         changed at the vendor since it was read\n" +
			"  mapped_wrong  here as at the vendor, but the typed row or the pipeline says otherwise\n\n" +
			"The daemon does the same by IPSCAPE_SCHEDULE_DRIFT; view analytics.drift has the trend.",
		Example: "  trunkline drift ipscape\n  trunkline drift ipscape leads --sample 200\n  trunkline drift repair ipscape leads 7001",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := driftArgs(args); err != nil {
				return err
			}
			if sample < 0 {
				return withCode(exitUsage, errors.New("--sample must be above zero"))
			}
			return p.withDrift(cmd.Context(), args, func(ctx context.Context, dm *daemon, keys []store.StreamKey) error {
				if sample > 0 {
					dm.drift.Sample = sample
				}
				return p.look(ctx, dm, keys, asJSON)
			})
		},
	}
	cmd.Flags().IntVar(&sample, "sample", 0, "stored objects of each stream; 0 = IPSCAPE_DRIFT_SAMPLE")
	jsonFlag(cmd, &asJSON)
	cmd.AddCommand(p.driftRepairCommand())
	return cmd
}

func (p *program) driftRepairCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "repair SOURCE STREAM ID…",
		Short: "Read objects again by their ids and store what the vendor says",
		Long: "Read objects again by their ids and store what the vendor says: a new or changed record, or the mark that it is gone.\n" +
			"Of one that is as stored, the typed row is written anew. What the pipeline makes of it follows by itself.",
		Example: "  trunkline drift repair ipscape leads 7001 7002",
		Args:    cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := driftArgs(args); err != nil {
				return err
			}
			for _, id := range args[2:] {
				if n, err := strconv.ParseInt(id, 10, 64); err != nil || n <= 0 {
					return withCode(exitUsage, errors.New("ID must be a whole number"))
				}
			}
			return p.withDrift(cmd.Context(), args[:2], func(ctx context.Context, dm *daemon, keys []store.StreamKey) error {
				for _, id := range args[2:] {
					did, err := dm.drift.Repair(ctx, keys[0], id)
					if err != nil {
						return err
					}
					if _, err := fmt.Fprintf(p.stdout, "%s %s %s: %s\n", args[0], args[1], id, did); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// withDrift runs work with the streams that the arguments name.
func (p *program) withDrift(ctx context.Context, args []string, work func(context.Context, *daemon, []store.StreamKey) error) error {
	return p.withVendors(ctx, func(ctx context.Context, c *config, d *database) error {
		if !c.IPSCAPE.on() {
			return withCode(exitConfig, errors.New("ipSCAPE is off: IPSCAPE_TOKEN is not set"))
		}
		dm, err := p.newTool(ctx, c, d,
			func(d *daemon) func(context.Context) error { return d.buildStreams }, withFold,
			func(d *daemon) func(context.Context) error { return d.buildDrift })
		if err != nil {
			return err
		}
		keys := dm.driftable(pipeline.SourceIPSCAPE)
		if len(args) > 1 {
			for _, key := range keys {
				if key.Stream == args[1] {
					return work(ctx, dm, []store.StreamKey{key})
				}
			}
		}
		return work(ctx, dm, keys)
	})
}

// driftRow is one look, with what it found.
type driftRow struct {
	status.Drift
	Findings []findingRow `json:"findings"`
}

type findingRow struct {
	Kind     string `json:"kind"`
	ObjectID string `json:"object_id"`
	Detail   string `json:"detail"`
	Repair   string `json:"repair"`
}

func (p *program) look(ctx context.Context, dm *daemon, keys []store.StreamKey, asJSON bool) error {
	out := []driftRow{}
	short := false
	for _, key := range keys {
		run, err := dm.drift.Look(ctx, key)
		if err != nil {
			return err
		}
		row := driftRow{Drift: status.DriftOf(run.State()), Findings: []findingRow{}}
		for _, f := range run.Findings {
			row.Findings = append(row.Findings, findingRow(f))
		}
		out, short = append(out, row), short || run.Error != ""
	}
	if err := p.printDrift(out, asJSON); err != nil {
		return err
	}
	if short {
		return withCode(exitPartly, errors.New("a sample was not compared to its end"))
	}
	return nil
}

func (p *program) printDrift(rows []driftRow, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, rows)
	}
	var lines, found [][]string
	for _, r := range rows {
		name := r.Source + "." + r.Stream
		lines = append(lines, []string{
			name, strconv.Itoa(r.Compared), strconv.Itoa(r.Listed), strconv.Itoa(r.Missing), strconv.Itoa(r.Extra), strconv.Itoa(r.Stale), strconv.Itoa(r.MappedWrong), orDash(r.Error),
		})
		for _, f := range r.Findings {
			found = append(found, []string{f.Kind, name, f.ObjectID, f.Detail, f.Repair})
		}
	}
	if err := table(p.stdout, []string{"STREAM", "COMPARED", "LISTED", "MISSING", "EXTRA", "STALE", "MAPPED_WRONG", "ERROR"}, lines); err != nil || len(found) == 0 {
		return err
	}
	fmt.Fprintln(p.stdout)
	return table(p.stdout, []string{"WHAT", "STREAM", "ID", "DETAIL", "REPAIR"}, found)
}
