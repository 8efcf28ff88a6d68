package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/store"
)

const (
	// scrapeEvery is for how long a reading is good.
	scrapeEvery = 10 * time.Second
	// seldom is the same for what takes a look at many rows.
	seldom = 5 * time.Minute
	// readPatience and seldomPatience end a reading: a scrape is given ten seconds as a rule.
	readPatience   = 3 * time.Second
	seldomPatience = 6 * time.Second
)

// stateCollector reads the state of streams, queues and deliveries from the database when it is scraped, at most every
// scrapeEvery.
type stateCollector struct {
	db *store.DB
	// codes lists the codes that no rule maps, which takes a look at a week's calls.
	codes func(context.Context) ([]store.UnmappedCode, error)
	descs stateDescs

	mu    sync.Mutex
	last  store.Gauges
	taken time.Time

	slow      store.SlowGauges
	unmapped  []store.UnmappedCode
	slowTaken time.Time
}

func newStateCollector(db *store.DB, codes func(context.Context) ([]store.UnmappedCode, error)) *stateCollector {
	return &stateCollector{db: db, codes: codes, descs: newStateDescs()}
}

// unmapped lists the codes that no rule maps.
func (d *daemon) unmapped(ctx context.Context) ([]store.UnmappedCode, error) {
	return d.fold.UnmappedCodes(ctx)
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. With the database away trunkline_database_up is 0 and the rest is not there.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := stateOut{ch, c.descs}
	if now := c.db.Now(); now.Sub(c.taken) > scrapeEvery {
		if err := c.read(now); err != nil {
			c.db.Log.Warn("reading the state for metrics failed", "error", err)
			out.gauge("trunkline_database_up", 0)
			return
		}
	}
	out.gauge("trunkline_database_up", 1)
	c.streams(out)
	c.deliveries(out)
	c.posts(out)
	c.webhooks(out)
	for _, a := range c.last.Accounts {
		out.gauge("trunkline_vendor_breaker_state", a.Closed, a.Vendor, "closed")
		out.gauge("trunkline_vendor_breaker_state", a.Paused, a.Vendor, "paused")
		out.gauge("trunkline_vendor_breaker_state", a.Denied, a.Vendor, "denied")
		out.gauge("trunkline_vendor_paused_seconds", a.PausedFor, a.Vendor)
	}
	for _, n := range c.last.Jobs {
		out.gauge("trunkline_jobs", n.Count, n.A, n.B)
	}
	for _, n := range c.last.Quarantine {
		out.gauge("trunkline_quarantine_open", n.Count, n.A, n.B)
	}
	for _, n := range c.last.Unknowns {
		out.gauge("trunkline_unknown_names", n.Names, n.Source, n.Stream, n.Kind)
		out.counter("trunkline_unknown_seen_total", n.Seen, n.Source, n.Stream, n.Kind)
	}
	out.gauge("trunkline_job_oldest_available_seconds", c.last.OldestJob)
	out.gauge("trunkline_daemons", c.last.Daemons)
	out.gauge("trunkline_attention_open", c.last.Notices)
	out.gauge("trunkline_erasure_kept_out", c.last.KeptOut)
	out.gauge("trunkline_erasures_unfinished", c.last.CutOff)
}

// read reads what is no longer good.
func (c *stateCollector) read(now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	g, err := c.db.Gauges(ctx)
	if err != nil {
		return err
	}
	c.last, c.taken = g, now
	if now.Sub(c.slowTaken) <= seldom {
		return nil
	}
	ctx, cancel = context.WithTimeout(context.Background(), seldomPatience)
	defer cancel()
	if slow, err := c.db.SlowGauges(ctx); err != nil {
		c.db.Log.Warn("reading the state for metrics failed in part", "error", err)
	} else {
		c.slow = slow
	}
	if codes, err := c.codes(ctx); err != nil {
		c.db.Log.Warn("reading the codes that no rule maps failed", "error", err)
	} else {
		c.unmapped = codes
	}
	c.slowTaken = now
	return nil
}

func (c *stateCollector) streams(out stateOut) {
	for i := range c.last.Streams {
		s := &c.last.Streams[i]
		if s.Lag != nil {
			out.gauge("trunkline_stream_lag_seconds", *s.Lag, s.Source, s.Stream)
		}
		if s.LastSuccess != nil {
			out.gauge("trunkline_stream_last_success_timestamp_seconds", *s.LastSuccess, s.Source, s.Stream)
		}
		if s.Overdue != nil {
			out.gauge("trunkline_stream_overdue_seconds", max(0, *s.Overdue), s.Source, s.Stream)
		}
		holes := s.Holes
		for _, g := range c.slow.Gaps {
			if g.Source == s.Source && s.Stream == "posts" {
				holes += g.Signs
			}
		}
		out.gauge("trunkline_stream_holes", holes, s.Source, s.Stream)
		out.gauge("trunkline_stream_failures", s.Failures, s.Source, s.Stream)
		out.gauge("trunkline_stream_vanished_refused", s.Distrusted, s.Source, s.Stream)
	}
}

func (c *stateCollector) deliveries(out stateOut) {
	type open struct{ unknown, due, optOuts, oldestOptOut float64 }
	by := map[string]*open{}
	for i := range c.last.Deliveries {
		d := &c.last.Deliveries[i]
		out.gauge("trunkline_deliveries", d.Count, d.Destination, d.State)
		o := by[d.Destination]
		if o == nil {
			o = &open{}
			by[d.Destination] = o
		}
		switch d.State {
		case "unknown":
			o.unknown = d.Oldest
		case "ready":
			o.due = d.Oldest
		}
		o.optOuts += d.OptOuts
		o.oldestOptOut = max(o.oldestOptOut, d.OldestOptOut)
	}
	for destination, o := range by {
		out.gauge("trunkline_delivery_unknown_oldest_seconds", o.unknown, destination)
		out.gauge("trunkline_delivery_due_oldest_seconds", o.due, destination)
		out.gauge("trunkline_dnc_obligations", o.optOuts, destination)
		out.gauge("trunkline_dnc_obligation_oldest_seconds", o.oldestOptOut, destination)
	}
	for _, n := range c.slow.Stopped {
		out.counter("trunkline_dnc_suppressed_total", n.Count, n.A, n.B)
	}
	out.gauge("trunkline_dnc_phones", c.slow.OptedOut)
}

func (c *stateCollector) posts(out stateOut) {
	out.gauge("trunkline_inbox_backlog", c.last.Inbox)
	out.gauge("trunkline_inbox_oldest_seconds", c.last.InboxOldest)
	out.gauge("trunkline_inbox_bad", c.last.Unclassified, "unclassified")
	out.gauge("trunkline_inbox_bad", c.last.Unparsable, "unparsable")
	out.gauge("trunkline_inbox_bad", c.last.Stuck, "quarantined")
	out.gauge("trunkline_reconcile_backlog", c.last.Unfolded)
	out.gauge("trunkline_reconcile_oldest_seconds", c.last.UnfoldedOldest)
	for _, g := range c.slow.Gaps {
		out.gauge("trunkline_gaps_missing", g.Missing, g.Source, g.Kind)
	}
	codes, calls := map[string]float64{}, map[string]float64{}
	for _, u := range c.unmapped {
		source := boundedReason(u.Source)
		codes[source]++
		calls[source] += float64(u.Calls)
	}
	for source, n := range codes {
		out.gauge("trunkline_dispositions_unmapped", n, source)
		out.gauge("trunkline_dispositions_unmapped_calls", calls[source], source)
	}
}

func (c *stateCollector) webhooks(out stateOut) {
	w := &c.last.Webhooks
	for state, n := range map[store.WebhookState]float64{
		store.WebhookActive: w.Active, store.WebhookFailing: w.Failing, store.WebhookInactive: w.Inactive, store.WebhookDisabled: w.Disabled,
	} {
		out.gauge("trunkline_webhook_endpoints", n, string(state))
	}
	out.gauge("trunkline_webhook_deliveries", w.Pending, "pending")
	out.gauge("trunkline_webhook_deliveries", w.Failed, "failed")
	out.gauge("trunkline_webhook_oldest_due_seconds", w.Oldest)
}
