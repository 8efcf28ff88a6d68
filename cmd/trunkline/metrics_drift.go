package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/store"
)

// driftCollector tells what the latest look at each stream found.
type driftCollector struct {
	db *store.DB
	// keys are the streams of this daemon that can be looked at.
	keys func() []store.StreamKey
}

var (
	driftDesc         = prometheus.NewDesc("trunkline_drift_objects", "Objects of the latest sample with which something is wrong, by kind.", []string{"source", "stream", "kind"}, nil)
	driftComparedDesc = prometheus.NewDesc("trunkline_drift_compared", "Stored objects of the latest sample.", []string{"source", "stream"}, nil)
	driftOverdueDesc  = prometheus.NewDesc("trunkline_drift_overdue_seconds", "For how much longer than two steps of its schedule nothing was compared.", []string{"source", "stream"}, nil)
	driftCheckedDesc  = prometheus.NewDesc("trunkline_drift_last_check_timestamp_seconds", "When the latest sample was taken.", []string{"source", "stream"}, nil)
)

// Describe implements prometheus.Collector.
func (driftCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- driftDesc
	ch <- driftComparedDesc
	ch <- driftCheckedDesc
	ch <- driftOverdueDesc
}

// Collect implements prometheus.Collector. Accounts of several organisations are added up; the oldest of their samples counts.
func (c driftCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	list, err := c.db.DriftLatest(ctx, c.db.Pool)
	if err != nil {
		c.db.Log.Warn("reading drift for metrics failed", "error", err)
		return
	}
	late, err := c.db.DriftOverdue(ctx, c.db.Pool, c.keys())
	if err != nil {
		c.db.Log.Warn("reading how late looks for drift are for metrics failed", "error", err)
	}
	told := map[string]bool{}
	for _, l := range late {
		// Several accounts have one schedule.
		if name := l.Source + "." + l.Stream; !told[name] {
			told[name] = true
			ch <- prometheus.MustNewConstMetric(driftOverdueDesc, prometheus.GaugeValue, max(0, l.Overdue), l.Source, l.Stream)
		}
	}
	type stream struct{ source, stream string }
	sums := map[stream]store.DriftState{}
	for _, d := range list {
		at := stream{d.Source, d.Stream}
		sum, had := sums[at]
		if !had || d.CheckedAt.Before(sum.CheckedAt) {
			sum.CheckedAt = d.CheckedAt
		}
		sum.Compared += d.Compared
		sum.Missing += d.Missing
		sum.Extra += d.Extra
		sum.Stale += d.Stale
		sum.MappedWrong += d.MappedWrong
		sums[at] = sum
	}
	for at, d := range sums {
		gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, append([]string{at.source, at.stream}, labels...)...)
		}
		gauge(driftComparedDesc, float64(d.Compared))
		gauge(driftCheckedDesc, float64(d.CheckedAt.Unix()))
		gauge(driftDesc, float64(d.Missing), store.DriftMissing)
		gauge(driftDesc, float64(d.Extra), store.DriftExtra)
		gauge(driftDesc, float64(d.Stale), store.DriftStale)
		gauge(driftDesc, float64(d.MappedWrong), store.DriftMapped)
	}
}
