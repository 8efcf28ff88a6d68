package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

// backfillRow is a backfill as commands print it.
type backfillRow struct {
	ID               uuid.UUID         `json:"id"`
	OrgID            uuid.UUID         `json:"org_id"`
	AccountID        string            `json:"account_id"`
	Source           string            `json:"source"`
	Streams          []string          `json:"streams"`
	From             string            `json:"from"`
	To               string            `json:"to"`
	WindowSeconds    int64             `json:"window_s"`
	Filters          map[string]string `json:"filters"`
	State            string            `json:"state"`
	Actor            string            `json:"actor"`
	Windows          int               `json:"windows"`
	WindowsDone      int               `json:"windows_done"`
	WindowsFailed    int               `json:"windows_failed"`
	WindowsRunning   int               `json:"windows_running"`
	WindowsLeft      int               `json:"windows_left"`
	WindowsCancelled int               `json:"windows_cancelled"`
	Pages            int64             `json:"pages"`
	Rows             int64             `json:"rows"`
	Changed          int64             `json:"changed"`
	Quarantined      int64             `json:"quarantined"`
	RowsPerSecond    float64           `json:"rows_per_s"`
	TimeLeft         *int64            `json:"time_left_s"`
	CreatedAt        string            `json:"created_at"`
	StartedAt        string            `json:"started_at"`
	FinishedAt       string            `json:"finished_at"`
	Error            string            `json:"error"`
	// Troubled are windows that failed or met a problem; only show reads them.
	Troubled []windowRow `json:"troubled,omitempty"`
}

type windowRow struct {
	WalkID string `json:"walk_id"`
	Stream string `json:"stream"`
	From   string `json:"from"`
	To     string `json:"to"`
	State  string `json:"state"`
	Rows   int64  `json:"rows"`
	Tries  int    `json:"tries"`
	Error  string `json:"error"`
}

func backfillRowOf(b *store.Backfill) backfillRow {
	q := &b.Progress
	row := backfillRow{
		ID: b.ID, OrgID: b.Org, AccountID: b.Account, Source: string(b.Source), Streams: b.Streams, From: when(b.Range.From), To: when(b.Range.To),
		WindowSeconds: int64(b.Window / time.Second), Filters: b.Filters, State: string(b.State), Actor: b.Actor,
		Windows: q.Windows, WindowsDone: q.Done, WindowsFailed: q.Failed, WindowsRunning: q.Running, WindowsLeft: q.Left(),
		WindowsCancelled: q.Cancelled, Pages: q.Pages, Rows: q.Rows, Changed: q.Changed, Quarantined: q.Quarantined,
		RowsPerSecond: q.RowsPerSecond, CreatedAt: when(b.CreatedAt), StartedAt: when(b.StartedAt), FinishedAt: when(b.FinishedAt), Error: b.Error,
	}
	if q.TimeLeftKnown {
		left := int64(q.TimeLeft.Seconds())
		row.TimeLeft = &left
	}
	return row
}

func windowRowOf(w store.BackfillWindow) windowRow {
	return windowRow{w.Walk.String(), w.Stream, when(w.Range.From), when(w.Range.To), w.State, w.Rows, w.Tries, w.Error}
}

// timeLeft renders what is left, "-" where that cannot be told.
func timeLeft(q *store.BackfillProgress) string {
	if !q.TimeLeftKnown {
		return "-"
	}
	return q.TimeLeft.Round(time.Second).String()
}

// listMax is how many backfills list shows.
const listMax = 100

func (p *program) backfillListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List backfills, the latest first",
		Example: "  trunkline backfill list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				page, err := d.Backfills(ctx, uuid.Nil, 0, listMax)
				if err != nil {
					return err
				}
				rows := []backfillRow{}
				var lines [][]string
				for i := range page.Backfills {
					b := &page.Backfills[i]
					rows = append(rows, backfillRowOf(b))
					lines = append(lines, []string{
						b.ID.String(), string(b.State), string(b.Source), strings.Join(b.Streams, ","), when(b.Range.From), when(b.Range.To),
						fmt.Sprintf("%d/%d", b.Progress.Done, b.Progress.Windows), fmt.Sprint(b.Progress.Failed), fmt.Sprint(b.Progress.Rows),
						timeLeft(&b.Progress), when(b.CreatedAt),
					})
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				if page.Total > listMax {
					fmt.Fprintf(p.stderr, "the latest %d of %d\n", listMax, page.Total)
				}
				return table(p.stdout, []string{"ID", "STATE", "SOURCE", "STREAMS", "FROM", "TO", "DONE", "FAILED", "ROWS", "LEFT", "CREATED"}, lines)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// troubledMax is how many windows with a problem show prints.
const troubledMax = 50

func (p *program) backfillShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show how far a backfill is, and its windows that met a problem",
		Example: "  trunkline backfill show 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := backfillID(args)
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				b, err := d.Backfill(ctx, uuid.Nil, id)
				if err != nil {
					return err
				}
				troubled, err := d.TroubledWindows(ctx, id, troubledMax)
				if err != nil {
					return err
				}
				row := backfillRowOf(&b)
				for _, w := range troubled {
					row.Troubled = append(row.Troubled, windowRowOf(w))
				}
				if asJSON {
					return printJSON(p.stdout, row)
				}
				return printBackfill(p.stdout, &b, row.Troubled)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printBackfill(w io.Writer, b *store.Backfill, troubled []windowRow) error {
	q := &b.Progress
	filters := []string{}
	for _, name := range slices.Sorted(maps.Keys(b.Filters)) {
		filters = append(filters, name+"="+b.Filters[name])
	}
	err := properties(w, [][2]string{
		{"ID", b.ID.String()},
		{"STATE", string(b.State)},
		{"SOURCE", string(b.Source)},
		{"STREAMS", strings.Join(b.Streams, ", ")},
		{"RANGE", fmt.Sprintf("%s to %s in windows of %s", when(b.Range.From), when(b.Range.To), b.Window)},
		{"FILTERS", orDash(strings.Join(filters, " "))},
		{"WINDOWS", fmt.Sprintf("%d: %d done, %d failed, %d running, %d waiting, %d cancelled", q.Windows, q.Done, q.Failed, q.Running, q.Waiting, q.Cancelled)},
		{"ROWS", fmt.Sprintf("%d, of them new or changed %d; %s in quarantine; %s", q.Rows, q.Changed, status.Many(q.Quarantined, "item", "items"), status.Many(q.Pages, "page", "pages"))},
		{"RATE", status.BackfillRate(b)},
		{"LEFT", timeLeft(q)},
		{"ORDERED", when(b.CreatedAt) + " by " + b.Actor},
		{"STARTED", when(b.StartedAt)},
		{"FINISHED", when(b.FinishedAt)},
		{"ERROR", orDash(b.Error)},
	})
	if err != nil || len(troubled) == 0 {
		return err
	}
	fmt.Fprintln(w)
	var lines [][]string
	for _, t := range troubled {
		lines = append(lines, []string{t.Stream, t.From, t.To, t.State, fmt.Sprint(t.Rows), fmt.Sprint(t.Tries), orDash(t.Error)})
	}
	return table(w, []string{"STREAM", "FROM", "TO", "STATE", "ROWS", "FAILURES", "LAST PROBLEM"}, lines)
}
