package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// overview is what an operator looks at all day.
type overview struct {
	layout
	*status.Status
	Tiles   []tile
	Axis    axis
	Lines   []streamLine
	Matrix  table
	Reasons table
	// MoreReasons tells that there are more of them.
	MoreReasons bool
	Open        []openBackfill
	Shapes      table
	Histogram   []bucket
	SpeedText   []fact
	Pace        pace
	GapRows     table
	Owed        table
	JobMatrix   table
	Backlogs    []tile
	LookbackIn  string
	DriftRows   table
}

// tile is one figure with what it means.
type tile struct {
	Name, Value, Link, Note string
	Class                   string
}

type streamLine struct {
	status.Stream
	Name, Page string
	// Account is empty for the default one.
	Account string
	Through time.Time
	Lag     string
	Success time.Time
	Drawing line
	Share   string
	// Whole lists have no coverage by time.
	Whole bool
}

type openBackfill struct {
	store.Backfill
	Page, Text, Left, Pace string
	Ended                  int
}

func (s *Site) overview(w http.ResponseWriter, r *http.Request) error {
	st, err := s.status(r.Context())
	if err != nil {
		return err
	}
	v := overview{layout: s.layout(r, "Status", "overview"), Status: st, Axis: axisOf(st.Streams, st.At)}
	v.Read = st.At
	for i := range st.Streams {
		v.Lines = append(v.Lines, v.streamLine(i, &st.Streams[i]))
	}
	v.deliveries(st)
	for i := range st.Backfills {
		v.Open = append(v.Open, openBackfillOf(&st.Backfills[i]))
	}
	v.Histogram = bucketsOf(&st.Speed)
	for _, step := range []struct {
		name string
		s    *float64
	}{{"ready", st.Speed.Ready}, {"sent", st.Speed.Sent}, {"accepted", st.Speed.Accepted}, {"dialled", st.Speed.Dialled}, {"answered", st.Speed.Answered}} {
		if step.s != nil {
			v.SpeedText = append(v.SpeedText, fact{step.name, text(span(time.Duration(*step.s * float64(time.Second))))})
		}
	}
	v.Pace = paceOf(st.Posts, st.At)
	v.DriftRows = driftTable(st.Drift)
	v.quarantine(st)
	v.gaps(st)
	v.queues(st)
	v.tiles(st)
	return s.render(w, http.StatusOK, "overview", v)
}

func (v *overview) streamLine(i int, st *status.Stream) streamLine {
	l := streamLine{
		Stream: *st, Name: st.Source + "." + st.Stream, Page: status.StreamPage(st.State.Key), Through: st.State.CoveredThrough, Success: st.State.LastSuccessAt,
		Drawing: v.Axis.line(i, st), Whole: st.State.Capability == string(walk.Snapshot),
	}
	if st.State.Key.Account != store.DefaultAccount {
		l.Account = st.State.Key.Account
	}
	if st.State.Lag > 0 {
		l.Lag = span(st.State.Lag)
	}
	l.Share = st.ChangesText(v.Lookback)
	return l
}

// deliveries lays the counts out by destination and state, and lists what needs a look with its reasons.
func (v *overview) deliveries(st *status.Status) {
	v.Matrix = table{
		Caption: "Deliveries by state: all that are open, and those of the last 24 hours that have ended", Empty: "Nothing is open, and nothing was sent in the last 24 hours.",
		Cols: append(cols("To", "Operation"), cols("#unknown", "#sending", "#ready", "#rejected", "#expired", "#cancelled", "#confirmed")...),
	}
	v.Owed = table{
		Caption: "Opt-outs that a dialler has not confirmed yet", Empty: "Every opt-out is confirmed by its diallers.", Cols: cols("Dialler", "State", "~Why", "#Opt-outs", "Oldest"), Plain: true,
	}
	v.Reasons = table{Caption: "Why they are not confirmed", Cols: cols("State", "To", "Operation", "~Why", "#Deliveries", "Oldest")}
	var why []status.Delivery
	for _, d := range st.Deliveries {
		if n := len(v.Matrix.Rows); n == 0 || v.Matrix.Rows[n-1][0].Text != d.Destination || v.Matrix.Rows[n-1][1].Text != d.Operation {
			row := []cell{{Text: d.Destination, Link: deliveriesPath("", d.Destination, "", "")}, {Text: d.Operation, Link: deliveriesPath("", d.Destination, d.Operation, "")}}
			v.Matrix.Rows = append(v.Matrix.Rows, append(row, noughts(len(deliveryStates))...))
		}
		v.addCount(d)
		if d.Why() != "" && d.State != string(pipeline.DeliveryConfirmed) {
			why = append(why, d)
		}
		if d.Operation == pipeline.OperationAddDNC && slices.Contains(openStates, d.State) {
			v.Owed.Rows = append(v.Owed.Rows, []cell{
				text(d.Destination), stateCell(d.State), text(d.Why()), {
					Text: number(int64(d.Count)), Link: deliveriesPath(d.State, d.Destination, d.Operation, d.Why()), Label: status.Many(d.Count, "opt-out", "opt-outs"),
				}, at(d.Oldest),
			})
		}
	}
	slices.SortStableFunc(why, func(a, b status.Delivery) int {
		return cmp.Or(cmp.Compare(slices.Index(deliveryStates, a.State), slices.Index(deliveryStates, b.State)), cmp.Compare(b.Count, a.Count))
	})
	if len(why) > reasonsShown {
		why, v.MoreReasons = why[:reasonsShown], true
	}
	for _, d := range why {
		v.Reasons.Rows = append(v.Reasons.Rows, []cell{
			stateCell(d.State), text(d.Destination), text(d.Operation), text(d.WhyText()), {
				Text: number(int64(d.Count)), Link: deliveriesPath(d.State, d.Destination, d.Operation, d.Why()),
				Label: fmt.Sprintf("%s to %s %s, %s", status.Many(d.Count, "delivery", "deliveries"), d.Destination, d.State, d.Why()),
			}, at(d.Oldest),
		})
	}
}

// reasonsShown is how many reasons the overview has.
const reasonsShown = 10

// addCount adds deliveries to their place in the last row of the matrix.
func (v *overview) addCount(d status.Delivery) {
	row := v.Matrix.Rows[len(v.Matrix.Rows)-1]
	i := slices.Index(deliveryStates, d.State)
	if i < 0 {
		return
	}
	c := &row[2+i]
	n := d.Count + parseCount(c.Text)
	*c = cell{
		Text: number(int64(n)), Link: deliveriesPath(d.State, d.Destination, d.Operation, ""),
		Label: fmt.Sprintf("%s to %s (%s) %s", status.Many(n, "delivery", "deliveries"), d.Destination, d.Operation, d.State),
	}
	if d.State == "unknown" {
		c.Class = "bad"
	}
}

// noughts are cells of a matrix in which nothing is counted.
func noughts(n int) []cell {
	list := make([]cell, n)
	for i := range list {
		list[i] = cell{Text: "0", Class: "soft none"}
	}
	return list
}

// parseCount reads back what number wrote; nothing is zero.
func parseCount(text string) int {
	n := 0
	for _, r := range text {
		if r >= '0' && r <= '9' {
			n = n*10 + int(r-'0')
		}
	}
	return n
}

func openBackfillOf(b *store.Backfill) openBackfill {
	p := &b.Progress
	return openBackfill{
		Backfill: *b, Page: "/ui/backfills/" + b.ID.String(), Left: timeLeft(p), Ended: p.Done + p.Failed + p.Cancelled,
		Text: string(b.Source) + " " + strings.Join(b.Streams, ", ") + ", " + b.Range.From.Format(time.DateOnly) + " to " + b.Range.To.Format(time.DateOnly),
		Pace: fmt.Sprintf("%s, %.0f rows/s", many(p.Rows, "row", "rows"), p.RowsPerSecond),
	}
}

// shapesShown is how many kinds of quarantined items the overview has.
const shapesShown = 8

func (v *overview) quarantine(st *status.Status) {
	v.Shapes = table{Caption: "Open items in quarantine by what is wrong with them", Empty: "Nothing is in quarantine.", Cols: cols("From", "~Reason", "~Error", "#Items", "Last")}
	for _, g := range st.Shapes[:min(len(st.Shapes), shapesShown)] {
		v.Shapes.Rows = append(v.Shapes.Rows, []cell{
			text(g.Source + "." + g.Stream), text(g.Reason), text(g.Error),
			{Text: number(int64(g.Items)), Link: "/ui/quarantine/" + g.Example, Label: status.Many(g.Items, "item", "items") + " like this one"},
			at(g.Last),
		})
	}
}

func (v *overview) gaps(st *status.Status) {
	v.GapRows = table{Caption: "Signs of lost posts", Cols: cols("~Campaign", "Sign", "Since", "#Missing")}
	for _, g := range st.Gaps {
		campaign := g.Campaign
		if campaign == "" {
			campaign = "no campaign named"
		}
		since, _ := time.Parse(time.RFC3339, g.Since)
		v.GapRows.Rows = append(v.GapRows.Rows, []cell{
			text(campaign), text(gapSigns[g.Kind]), at(since), {Text: number(int64(g.Missing)), Link: inboxPath("", g.Source), Label: number(int64(g.Missing)) + " missing; posts of " + g.Source},
		})
	}
}

var gapSigns = map[string]string{
	store.GapQuietHour: "an hour without posts that usually has some", store.GapNoDisposition: "calls that began and have no disposition",
}

func (v *overview) queues(st *status.Status) {
	v.JobMatrix = table{Caption: "Jobs that are not completed", Empty: "No job waits.", Cols: append(cols("Job"), cols("#running", "#available", "#scheduled", "#retryable", "#pending", "#discarded", "#cancelled")...)}
	for _, q := range st.Queues {
		n := len(v.JobMatrix.Rows)
		if n == 0 || v.JobMatrix.Rows[n-1][0].Text != q.Kind {
			v.JobMatrix.Rows = append(v.JobMatrix.Rows, append([]cell{{Text: q.Kind, Link: jobsPath(q.Kind, "")}}, noughts(len(jobStates))...))
			n++
		}
		if i := slices.Index(jobStates, q.State); i >= 0 {
			v.JobMatrix.Rows[n-1][1+i] = cell{Text: number(int64(q.Count)), Link: jobsPath(q.Kind, q.State), Label: status.Many(q.Count, "job", "jobs") + " of kind " + q.Kind + " " + q.State}
		}
	}
	v.Backlogs = []tile{
		{Name: "posts waiting", Value: number(int64(st.Inbox)), Link: inboxPath("new", "")},
		{Name: "records waiting", Value: number(int64(st.Unfolded)), Link: jobsPath("reconcile", "")},
	}
	if st.Webhooks.Endpoints > 0 {
		v.Backlogs = append(v.Backlogs, tile{Name: "webhooks waiting", Value: number(int64(st.Webhooks.Pending)), Link: webhooksPath("pending", "")},
			tile{Name: "webhooks given up", Value: number(int64(st.Webhooks.Failed)), Link: webhooksPath("failed", "")})
	}
}

// tiles are the figures at the top: what is asked most.
func (v *overview) tiles(st *status.Status) {
	figure := func(name string, n int, link, class string) tile {
		t := tile{Name: name, Value: number(int64(n)), Link: link}
		if n > 0 {
			t.Class = class
		}
		return t
	}
	delay := tile{Name: "live lag", Value: "none yet", Link: "#streams"}
	var worst time.Duration
	for i := range st.Streams {
		if s := st.Streams[i].State; s.Capability == "created" && s.Lag > worst {
			worst = s.Lag
			delay.Value, delay.Note = span(worst), v.Lines[i].Name
			if delay.Class = ""; st.Streams[i].Late {
				delay.Class = "bad"
			}
		}
	}
	unknown := 0
	for _, d := range st.Deliveries {
		if d.State == "unknown" {
			unknown += d.Count
		}
	}
	posts := 0
	for i := range v.Pace.Sources {
		posts += v.Pace.Sources[i].Hour
	}
	daemons := tile{Name: "daemons", Value: number(int64(st.Daemons)), Note: "running"}
	if st.Daemons == 0 {
		daemons.Class = "bad"
	}
	v.Tiles = []tile{
		delay,
		figure("unknown deliveries", unknown, deliveriesPath("unknown", "", "", ""), "bad"),
		figure("opt-outs owed", st.Obligations, deliveriesPath("open", "", pipeline.OperationAddDNC, ""), "warn"),
		figure("in quarantine", st.Quarantine, "/ui/quarantine", "bad"),
		figure("posts not understood", st.BadPosts, inboxPath("bad", ""), "bad"),
		{Name: "posts, last hour", Value: number(int64(posts)), Link: "#posts"},
		figure("leads pushed, 24\u00a0h", st.Speed.Leads, "/ui/speed", ""),
		daemons,
	}
}
