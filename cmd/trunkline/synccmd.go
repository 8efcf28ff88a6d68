package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

func (p *program) syncCommand() *cobra.Command {
	var wait, asJSON bool
	cmd := &cobra.Command{
		Use:   "sync SOURCE [STREAM…] [--wait]",
		Short: "Walk streams now, without waiting for their schedules",
		Long: "Walk streams now, without waiting for their schedules.\n\n" +
			"Streams, of which none means all:\n" + streamHelp(jobs.Sources()) + "\n\n" +
			"The walks are those that the schedules make, and a daemon works on them; a stream whose walk is under way gets no second one.",
		Example: "  trunkline sync ipscape\n  trunkline sync ipscape activities leads --wait\n  trunkline sync lendworks leads",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source := pipeline.Source(args[0])
			catalog, ok := jobs.Catalog(source)
			if !ok {
				return withCode(exitUsage, errors.New("SOURCE must be ipscape, convoso or lendworks"))
			}
			streams, unknown := jobs.Chosen(catalog, args[1:])
			if len(unknown) > 0 {
				return withCode(exitUsage, fmt.Errorf("no stream of %s is called %s; it has %s", source, strings.Join(unknown, ", "), strings.Join(namesOf(catalog), ", ")))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				return p.syncNow(ctx, c, d, source, streams, wait, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "stay until the walks have ended; exits 6 when some failed")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// tellMissing tells of a variable without which the daemon cannot do what was ordered. One that runs has its own environment.
func (p *program) tellMissing(ctx context.Context, d *database, variable, work string) error {
	if variable == "" {
		return nil
	}
	alive, err := d.DaemonAlive(ctx)
	if err == nil && !alive {
		fmt.Fprintf(p.stderr, "%s is not set here; the daemon needs it to %s\n", variable, work)
	}
	return err
}

func namesOf(catalog []jobs.StreamInfo) []string {
	names := make([]string, len(catalog))
	for i := range catalog {
		names[i] = catalog[i].Name
	}
	return names
}

// syncRow is a stream that was asked to be walked.
type syncRow struct {
	Source string `json:"source"`
	Stream string `json:"stream"`
	// WalkID is empty when there was nothing to read.
	WalkID string `json:"walk_id"`
	State  string `json:"state"`
	Rows   int64  `json:"rows"`
	Error  string `json:"error"`
}

// nothingToRead is the state of a stream whose next live window is empty.
const nothingToRead = "nothing"

func (r *syncRow) ended() bool { return r.State != "ready" && r.State != "running" }

func (p *program) syncNow(
	ctx context.Context, c *config, d *database, source pipeline.Source, streams []jobs.StreamInfo, wait, asJSON bool,
) error {
	org, err := orgID(ctx, d, "")
	if err != nil {
		return err
	}
	queue, err := jobs.NewQueue(d.direct, p.toolLog(c))
	if err != nil {
		return err
	}
	if err := p.tellMissing(ctx, d, c.missingFor(source), "walk"); err != nil {
		return err
	}
	w := &waiting{p: p, d: d, source: source, daemon: true, goesOn: "the walks go on in the daemon: trunkline status"}
	rows := make([]*syncRow, len(streams))
	for i, s := range streams {
		key := store.StreamKey{Org: org, Account: store.DefaultAccount, Source: source, Stream: s.Name}
		if rows[i], err = planNow(ctx, d, queue, key, c.stream(source, s)); err != nil {
			return err
		}
	}
	if wait {
		err = w.until(ctx, func() (bool, error) { return p.lookAtWalks(ctx, d, rows) })
	}
	if err == nil || asJSON {
		err = errors.Join(err, p.printSync(rows, asJSON))
	}
	if err != nil || !wait {
		return err
	}
	return syncEnded(rows)
}

// streamHelp lists the streams of sources, a line each.
func streamHelp(sources []pipeline.Source) string {
	lines := make([]string, len(sources))
	for i, source := range sources {
		catalog, _ := jobs.Catalog(source)
		names := make([]string, len(catalog))
		for j, s := range catalog {
			names[j] = s.Name
		}
		lines[i] = fmt.Sprintf("  %-10s %s", source, strings.Join(names, " "))
	}
	return strings.Join(lines, "\n")
}

// missingFor names the variable without which a source is not read, empty when it is.
func (c *config) missingFor(source pipeline.Source) string {
	switch {
	case source == pipeline.SourceIPSCAPE && !c.IPSCAPE.on():
		return "IPSCAPE_TOKEN"
	case source == pipeline.SourceConvoso && c.Convoso.APIURL == "":
		return "CONVOSO_API_URL"
	case source == pipeline.SourceConvoso && !c.Convoso.logOn():
		return "CONVOSO_AUTH_TOKEN"
	case source == pipeline.SourceLendWorks && !c.LendWorks.on():
		return "LENDWORKS_API_KEY"
	}
	return ""
}

// rateOf is the source's requests a second, 0 for no limit.
func (c *config) rateOf(source pipeline.Source) float64 {
	switch source {
	case pipeline.SourceConvoso:
		return float64(c.Convoso.Rate)
	case pipeline.SourceLendWorks:
		return float64(c.LendWorks.Rate)
	default:
		return float64(c.IPSCAPE.Rate)
	}
}

// stream is what planning needs to know of a stream.
func (c *config) stream(source pipeline.Source, s jobs.StreamInfo) *walk.Stream {
	plan := &walk.Stream{
		Source: source, Name: s.Name, Capability: s.Capability,
		Start: c.IPSCAPE.Start.Duration, Settle: c.IPSCAPE.Settle.Duration, Overlap: c.IPSCAPE.Overlap.Duration,
	}
	switch source {
	case pipeline.SourceConvoso:
		*plan = jobs.CallLogStream(c.Convoso.Start.Duration)
	case pipeline.SourceLendWorks:
		plan.Start, plan.Settle, plan.Overlap = c.LendWorks.Start.Duration, c.LendWorks.Settle.Duration, c.LendWorks.Overlap.Duration
	default:
	}
	return plan
}

// planNow makes a stream's next live walk and wakes it. A stream that rests after a failure, which takes seconds, is waited
// for: the operator wants it now.
func planNow(ctx context.Context, d *database, queue *jobs.Queue, key store.StreamKey, s *walk.Stream) (*syncRow, error) {
	row := &syncRow{Source: string(key.Source), Stream: key.Stream}
	planner := &walkstore.Store{DB: d.DB}
	for {
		var w store.Walk
		var planned store.Planned
		err := d.InTx(ctx, func(tx pgx.Tx) (err error) {
			if w, planned, err = planner.PlanLive(ctx, tx, key, s, time.Time{}); err != nil {
				return err
			}
			if planned == store.PlannedNew || planned == store.PlannedOpen {
				return queue.Insert(ctx, tx, jobs.WalkArgs{WalkID: w.ID})
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("planning a walk of %s: %w", key, err)
		}
		if planned != store.PlannedLater {
			row.State = nothingToRead
			if w.ID != uuid.Nil {
				row.WalkID, row.State = w.ID.String(), w.State
			}
			return row, nil
		}
		select {
		case <-time.After(waitInterval):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lookAtWalks reads the walks anew, and tells of each that has ended since the last look.
func (p *program) lookAtWalks(ctx context.Context, d *database, rows []*syncRow) (bool, error) {
	ended := true
	for _, r := range rows {
		if r.ended() {
			continue
		}
		id, err := uuid.Parse(r.WalkID)
		if err != nil {
			return false, err
		}
		w, err := d.Walk(ctx, d.Pool, id)
		if err != nil {
			return false, err
		}
		r.State, r.Rows, r.Error = w.State, w.Rows, w.Error
		if r.ended() {
			fmt.Fprintf(p.stderr, "%s.%s: %s, %s\n", r.Source, r.Stream, r.State, status.Many(r.Rows, "row", "rows"))
		} else {
			ended = false
		}
	}
	return ended, nil
}

func (p *program) printSync(rows []*syncRow, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, rows)
	}
	var lines [][]string
	for _, r := range rows {
		lines = append(lines, []string{r.Source + "." + r.Stream, orDash(r.WalkID), r.State, fmt.Sprint(r.Rows), orDash(r.Error)})
	}
	return table(p.stdout, []string{"STREAM", "WALK", "STATE", "ROWS", "ERROR"}, lines)
}

// syncEnded gives the exit code of walks that have ended.
func syncEnded(rows []*syncRow) error {
	var failed []string
	for _, r := range rows {
		if r.State != "done" && r.State != nothingToRead {
			failed = append(failed, r.Stream)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	code := exitPartly
	if len(failed) == len(rows) {
		code = exitFailed
	}
	return withCode(code, fmt.Errorf("not read to the end: %s", strings.Join(failed, ", ")))
}
