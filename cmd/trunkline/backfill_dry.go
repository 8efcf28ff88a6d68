package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/walk"
)

// dryRow is a window that a backfill would read.
type dryRow struct {
	Stream string `json:"stream"`
	From   string `json:"from"`
	To     string `json:"to"`
	// Pages is null where nothing is known of the stream yet.
	Pages *int64 `json:"pages"`
}

// dryRun is what a backfill would be.
type dryRunReport struct {
	Source  string   `json:"source"`
	Windows []dryRow `json:"windows"`
	// Pages and Seconds are null when they cannot be told for every stream. Each page is a request.
	Pages             *int64  `json:"pages"`
	RequestsPerSecond float64 `json:"requests_per_s"`
	Seconds           *int64  `json:"time_s"`
	// Unknown are streams of which nothing is known yet.
	Unknown []string `json:"unknown"`
	// PausedSeconds is how long the vendor still wants us to wait.
	PausedSeconds int64 `json:"paused_s"`
}

// dryRun prints what a backfill would read and how long that takes, and makes nothing.
func (p *program) dryRun(ctx context.Context, c *config, d *database, plan *jobs.PlannedBackfill, asJSON bool) error {
	org, err := orgID(ctx, d, "")
	if err != nil {
		return err
	}
	r := &dryRunReport{Source: string(plan.Source), Windows: []dryRow{}, Unknown: []string{}, RequestsPerSecond: c.rateOf(plan.Source)}
	total := int64(0)
	for _, s := range plan.Streams {
		density, err := d.Density(ctx, store.StreamKey{Org: org, Account: store.DefaultAccount, Source: plan.Source, Stream: s.Name})
		if err != nil {
			return err
		}
		known := true
		for _, w := range windowsOf(plan, s) {
			row := dryRow{Stream: s.Name, From: when(w.From), To: when(w.To)}
			if pages, ok := pagesOf(density, w); ok {
				row.Pages = &pages
				total += pages
			} else {
				known = false
			}
			r.Windows = append(r.Windows, row)
		}
		if !known {
			r.Unknown = append(r.Unknown, s.Name)
		}
	}
	if len(r.Unknown) == 0 {
		r.Pages = &total
		if r.RequestsPerSecond > 0 {
			seconds := int64(math.Ceil(float64(total) / r.RequestsPerSecond))
			r.Seconds = &seconds
		}
	}
	budget, err := d.LookBudget(ctx, store.BudgetKey{Org: org, Account: store.DefaultAccount, Source: plan.Source})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	r.PausedSeconds = int64(math.Ceil(budget.Paused.Seconds()))
	if asJSON {
		return printJSON(p.stdout, r)
	}
	return p.printDryRun(r, len(plan.Filters) > 0, total)
}

// windowsOf are the windows of one stream; a snapshot has one, without bounds.
func windowsOf(plan *jobs.PlannedBackfill, s jobs.StreamInfo) []store.TimeRange {
	if s.Capability == walk.Snapshot {
		return []store.TimeRange{{}}
	}
	return plan.Windows()
}

// pagesOf estimates the pages of a window from what earlier walks of the stream found.
func pagesOf(known store.Density, w store.TimeRange) (int64, bool) {
	if w.From.IsZero() {
		return int64(known.WholePages), known.WholePages > 0
	}
	if known.RowsPerDay == 0 || known.RowsPerPage == 0 {
		return 0, false
	}
	rows := known.RowsPerDay * w.To.Sub(w.From).Hours() / 24
	return max(1, int64(math.Ceil(rows/known.RowsPerPage))), true
}

func (p *program) printDryRun(r *dryRunReport, filtered bool, pages int64) error {
	var lines [][]string
	for _, w := range r.Windows {
		n := "unknown"
		if w.Pages != nil {
			n = fmt.Sprint(*w.Pages)
		}
		lines = append(lines, []string{w.Stream, w.From, w.To, n})
	}
	if err := table(p.stdout, []string{"STREAM", "FROM", "TO", "PAGES"}, lines); err != nil {
		return err
	}
	about := "about"
	switch {
	case len(r.Unknown) > 0:
		about = "at least"
	case filtered:
		about = "at most"
	}
	fmt.Fprintf(p.stdout, "\n%s, %s %s", status.Many(len(r.Windows), "window", "windows"), about, status.Many(pages, "page", "pages"))
	switch {
	case r.RequestsPerSecond > 0:
		took := time.Duration(float64(pages) / r.RequestsPerSecond * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(p.stdout, ", %s %s at %g requests/s\n", about, took, r.RequestsPerSecond)
	default:
		fmt.Fprintln(p.stdout, ", time unknown: requests are not limited")
	}
	for _, name := range r.Unknown {
		fmt.Fprintf(p.stdout, "pages of %s.%s are unknown: no walk of it has ended that would tell\n", r.Source, name)
	}
	if r.PausedSeconds > 0 {
		fmt.Fprintf(p.stdout, "the vendor has paused the account for another %s\n", time.Duration(r.PausedSeconds)*time.Second)
	}
	fmt.Fprintln(p.stdout, "nothing was ordered")
	return nil
}
