package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
)

func (p *program) statusCommand() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:     "status [--watch]",
		Short:   "Say whether all is well, and how far everything is",
		Example: "  trunkline status\n  trunkline status --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				rules, err := c.rules()
				if err != nil {
					return err
				}
				for {
					s, err := status.Read(ctx, d.DB, c.IPSCAPE.Lookback.Duration, &rules)
					if watch && ctx.Err() != nil {
						return nil
					}
					if err != nil {
						return err
					}
					if watch && !asJSON {
						fmt.Fprint(p.stdout, "\x1b[H\x1b[2J")
					}
					if asJSON {
						err = printJSON(p.stdout, s)
					} else {
						err = printStatus(p.stdout, s)
					}
					if err != nil || !watch {
						return err
					}
					select {
					case <-ctx.Done():
						return nil
					case <-time.After(2 * time.Second):
					}
				}
			})
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every two seconds")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printStatus(w io.Writer, s *status.Status) error {
	fmt.Fprintln(w, s.FirstLine())
	fmt.Fprintln(w)
	var rows [][]string
	for _, l := range s.Streams {
		rows = append(rows, []string{
			l.Source + "." + l.Stream, l.CoveredThrough, (time.Duration(l.LagSeconds) * time.Second).String(), fmt.Sprint(l.Holes),
			orDash(l.LastWalk), l.LastSuccess, orDash(l.LastError),
		})
	}
	if err := table(w, []string{"STREAM", "COVERED_THROUGH", "LAG", "HOLES", "LAST_WALK", "LAST_SUCCESS", "LAST_ERROR"}, rows); err != nil {
		return err
	}
	for _, l := range s.Streams {
		if l.Changes > 0 {
			fmt.Fprintf(w, "\nof %d changes of %s.%s %.1f%% came within the look-back of %s\n", l.Changes, l.Source, l.Stream, 100*float64(l.Covered)/float64(l.Changes), s.Lookback)
		}
		if l.Sweep != "" {
			fmt.Fprintf(w, "\nsweep of %s.%s: %s\n", l.Source, l.Stream, l.Sweep)
		}
	}
	fmt.Fprintf(w, "\ndaemons running %d, posts waiting %d, records waiting %d, quarantine %d\n", s.Daemons, s.Inbox, s.Unfolded, s.Quarantine)
	if s.Webhooks.Endpoints > 0 {
		fmt.Fprintf(w, "webhooks: endpoints %d, failing %d, switched off %d; deliveries waiting %d, given up %d\n",
			s.Webhooks.Endpoints, s.Webhooks.Failing, s.Webhooks.Disabled, s.Webhooks.Pending, s.Webhooks.Failed)
	}
	fmt.Fprintln(w, s.Speed.Text())
	rows = nil
	for _, l := range s.Deliveries {
		rows = append(rows, []string{l.Destination, l.Operation, l.State, orDash(l.Why()), fmt.Sprint(l.Count)})
	}
	if err := section(w, []string{"DESTINATION", "OPERATION", "STATE", "REASON", "DELIVERIES"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, l := range s.Queues {
		rows = append(rows, []string{l.Kind, l.State, fmt.Sprint(l.Count)})
	}
	if err := section(w, []string{"JOB", "STATE", "JOBS"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, l := range s.Gaps {
		rows = append(rows, []string{l.Source, orDash(l.Campaign), l.Kind, l.Since, fmt.Sprint(l.Missing)})
	}
	if err := section(w, []string{"GAP_IN", "CAMPAIGN", "KIND", "SINCE", "MISSING"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, l := range s.Unmapped {
		rows = append(rows, []string{l.Source, l.Code, orDash(l.Name), fmt.Sprint(l.Calls)})
	}
	return section(w, []string{"UNMAPPED_IN", "CODE", "NAME", "CALLS"}, rows)
}

// section prints a table after a blank line, and nothing where there are no rows.
func section(w io.Writer, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return table(w, head, rows)
}
