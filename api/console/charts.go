package console

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

// wide is the width of drawings in their own units. They are stretched to the room there is, so they hold no text.
const wide = 1000.0

// mark is a part of a time line, in units of its width.
type mark struct {
	X, Width float64
	Title    string
}

// line is the time line of a stream: what is covered, and the holes.
type line struct {
	ID             string
	Covered, Holes []mark
	Title, Text    string
}

// axis is the time that all lines of the page show.
type axis struct{ From, To time.Time }

// lineSpan is how much time the lines show at least; more when there is an older hole.
const lineSpan = 7 * 24 * time.Hour

// axisOf reaches back far enough for every hole, and no further than anything was read.
func axisOf(streams []status.Stream, now time.Time) axis {
	a := axis{now.Add(-lineSpan), now}
	first := now.Add(-time.Hour)
	for i := range streams {
		st := streams[i].State
		if len(st.Covered) > 0 && st.Covered[0].From.Before(first) {
			first = st.Covered[0].From
		}
		if holes := holesOf(st); len(holes) > 0 && holes[0].From.Before(a.From) {
			a.From = holes[0].From.Add(-holes[0].To.Sub(holes[0].From))
		}
	}
	if first.After(a.From) {
		a.From = first
	}
	return a
}

// at places a time, cut to the axis.
func (a axis) at(t time.Time) float64 {
	share := float64(t.Sub(a.From)) / float64(a.To.Sub(a.From))
	return math.Round(min(max(share, 0), 1)*wide*10) / 10
}

// holesOf are the gaps of a coverage above its origin.
func holesOf(st *store.StreamStatus) []store.TimeRange {
	var holes []store.TimeRange
	for i := 1; i < len(st.Covered); i++ {
		if hole := (store.TimeRange{From: st.Covered[i-1].To, To: st.Covered[i].From}); !st.Origin.IsZero() && !hole.From.Before(st.Origin) {
			holes = append(holes, hole)
		}
	}
	return holes
}

// thinnest is the least width at which a mark can be seen.
const thinnest = 4.0

// most is how many marks a drawing has at most: what is more would be lines beside lines.
const most = 200

func (a axis) line(i int, st *status.Stream) line {
	name := st.Source + "." + st.Stream
	l := line{ID: "line-" + strconv.Itoa(i), Title: "Coverage of " + name}
	for _, r := range slices.Backward(st.State.Covered) { // the newest first: what is left out is old
		if from, to := a.at(r.From), a.at(r.To); to > from && len(l.Covered) < most {
			l.Covered = append(l.Covered, mark{X: from, Width: to - from})
		}
	}
	holes := holesOf(st.State)
	for _, h := range slices.Backward(holes) {
		if len(l.Holes) < most {
			from, to := a.at(h.From), a.at(h.To)
			l.Holes = append(l.Holes, mark{min(from, wide-thinnest), max(to-from, thinnest), "Hole of " + span(h.To.Sub(h.From)) + " from " + stamp(h.From)})
		}
	}
	switch {
	case len(st.State.Covered) == 0:
		l.Text = "Nothing is covered yet."
	case st.State.CoveredThrough.IsZero():
		l.Text = "Covered from " + stamp(st.State.Covered[0].From) + " by backfills; it was not read live yet."
	case len(holes) == 0:
		l.Text = "Covered from " + stamp(st.State.Covered[0].From) + " through " + stamp(st.State.CoveredThrough) + " without a hole."
	default:
		l.Text = fmt.Sprintf("Covered from %s through %s; %s above.", stamp(st.State.Covered[0].From), stamp(st.State.CoveredThrough), status.Many(len(holes), "hole", "holes"))
	}
	return l
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// bar is a part of a column of a drawing, from Y downwards.
type bar struct {
	X, Y, Width, Height float64
	Series              int
}

// pace is posts by minute, a column each, sources on top of each other.
type pace struct {
	Bars        []bar
	Sources     []paceSource
	Most        int
	Title, Text string
	From, To    time.Time
}

type paceSource struct {
	Name             string
	Series           int
	Last, Hour, Bad  int
	Link, BadLink    string
	LastLabel, Label string
}

// tall is the height of the drawing of posts.
const tall = 100.0

// minutes is how many columns it has.
const minutes = 60

func paceOf(posts []status.PostMinute, now time.Time) pace {
	to := now.Truncate(time.Minute)
	from := to.Add(-(minutes - 1) * time.Minute)
	p := pace{From: from, To: to}
	var sums [minutes]int
	index := map[string]int{}
	for _, m := range posts {
		column := int(m.Minute.Sub(from) / time.Minute)
		if column < 0 || column >= minutes {
			continue
		}
		if _, known := index[m.Source]; !known {
			index[m.Source] = len(p.Sources)
			p.Sources = append(p.Sources, paceSource{
				Name: m.Source, Series: len(p.Sources) % 3, Link: inboxPath("", m.Source), BadLink: inboxPath("bad", m.Source),
			})
		}
		src := &p.Sources[index[m.Source]]
		src.Hour += m.Posts
		src.Bad += m.Bad
		if column == minutes-1 {
			src.Last = m.Posts
		}
		sums[column] += m.Posts
		p.Most = max(p.Most, sums[column])
	}
	var tops [minutes]int
	total := 0
	for _, m := range posts { // by source, then minute: the order of the pile
		column := int(m.Minute.Sub(from) / time.Minute)
		if column < 0 || column >= minutes {
			continue
		}
		height := float64(m.Posts) / float64(p.Most) * tall
		tops[column] += m.Posts
		total += m.Posts
		p.Bars = append(p.Bars, bar{
			X: float64(column)*wide/minutes + 1.5, Width: wide/minutes - 3, Series: p.Sources[index[m.Source]].Series,
			Y: math.Round((tall-float64(tops[column])/float64(p.Most)*tall)*10) / 10, Height: math.Round(height*10) / 10,
		})
	}
	p.Title = "Posts by minute over the last hour"
	p.Text = fmt.Sprintf("%s in all, at most %s in a minute.", status.Many(total, "post", "posts"), number(int64(p.Most)))
	return p
}

// beyond is longer than anything that is measured, in seconds.
const beyond = 1e12

// bucket is a line of the histogram of speed to lead.
type bucket struct {
	Name          string
	Sent, Dialled bucketPart
}

type bucketPart struct {
	Leads       int
	Width       float64
	Link, Label string
}

func bucketsOf(sp *status.Speed) []bucket {
	bounds := store.SpeedBounds()
	most := 1
	for i := range sp.SentIn {
		most = max(most, sp.SentIn[i], sp.DialledIn[i])
	}
	var list []bucket
	for i := range sp.SentIn {
		from, to := 0.0, beyond
		if i > 0 {
			from = bounds[i-1]
		}
		if i < len(bounds) {
			to = bounds[i]
		}
		part := func(step string, leads int) bucketPart {
			v := url.Values{"step": {step}}
			if i > 0 { // the first also has what a source's clock puts before the lead itself
				v.Set("from", fmt.Sprint(from))
			}
			if to < beyond {
				v.Set("to", fmt.Sprint(to))
			}
			return bucketPart{
				leads, math.Round(float64(leads)/float64(most)*1000) / 10, "/ui/speed?" + v.Encode(),
				status.Many(leads, "lead", "leads") + " " + step + " " + bucketName(from, to),
			}
		}
		list = append(list, bucket{bucketName(from, to), part("sent", sp.SentIn[i]), part("dialled", sp.DialledIn[i])})
	}
	return list
}

func bucketName(from, to float64) string {
	name := func(s float64) string { return span(time.Duration(s) * time.Second) }
	switch {
	case to >= beyond:
		return "after " + name(from) + " or more"
	case from <= 0:
		return "within " + name(to)
	}
	return name(from) + " to " + name(to)
}

func seconds(s *int64) cell {
	if s == nil {
		return cell{}
	}
	return text(span(time.Duration(*s) * time.Second))
}
