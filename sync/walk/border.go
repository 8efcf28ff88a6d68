package walk

import "time"

// warnRows is how many rows must have been seen before their times are judged.
const warnRows = 20

func (r *run) request(cursor string) PageRequest {
	return PageRequest{From: r.from, To: r.to, Filters: r.walk.Filters, Cursor: cursor, Lane: r.walk.Lane}
}

// border counts rows outside the bounds that were asked for. They are stored all the same, for they are true; but when most
// rows lie outside, the vendor ignores the filter, every walk reads the whole list, and somebody should know.
func (r *run) border(filterTime time.Time) {
	if r.to.IsZero() || filterTime.IsZero() {
		return
	}
	r.rows++
	if filterTime.Before(r.from) || filterTime.After(r.to.Add(time.Second)) {
		r.outside++
	}
	if !r.warned && r.rows >= warnRows && 2*r.outside > r.rows {
		r.warned = true
		r.log.Warn("most rows lie outside the window that was asked for; the vendor seems to ignore the time filter",
			"rows", r.rows, "outside", r.outside)
	}
}

// narrow lowers the window's end to limit. Rows are dated by the vendor's clock: if that is behind ours, what we take for
// settled has not happened there yet. The bounds asked for stay as they are, since a cursor belongs to its filters.
func (r *run) narrow(limit time.Time) {
	w := r.walk.Window
	if w == nil || limit.IsZero() || !limit.Before(w.To) {
		return
	}
	to := limit
	if !w.From.Before(to) {
		// An empty range cannot be told from none, so a sliver is left, which is not claimed as covered.
		to, r.empty = w.From.Add(time.Microsecond), true
	}
	r.narrowed = &Window{From: w.From, To: to}
	r.walk.Window = r.narrowed
}

// covers is the time that the whole walk has read, nil when it may claim none.
func (r *run) covers() *Window {
	if r.walk.Window == nil || r.empty || r.stream.Capability != Created || len(r.walk.Filters) > 0 {
		return nil
	}
	return r.walk.Window
}

// noteVendorTime remembers how far the vendor's clock is from ours.
func (r *run) noteVendorTime(asked, vendor time.Time) {
	if vendor.IsZero() {
		return
	}
	r.runner.mu.Lock()
	defer r.runner.mu.Unlock()
	if r.runner.skews == nil {
		r.runner.skews = map[clockKey]time.Duration{}
	}
	r.runner.skews[clockKey{r.walk.Org, r.walk.Account, r.walk.Source}] = vendor.Sub(asked.Truncate(time.Second))
}

// committed moves the run's own view of the walk along, which a restart and the next batch go by.
func (r *run) committed(b *Batch, c Committed) {
	r.walk.Cursor = b.Cursor
	r.walk.Pages += b.Pages
	if r.runner.Observe != nil {
		r.runner.Observe(r.walk, c, len(b.Bad))
	}
	if b.Done {
		r.log.Debug("walk is done", "pages", r.walk.Pages, "restarts", r.walk.Restarts)
	}
}
