package main

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func (p *program) quarantineCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "quarantine", Short: "What could not be processed", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.quarantineListCommand(), p.quarantineShowCommand(), p.quarantineReplayCommand())
	return cmd
}

// quarantineGroupRow is a group as commands print it.
type quarantineGroupRow struct {
	Source      string    `json:"source"`
	Stream      string    `json:"stream"`
	Reason      string    `json:"reason"`
	Error       string    `json:"error"`
	Items       int       `json:"items"`
	Seen        int       `json:"seen"`
	FirstSeenAt string    `json:"first_seen_at"`
	LastSeenAt  string    `json:"last_seen_at"`
	ExampleID   uuid.UUID `json:"example_id"`
	Example     string    `json:"example"`
}

func (p *program) quarantineListCommand() *cobra.Command {
	var org, source, state string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list [--source S]",
		Short:   "Group what lies in quarantine by source, stream and error, each with a redacted example",
		Example: "  trunkline quarantine list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if state != "open" && state != "fixed" && state != "discarded" {
				return withCode(exitUsage, errors.New("--state must be open, fixed or discarded"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				groups, err := d.QuarantineGroups(ctx, id, source, state)
				if err != nil {
					return err
				}
				return p.printQuarantine(ctx, d, groups, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().StringVar(&source, "source", "", "only what this source told")
	cmd.Flags().StringVar(&state, "state", "open", "open, fixed or discarded")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) printQuarantine(ctx context.Context, d *database, groups []store.QuarantineGroup, asJSON bool) error {
	rows := []quarantineGroupRow{}
	var lines [][]string
	for _, g := range groups {
		item, err := d.GetQuarantine(ctx, d.Pool, g.Example)
		if err != nil {
			return err
		}
		r := quarantineGroupRow{
			g.Source, g.Stream, g.Reason, g.Shape, g.Items, g.Seen, when(g.FirstSeenAt), when(g.LastSeenAt), g.Example, vendorapi.Masked(item.Body),
		}
		rows = append(rows, r)
		lines = append(lines, []string{r.Source + "." + r.Stream, r.Reason, fmt.Sprint(r.Items), fmt.Sprint(r.Seen), r.LastSeenAt, r.ExampleID.String(), r.Error, r.Example})
	}
	if asJSON {
		return printJSON(p.stdout, rows)
	}
	if len(lines) == 0 {
		fmt.Fprintln(p.stderr, "nothing like that is in quarantine")
	}
	return table(p.stdout, []string{"STREAM", "REASON", "ITEMS", "SEEN", "LAST_SEEN", "EXAMPLE", "ERROR", "LOOKS_LIKE"}, lines)
}

// quarantineItem is an item as commands print it.
type quarantineItem struct {
	ID          uuid.UUID `json:"id"`
	OrgID       uuid.UUID `json:"org_id"`
	Source      string    `json:"source"`
	Stream      string    `json:"stream"`
	ObjectID    string    `json:"object_id"`
	Reason      string    `json:"reason"`
	Error       string    `json:"error"`
	Seen        int       `json:"seen"`
	FirstSeenAt string    `json:"first_seen_at"`
	LastSeenAt  string    `json:"last_seen_at"`
	State       string    `json:"state"`
	Body        string    `json:"body"`
}

func (p *program) quarantineShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one item with its bytes, personal data included",
		Example: "  trunkline quarantine show 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argID(args[0])
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				r, err := d.GetQuarantine(ctx, d.Pool, id)
				if err != nil {
					return err
				}
				item := quarantineItem{
					r.ID, r.Org, r.Source, r.Stream, r.ObjectID, r.Reason, r.Error, r.Seen, when(r.FirstSeenAt), when(r.LastSeenAt), r.State, bodyText(r.Body),
				}
				if asJSON {
					return printJSON(p.stdout, item)
				}
				return properties(p.stdout, [][2]string{
					{"ID", item.ID.String()},
					{"STREAM", item.Source + "." + item.Stream},
					{"OBJECT", orDash(item.ObjectID)},
					{"STATE", item.State},
					{"REASON", item.Reason},
					{"ERROR", item.Error},
					{"SEEN", fmt.Sprint(item.Seen)},
					{"FIRST_SEEN", item.FirstSeenAt},
					{"LAST_SEEN", item.LastSeenAt},
					{"BODY", item.Body},
				})
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// argID reads an id that was given as an argument.
func argID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, withCode(exitUsage, fmt.Errorf("%q is not an id", text))
	}
	return id, nil
}

// bodyText shows bytes as they are where they are text.
func bodyText(body []byte) string {
	if utf8.Valid(body) {
		return string(body)
	}
	return fmt.Sprintf("%q", body)
}

// replayPatience is how long a replay waits for a daemon that folds meanwhile.
const replayPatience = 30 * time.Second

func (p *program) quarantineReplayCommand() *cobra.Command {
	var org, source string
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "replay [ID…|--all|--source S]",
		Short: "Process items again, with this version's mapping",
		Long: "Process items again, with this version's mapping.\n\n" +
			"Prints replayed, fixed and left. Exits 6 when some are left, 1 when nothing could be fixed.",
		Example: "  trunkline quarantine replay --source convoso",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen := 0
			for _, is := range []bool{len(args) > 0, all, source != ""} {
				if is {
					chosen++
				}
			}
			if chosen != 1 {
				return withCode(exitUsage, errors.New("give ids, --all or --source, one of them"))
			}
			var ids []uuid.UUID
			for _, a := range args {
				id, err := argID(a)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				return p.replayQuarantine(ctx, c, d, org, source, ids, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().BoolVar(&all, "all", false, "all open items")
	cmd.Flags().StringVar(&source, "source", "", "the open items of one source")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// replayResult is what a replay came to.
type replayResult struct {
	Replayed int        `json:"replayed"`
	Fixed    int        `json:"fixed"`
	Left     int        `json:"left"`
	Items    []leftItem `json:"items_left"`
}

// leftItem is an item that a replay did not mend.
type leftItem struct {
	ID     uuid.UUID `json:"id"`
	Source string    `json:"source"`
	Stream string    `json:"stream"`
	Error  string    `json:"error"`
}

// replayBatch is how many items are replayed before the fold is waited for.
const replayBatch = 500

func (p *program) replayQuarantine(ctx context.Context, c *config, d *database, orgText, source string, ids []uuid.UUID, asJSON bool) error {
	org, err := orgID(ctx, d, orgText)
	if err != nil {
		return err
	}
	replayer, err := p.replayer(ctx, c, d)
	if err != nil {
		return err
	}
	result := replayResult{Items: []leftItem{}}
	one := func(ids []uuid.UUID) error {
		done, err := replayer.Replay(ctx, ids)
		if err != nil {
			return err
		}
		for _, r := range done {
			result.Replayed++
			if r.Fixed {
				result.Fixed++
				continue
			}
			result.Left++
			result.Items = append(result.Items, leftItem{r.ID, r.Source, r.Stream, r.Why})
		}
		return nil
	}
	if len(ids) > 0 {
		err = one(ids)
	} else {
		err = eachQuarantined(ctx, d, store.QuarantineFilter{Org: org, Source: source, State: "open", Limit: replayBatch}, one)
	}
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(p.stdout, result)
	} else {
		_, err = fmt.Fprintf(p.stdout, "replayed %d, fixed %d, left %d\n", result.Replayed, result.Fixed, result.Left)
		for _, item := range result.Items {
			fmt.Fprintf(p.stdout, "%s %s.%s: %s\n", item.ID, item.Source, item.Stream, item.Error)
		}
	}
	switch {
	case err != nil:
		return err
	case result.Left > 0 && result.Fixed == 0:
		return withCode(exitFailed, errors.New("nothing could be mended"))
	case result.Left > 0:
		return withCode(exitPartly, fmt.Errorf("left: %s", status.Many(result.Left, "item", "items")))
	}
	return nil
}

// eachQuarantined goes through items page by page, by id: those that stay open are not met twice.
func eachQuarantined(ctx context.Context, d *database, f store.QuarantineFilter, work func([]uuid.UUID) error) error {
	for {
		ids, err := d.QuarantineIDs(ctx, f)
		if err != nil || len(ids) == 0 {
			return err
		}
		f.After = ids[len(ids)-1]
		if err := work(ids); err != nil {
			return err
		}
	}
}

// replayer builds what a replay needs of a daemon.
func (p *program) replayer(ctx context.Context, c *config, d *database) (*jobs.Replayer, error) {
	dm, err := p.newTool(ctx, c, d, withFold,
		func(d *daemon) func(context.Context) error { return d.buildStreams },
		func(d *daemon) func(context.Context) error { return d.buildInbox })
	if err != nil {
		return nil, err
	}
	return dm.replayer(replayPatience), nil
}
