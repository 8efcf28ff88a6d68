package main

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
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
	// second counts what a second look found otherwise than we had it, budget is what each vendor's accounts may be asked.
	second *prometheus.CounterVec
	budget *prometheus.GaugeVec
	reads  *prometheus.CounterVec
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
	m.second = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trunkline_reconcile_mismatches_total",
		Help: "Rows that a second look (look-back, re-scan, sweep) found missing here or stale.",
	}, []string{"source", "stream", "kind"})
	m.budget = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "trunkline_vendor_budget_requests_per_second", Help: "Requests a second that a vendor's account may be asked; 0 = as many as we like.",
	}, []string{"vendor"})
	m.reads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trunkline_replica_reads_total", Help: "Reads of the API that might go to the replica; all but those served went to the primary, for this reason.",
	}, []string{"outcome"})
	d.metrics = m
	for _, c := range []prometheus.Collector{
		m.requests, m.took, m.rows, m.outcomes, m.webhooks, m.records, m.foldTook, m.speed, m.second, m.budget, m.reads, newReplicaCollector(d.replicaState),
		newStateCollector(d.db.DB, d.unmapped),
		driftCollector{d.db.DB, func() []store.StreamKey { return d.driftable(pipeline.SourceIPSCAPE) }},
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
	if w.Kind != walk.Lookback && w.Kind != walk.Rescan && w.Kind != walk.Sweep {
		return
	}
	for kind, n := range map[string]int{"missing": c.New, "stale": c.Changed} {
		m.second.WithLabelValues(string(w.Source), w.Stream, kind).Add(float64(n))
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
