package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// metrics are the daemon's own series. Labels hold names from the program's tables only: never a phone, a lead, a URL or
// a message.
type metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	outcomes *prometheus.CounterVec
	webhooks *prometheus.CounterVec
	records  prometheus.Counter
	foldTook prometheus.Histogram
	speed    *prometheus.HistogramVec
}

func (d *daemon) buildMetrics(context.Context) error {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_vendor_requests_total", Help: "Requests to vendors, by what the answer meant.",
		}, []string{"vendor", "op", "code_class", "kind"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trunkline_vendor_request_duration_seconds", Help: "Time until a vendor's answer began.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"vendor", "op"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_stream_rows_total", Help: "Rows read from streams, by what became of them.",
		}, []string{"source", "stream", "result"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_delivery_outcomes_total", Help: "Steps of deliveries, by the state they led to.",
		}, []string{"destination", "operation", "state", "reason"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_webhook_attempts_total", Help: "Requests to webhook endpoints, by event and by what they came to.",
		}, []string{"event", "outcome"}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trunkline_records_folded_total", Help: "Records folded into the pipeline.",
		}),
		foldTook: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trunkline_fold_duration_seconds", Help: "Time of one batch of the fold.",
			Buckets: prometheus.ExponentialBuckets(.005, 2, 12),
		}),
	}
	m.speed = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "trunkline_speed_to_lead_seconds", Help: "Time from a pushed lead's creation at its source to each step: ready, sent, accepted, dialled, answered.",
		Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 900, 3600, 4 * 3600, 24 * 3600},
	}, []string{"destination", "step"})
	d.metrics = m
	for _, c := range []prometheus.Collector{
		m.requests, m.took, m.rows, m.outcomes, m.webhooks, m.records, m.foldTook, m.speed, newStateCollector(d.db.DB, d.unmapped),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := d.registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) requested(vendor, op string, status int, kind vendorapi.Kind, took time.Duration) {
	class := "none"
	if status > 0 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(vendor, op, class, kind.String()).Inc()
	m.took.WithLabelValues(vendor, op).Observe(took.Seconds())
}

func (m *metrics) sped(destination, step string, took time.Duration) {
	m.speed.WithLabelValues(destination, step).Observe(took.Seconds())
}

func (m *metrics) walked(w walk.Walk, c walk.Committed, bad int) {
	for result, n := range map[string]int{"new": c.New, "changed": c.Changed, "unchanged": c.Unchanged, "older": c.Older, "quarantined": bad} {
		if n > 0 {
			m.rows.WithLabelValues(string(w.Source), w.Stream, result).Add(float64(n))
		}
	}
}

func (m *metrics) delivered(destination, operation, state, reason string) {
	m.outcomes.WithLabelValues(destination, operation, state, boundedReason(reason)).Inc()
}

// boundedReason keeps the number of series small: reasons are short words of the program or of a vendor's package, and
// what is not is counted together.
func boundedReason(reason string) string {
	if len(reason) > 40 {
		return "other"
	}
	for _, r := range reason {
		if (r < 'a' || r > 'z') && r != '_' {
			return "other"
		}
	}
	return reason
}

func (m *metrics) folded(records, _, _ int, took time.Duration) {
	m.records.Add(float64(records))
	m.foldTook.Observe(took.Seconds())
}

// stateCollector reads the state of streams, queues and deliveries from the database when it is scraped, at most every
// ten seconds.
type stateCollector struct {
	db *store.DB
	// codes lists the codes that no rule maps, which takes a look at a week's calls.
	codes func(context.Context) ([]store.UnmappedCode, error)

	mu    sync.Mutex
	last  store.Gauges
	taken time.Time

	unmapped   []store.UnmappedCode
	codesTaken time.Time
}

var (
	lagDesc      = prometheus.NewDesc("trunkline_stream_lag_seconds", "Age of the time through which a stream is covered.", []string{"source", "stream"}, nil)
	successDesc  = prometheus.NewDesc("trunkline_stream_last_success_timestamp_seconds", "When a walk of the stream last ended well.", []string{"source", "stream"}, nil)
	holesDesc    = prometheus.NewDesc("trunkline_stream_holes", "Gaps in a stream's coverage.", []string{"source", "stream"}, nil)
	jobsDesc     = prometheus.NewDesc("trunkline_jobs", "Jobs by kind and state.", []string{"kind", "state"}, nil)
	oldestDesc   = prometheus.NewDesc("trunkline_job_oldest_available_seconds", "Age of the oldest job that waits for a worker.", nil, nil)
	stateDesc    = prometheus.NewDesc("trunkline_deliveries", "Deliveries by destination and state.", []string{"destination", "state"}, nil)
	inboxDesc    = prometheus.NewDesc("trunkline_inbox_backlog", "Posts that nobody has read yet.", nil, nil)
	unfoldedDesc = prometheus.NewDesc("trunkline_reconcile_backlog", "Records that wait to be folded.", nil, nil)
	badDesc      = prometheus.NewDesc("trunkline_quarantine_open", "Open items in quarantine.", []string{"source", "stream"}, nil)
	gapsDesc     = prometheus.NewDesc("trunkline_gaps_missing", "Posts that seem to be lost: what an hour without any usually has, or calls without a disposition.", []string{"source", "kind"}, nil)
	dncDesc      = prometheus.NewDesc("trunkline_dnc_suppressed", "Phones on the do-not-call list.", nil, nil)

	codesDesc     = prometheus.NewDesc("trunkline_dispositions_unmapped", "Codes of the last week's calls that no rule maps.", []string{"source"}, nil)
	codeCallsDesc = prometheus.NewDesc("trunkline_dispositions_unmapped_calls", "Calls of the last week whose code no rule maps.", []string{"source"}, nil)
	keptOutDesc   = prometheus.NewDesc("trunkline_erasure_kept_out", "Records that named an erased person and were not kept.", nil, nil)
	cutOffDesc    = prometheus.NewDesc("trunkline_erasures_unfinished", "Erasures that were cut off and wait to be ordered again.", nil, nil)

	endpointsDesc  = prometheus.NewDesc("trunkline_webhook_endpoints", "Webhook endpoints by state.", []string{"state"}, nil)
	webhooksDesc   = prometheus.NewDesc("trunkline_webhook_deliveries", "Webhooks that have not arrived, by state.", []string{"state"}, nil)
	webhookAgeDesc = prometheus.NewDesc("trunkline_webhook_oldest_due_seconds", "For how long the webhook that waits longest has been due.", nil, nil)
)

func newStateCollector(db *store.DB, codes func(context.Context) ([]store.UnmappedCode, error)) *stateCollector {
	return &stateCollector{db: db, codes: codes}
}

// unmapped lists the codes that no rule maps.
func (d *daemon) unmapped(ctx context.Context) ([]store.UnmappedCode, error) {
	return d.fold.UnmappedCodes(ctx)
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		lagDesc, successDesc, holesDesc, jobsDesc, oldestDesc, stateDesc, inboxDesc, unfoldedDesc, badDesc, dncDesc, gapsDesc, endpointsDesc, webhooksDesc,
		webhookAgeDesc, codesDesc, codeCallsDesc, keptOutDesc, cutOffDesc,
	} {
		ch <- d
	}
}

const (
	scrapeEvery = 10 * time.Second
	codesEvery  = 5 * time.Minute
)

// Collect implements prometheus.Collector. With the database away the last state is shown no more.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.db.Now(); now.Sub(c.taken) > scrapeEvery {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		g, err := c.db.Gauges(ctx)
		if err != nil {
			c.db.Log.Warn("reading the state for metrics failed", "error", err)
			return
		}
		c.last, c.taken = g, now
		if now.Sub(c.codesTaken) > codesEvery {
			if c.unmapped, err = c.codes(ctx); err != nil {
				c.db.Log.Warn("reading the codes that no rule maps failed", "error", err)
			}
			c.codesTaken = now
		}
	}
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.last.Streams {
		if s.Lag != nil {
			gauge(lagDesc, *s.Lag, s.Source, s.Stream)
		}
		if s.LastSuccess != nil {
			gauge(successDesc, *s.LastSuccess, s.Source, s.Stream)
		}
		gauge(holesDesc, s.Holes, s.Source, s.Stream)
	}
	for _, n := range c.last.Jobs {
		gauge(jobsDesc, n.Count, n.A, n.B)
	}
	for _, n := range c.last.Deliveries {
		gauge(stateDesc, n.Count, n.A, n.B)
	}
	for _, n := range c.last.Quarantine {
		gauge(badDesc, n.Count, n.A, n.B)
	}
	for _, n := range c.last.Gaps {
		gauge(gapsDesc, n.Count, n.A, n.B)
	}
	codes, calls := map[string]float64{}, map[string]float64{}
	for _, u := range c.unmapped {
		source := boundedReason(u.Source)
		codes[source]++
		calls[source] += float64(u.Calls)
	}
	for source, n := range codes {
		gauge(codesDesc, n, source)
		gauge(codeCallsDesc, calls[source], source)
	}
	gauge(keptOutDesc, c.last.KeptOut)
	gauge(cutOffDesc, c.last.CutOff)
	gauge(oldestDesc, c.last.OldestJob)
	gauge(inboxDesc, c.last.Inbox)
	gauge(unfoldedDesc, c.last.Unfolded)
	gauge(dncDesc, c.last.DNC)
	w := &c.last.Webhooks
	for state, n := range map[store.WebhookState]float64{
		store.WebhookActive: w.Active, store.WebhookFailing: w.Failing, store.WebhookInactive: w.Inactive, store.WebhookDisabled: w.Disabled,
	} {
		gauge(endpointsDesc, n, string(state))
	}
	gauge(webhooksDesc, w.Pending, "pending")
	gauge(webhooksDesc, w.Failed, "failed")
	gauge(webhookAgeDesc, w.Oldest)
}
