package walk

import "time"

// Coverage is which time a stream has fully read.
type Coverage struct {
	// Origin is the lower end of the first live window, zero before there was one.
	Origin time.Time
	// Ranges are in order, without overlap.
	Ranges []Window
}

// Plan returns the next live window: from the end of the coverage, less the overlap, to now less the settle time; the first
// begins Stream.Start ago. vendorNow is the vendor's clock, zero when it is not known: the earlier of the two clocks counts,
// since rows are dated by the vendor's. It returns false when there is nothing to read, as while a clock that was put back
// catches up and there is no overlap.
//
// A window reaches over everything since the coverage ended, however long ago: missed ticks make one walk, not many.
func Plan(now, vendorNow time.Time, c Coverage, s *Stream) (Window, bool) {
	to := settled(now, vendorNow, s)
	if c.Origin.IsZero() || len(c.Ranges) == 0 {
		return window(now.Add(-s.Start), to)
	}
	// Coverage beyond `to` comes from a clock that was ahead. Reading on from `to` keeps the stream alive meanwhile.
	upper := earlier(c.Ranges[len(c.Ranges)-1].To, to)
	return window(upper.Add(-s.Overlap), to)
}

// Back returns the window of a re-scan that reaches span back.
func Back(now, vendorNow time.Time, span time.Duration, s *Stream) (Window, bool) {
	to := settled(now, vendorNow, s)
	return window(to.Add(-span), to)
}

// settled is the end of what can be read for good by now.
func settled(now, vendorNow time.Time, s *Stream) time.Time {
	if !vendorNow.IsZero() {
		now = earlier(now, vendorNow)
	}
	return now.Add(-s.Settle)
}

// window cuts to whole seconds, which is as fine as lists filter. The lower end moves down and the upper one too: a
// second that is not over yet belongs to the next window.
func window(from, to time.Time) (Window, bool) {
	w := Window{From: from.UTC().Truncate(time.Second), To: to.UTC().Truncate(time.Second)}
	return w, w.From.Before(w.To)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// bounds are a window's inclusive bounds in whole seconds, widened where they are finer.
func (w *Window) bounds() (from, to time.Time) {
	to = w.To.Truncate(time.Second)
	if to.Before(w.To) {
		to = to.Add(time.Second)
	}
	return w.From.Truncate(time.Second), to
}
