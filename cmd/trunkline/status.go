package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/walk"
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
				for {
					s, err := readStatus(ctx, c, d)
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
						err = s.print(p.stdout)
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

// status is what an operator wants to know.
type status struct {
	Well       bool           `json:"well"`
	Daemons    int            `json:"daemons"`
	Problems   []string       `json:"problems"`
	Streams    []streamLine   `json:"streams"`
	Deliveries []deliveryLine `json:"deliveries"`
	Queues     []queueLine    `json:"queues"`
	Gaps       []gapLine      `json:"gaps"`
	Inbox      int            `json:"inbox_backlog"`
	Unfolded   int            `json:"reconcile_backlog"`
	Quarantine int            `json:"quarantine"`
	Webhooks   webhookLine    `json:"webhooks"`
	Speed      speedLine      `json:"speed_to_lead"`

	now      time.Time
	lookback time.Duration
}

type webhookLine struct {
	Endpoints int `json:"endpoints"`
	Failing   int `json:"failing"`
	Disabled  int `json:"disabled"`
	Pending   int `json:"pending"`
	Failed    int `json:"failed"`
}

// speedLine is the median of seconds from a lead's creation to each step, over the last day's pushed leads; null = none got there.
type speedLine struct {
	Leads    int      `json:"leads"`
	Ready    *float64 `json:"ready_s"`
	Sent     *float64 `json:"sent_s"`
	Accepted *float64 `json:"accepted_s"`
	Dialled  *float64 `json:"dialled_s"`
	Answered *float64 `json:"answered_s"`
}

func (l *speedLine) text() string {
	parts := []string{many(l.Leads, "lead", "leads") + " pushed in a day"}
	for _, step := range []struct {
		name string
		s    *float64
	}{{"ready", l.Ready}, {"sent", l.Sent}, {"accepted", l.Accepted}, {"dialled", l.Dialled}, {"answered", l.Answered}} {
		if step.s != nil {
			parts = append(parts, step.name+" "+time.Duration(*step.s*float64(time.Second)).Round(time.Second).String())
		}
	}
	return "speed to lead (median): " + strings.Join(parts, ", ")
}

type streamLine struct {
	Source         string `json:"source"`
	Stream         string `json:"stream"`
	CoveredThrough string `json:"covered_through"`
	LagSeconds     int    `json:"lag_s"`
	Holes          int    `json:"holes"`
	// LastWalk is the last live one.
	LastWalk    string `json:"last_walk"`
	LastSuccess string `json:"last_success_at"`
	LastError   string `json:"last_error"`
	Warning     string `json:"warning"`
	Sweep       string `json:"sweep"`
	// Changes is how many changes of rows were measured, and Covered how many of them came within the look-back.
	Changes int64 `json:"changes"`
	Covered int64 `json:"changes_in_lookback"`
}

type deliveryLine struct {
	Destination string `json:"destination"`
	Operation   string `json:"operation"`
	State       string `json:"state"`
	Reason      string `json:"reason"`
	Count       int    `json:"count"`
}

type queueLine struct {
	Kind  string `json:"kind"`
	State string `json:"state"`
	Count int    `json:"count"`
}

type gapLine struct {
	Source   string `json:"source"`
	Campaign string `json:"campaign"`
	Kind     string `json:"kind"`
	Since    string `json:"since"`
	Missing  int    `json:"missing"`
}

// addGaps tells of posts that seem to be lost.
func (s *status) addGaps(gaps []store.Gap) {
	calls, hours := 0, 0
	for _, g := range gaps {
		s.Gaps = append(s.Gaps, gapLine{g.Source, g.Campaign, g.Kind, when(g.Since), g.Missing})
		if g.Kind == store.GapNoDisposition {
			calls += g.Missing
		} else {
			hours++
		}
	}
	if calls > 0 {
		s.Problems = append(s.Problems, many(calls, "call", "calls")+" of convoso without a disposition")
	}
	if hours > 0 {
		s.Problems = append(s.Problems, fmt.Sprintf("no post of convoso in %s that usually have ten or more", many(hours, "hour", "hours")))
	}
}

// lagAlarm is the lag of a stream from which on something must be wrong: ten times the usual schedule.
const lagAlarm = 10 * time.Minute

func readStatus(ctx context.Context, c *config, d *database) (*status, error) {
	s := &status{now: d.Now(), Problems: []string{}, Streams: []streamLine{}, Deliveries: []deliveryLine{}, Queues: []queueLine{}, Gaps: []gapLine{}}
	streams, err := d.StreamStates(ctx, d.Pool, uuid.Nil)
	if err != nil {
		return nil, err
	}
	late, err := d.LatenessOfAll(ctx, d.Pool)
	if err != nil {
		return nil, err
	}
	for i := range streams {
		s.addStream(&streams[i])
		s.addLateness(&streams[i], late, c.IPSCAPE.Lookback.Duration)
	}
	deliveries, err := d.DeliveryCounts(ctx, d.Pool)
	if err != nil {
		return nil, err
	}
	for _, n := range deliveries {
		s.Deliveries = append(s.Deliveries, deliveryLine(n))
		if n.State == "unknown" {
			s.Problems = append(s.Problems, fmt.Sprintf("%s to %s with an unknown outcome", many(n.Count, "delivery", "deliveries"), n.Destination))
		}
	}
	gauges, err := d.Gauges(ctx)
	if err != nil {
		return nil, err
	}
	s.Inbox, s.Unfolded = int(gauges.Inbox), int(gauges.Unfolded)
	for _, j := range gauges.Jobs {
		s.Queues = append(s.Queues, queueLine{j.A, j.B, int(j.Count)})
	}
	for _, n := range gauges.Quarantine {
		s.Quarantine += int(n.Count)
	}
	if s.Quarantine > 0 {
		s.Problems = append(s.Problems, many(s.Quarantine, "item", "items")+" in quarantine")
	}
	s.addWebhooks(&gauges.Webhooks)
	gaps, err := d.Gaps(ctx, d.Pool)
	if err != nil {
		return nil, err
	}
	s.addGaps(gaps)
	speed, err := d.Speed(ctx)
	if err != nil {
		return nil, err
	}
	s.Speed = speedLine(speed)
	attention, err := d.Attention(ctx)
	if err != nil {
		return nil, err
	}
	s.addAttention(&attention)
	s.Well = len(s.Problems) == 0
	return s, nil
}

// addAttention puts what stops everything first.
func (s *status) addAttention(a *store.Attention) {
	var first []string
	if a.Daemons == 0 {
		first = append(first, "no daemon is running")
	}
	for _, t := range a.Accounts {
		if t.Denied {
			first = append(first, t.Source+" refuses our credentials")
		} else {
			first = append(first, t.Source+" asked us to wait until "+whenPtr(t.Until))
		}
	}
	first = append(first, a.Notices...)
	if a.OpenOptOuts > 0 {
		first = append(first, fmt.Sprintf("%s not confirmed by their diallers, the oldest since %s", many(a.OpenOptOuts, "opt-out", "opt-outs"), whenPtr(a.OldestOptOut)))
	}
	s.Daemons = a.Daemons
	s.Problems = append(first, s.Problems...)
	if a.BadPosts > 0 {
		s.Problems = append(s.Problems, many(a.BadPosts, "post", "posts")+" that nobody understood")
	}
}

// addWebhooks counts endpoints that their owners did not switch off.
func (s *status) addWebhooks(g *store.WebhookGauges) {
	s.Webhooks = webhookLine{int(g.Active + g.Failing + g.Disabled), int(g.Failing), int(g.Disabled), int(g.Pending), int(g.Failed)}
	if n := s.Webhooks.Failing; n > 0 {
		s.Problems = append(s.Problems, many(n, "webhook endpoint fails", "webhook endpoints fail"))
	}
	if n := s.Webhooks.Disabled; n > 0 {
		s.Problems = append(s.Problems, many(n, "webhook endpoint is", "webhook endpoints are")+" switched off for failing")
	}
	if late := time.Duration(g.Oldest) * time.Second; late > webhooksLate {
		s.Problems = append(s.Problems, "webhooks are due since "+late.String()+" and nobody sends them")
	}
}

// webhooksLate is for how long a webhook may be due before something must be wrong.
const webhooksLate = 5 * time.Minute

// many writes a count with its word.
func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func (s *status) addStream(st *store.StreamStatus) {
	line := streamLine{
		Source: string(st.Key.Source), Stream: st.Key.Stream, CoveredThrough: when(st.CoveredThrough), LagSeconds: int(st.Lag.Seconds()),
		Holes: st.Holes, LastSuccess: when(st.LastSuccessAt), LastError: st.LastError,
		LastWalk: strings.TrimSpace(st.LastWalkKind + " " + st.LastWalkState), Warning: st.Warning, Sweep: sweepLine(st),
	}
	s.Streams = append(s.Streams, line)
	name := line.Source + "." + line.Stream
	switch {
	case st.LastError != "":
		s.Problems = append(s.Problems, name+" fails")
	case st.CoveredThrough.IsZero() && st.LastSuccessAt.IsZero():
		s.Problems = append(s.Problems, name+" has not been read yet")
	case s.lags(st):
		s.Problems = append(s.Problems, fmt.Sprintf("%s lags %s", name, st.Lag.Round(time.Second)))
	}
	if st.Warning != "" {
		s.Problems = append(s.Problems, name+": "+st.Warning)
	}
	if st.Holes > 0 {
		s.Problems = append(s.Problems, fmt.Sprintf("%s has %s", name, many(st.Holes, "hole", "holes")))
	}
}

// addLateness says of the stream that was added last how many of its changes the look-back covers.
func (s *status) addLateness(st *store.StreamStatus, late []store.Lateness, lookback time.Duration) {
	s.lookback = lookback
	line := &s.Streams[len(s.Streams)-1]
	for i := range late {
		if l := &late[i]; l.Org == st.Key.Org && l.Account == st.Key.Account && l.Source == st.Key.Source && l.Stream == st.Key.Stream {
			line.Changes, line.Covered = l.Changes(), l.Within(lookback)
		}
	}
}

// lags tells whether a stream is later than it should be. A list that is read whole is as old as its schedule makes it, so it is
// late when a slot of that has passed without a good end.
func (s *status) lags(st *store.StreamStatus) bool {
	if st.Capability != string(walk.Snapshot) {
		return st.Lag > lagAlarm
	}
	return !st.DueAt.IsZero() && s.now.Sub(st.DueAt) > lagAlarm
}

// sweepLine says how far the pass over a whole list is, and when the last one ended.
func sweepLine(st *store.StreamStatus) string {
	var parts []string
	if st.Sweep != nil {
		line := "waits"
		if !st.Sweep.StartedAt.IsZero() {
			line = fmt.Sprintf("%d rows since %s", st.Sweep.Rows, when(st.Sweep.StartedAt))
		}
		parts = append(parts, line)
	}
	if !st.SweptAt.IsZero() {
		parts = append(parts, fmt.Sprintf("last ended %s, %d rows", when(st.SweptAt), st.SweptRows))
	}
	return strings.Join(parts, "; ")
}

func (s *status) print(w io.Writer) error {
	if s.Well {
		fmt.Fprintln(w, "well")
	} else {
		fmt.Fprintln(w, "not well: "+strings.Join(s.Problems, "; "))
	}
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
			fmt.Fprintf(w, "\nof %d changes of %s.%s %.1f%% came within the look-back of %s\n", l.Changes, l.Source, l.Stream, 100*float64(l.Covered)/float64(l.Changes), s.lookback)
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
	fmt.Fprintln(w, s.Speed.text())
	rows = nil
	for _, l := range s.Deliveries {
		rows = append(rows, []string{l.Destination, l.Operation, l.State, orDash(l.Reason), fmt.Sprint(l.Count)})
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
	return section(w, []string{"GAP_IN", "CAMPAIGN", "KIND", "SINCE", "MISSING"}, rows)
}

// section prints a table after a blank line, and nothing where there are no rows.
func section(w io.Writer, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return table(w, head, rows)
}
