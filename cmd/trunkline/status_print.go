package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/trunkline/trunkline/api/status"
)

// statusScreen prints a status for people, at most 80 columns wide but for what vendors say.
type statusScreen struct {
	w io.Writer
	// colour marks the first line.
	colour bool
}

// screen colours on a terminal, unless NO_COLOR is set.
func (p *program) screen(w io.Writer) statusScreen {
	f, ok := p.stdout.(*os.File)
	return statusScreen{w, ok && isTerminal(f) && os.Getenv("NO_COLOR") == ""}
}

func (s statusScreen) print(st *status.Status) error {
	first := st.FirstLine()
	if s.colour {
		mark := "\x1b[1;31m"
		if st.Well {
			mark = "\x1b[1;32m"
		}
		first = mark + first + "\x1b[0m"
	}
	fmt.Fprintln(s.w, first)
	if err := s.todo(st); err != nil {
		return err
	}
	if err := s.streams(st); err != nil {
		return err
	}
	s.counts(st)
	return s.tables(st)
}

// todo is what to do about each reason: a command, or what to read in the runbook.
func (s statusScreen) todo(st *status.Status) error {
	var rows [][]string
	for i := range st.Problems {
		switch pr := &st.Problems[i]; {
		case pr.Command != "":
			rows = append(rows, []string{pr.Command, pr.Text})
		case pr.Runbook != "":
			rows = append(rows, []string{"runbook: " + pr.Runbook, pr.Text})
		}
	}
	return section(s.w, []string{"TO_LOOK_OR_MEND", "BECAUSE"}, rows)
}

func (s statusScreen) streams(st *status.Status) error {
	var rows [][]string
	for i := range st.Streams {
		l := &st.Streams[i]
		success := "-"
		if t := l.State.LastSuccessAt; !t.IsZero() {
			success = brief(st.At.Sub(t)) + " ago"
		}
		rows = append(rows, []string{
			l.Source + "." + l.Stream, l.CoveredThrough, brief(time.Duration(l.LagSeconds) * time.Second), fmt.Sprint(l.Holes), orDash(strings.TrimPrefix(l.LastWalk, "live ")), success,
		})
	}
	if err := section(s.w, []string{"STREAM", "COVERED_THROUGH", "LAG", "HOLES", "LAST_WALK", "SUCCESS"}, rows); err != nil {
		return err
	}
	head := "\n"
	for i := range st.Streams {
		l := &st.Streams[i]
		name := l.Source + "." + l.Stream
		for _, line := range [...]struct{ what, text string }{
			{"error of ", l.LastError}, {"warning of ", l.Warning}, {"sweep of ", l.Sweep}, {"second looks at ", l.ChangesText(st.Lookback)},
		} {
			if line.text == "" {
				continue
			}
			fmt.Fprint(s.w, head, line.what, name, ": ", line.text, "\n")
			head = ""
		}
	}
	return nil
}

func (s statusScreen) counts(st *status.Status) {
	fmt.Fprintf(s.w, "\ndaemons running %d, posts waiting %d, records waiting %d, quarantine %d\n", st.Daemons, st.Inbox, st.Unfolded, st.Quarantine)
	if st.Webhooks.Endpoints > 0 {
		fmt.Fprintf(s.w, "webhooks: endpoints %d, failing %d, switched off %d; deliveries waiting %d, given up %d\n",
			st.Webhooks.Endpoints, st.Webhooks.Failing, st.Webhooks.Disabled, st.Webhooks.Pending, st.Webhooks.Failed)
	}
	if st.Replica != nil {
		fmt.Fprintln(s.w, st.Replica.Text())
	}
	for i := range st.Backfills {
		b := &st.Backfills[i]
		p := &b.Progress
		left := ""
		if p.TimeLeftKnown {
			left = ", " + p.TimeLeft.Round(time.Second).String() + " left"
		}
		fmt.Fprintf(s.w, "backfill %s %s: %d of %s, %s%s\n", b.ID, b.State, p.Done+p.Failed+p.Cancelled, status.Many(p.Windows, "window", "windows"), status.Many(p.Rows, "row", "rows"), left)
	}
	fmt.Fprintln(s.w, st.Speed.Text())
}

func (s statusScreen) tables(st *status.Status) error {
	var deliveries, jobs, gaps, codes [][]string
	for i := range st.Deliveries {
		l := &st.Deliveries[i]
		deliveries = append(deliveries, []string{l.Destination, l.Operation, l.State, orDash(l.Why()), fmt.Sprint(l.Count)})
	}
	for _, l := range st.Queues {
		jobs = append(jobs, []string{l.Kind, l.State, fmt.Sprint(l.Count)})
	}
	for _, l := range st.Gaps {
		gaps = append(gaps, []string{l.Source, orDash(l.Campaign), l.Kind, l.Since, fmt.Sprint(l.Missing)})
	}
	for _, l := range st.Unmapped {
		codes = append(codes, []string{l.Source, l.Code, orDash(l.Name), fmt.Sprint(l.Calls)})
	}
	for _, t := range [...]struct {
		head []string
		rows [][]string
	}{
		{[]string{"DESTINATION", "OPERATION", "STATE", "REASON", "DELIVERIES"}, deliveries},
		{[]string{"JOB", "STATE", "JOBS"}, jobs},
		{[]string{"GAP_IN", "CAMPAIGN", "KIND", "SINCE", "MISSING"}, gaps},
		{[]string{"UNMAPPED_IN", "CODE", "NAME", "CALLS"}, codes},
	} {
		if err := section(s.w, t.head, t.rows); err != nil {
			return err
		}
	}
	return nil
}

// section prints a table after a blank line, and nothing where there are no rows.
func section(w io.Writer, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return table(w, head, rows)
}
