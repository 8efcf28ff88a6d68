package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/store"
)

// replicaCollector tells how the replica stands. Without one it tells nothing.
type replicaCollector struct {
	state   func() (store.ReplicaState, bool)
	up, lag *prometheus.Desc
}

func newReplicaCollector(state func() (store.ReplicaState, bool)) *replicaCollector {
	return &replicaCollector{
		state: state,
		up: prometheus.NewDesc("trunkline_replica_up",
			"1 while requests are read from the replica, 0 while all go to the primary; there only with TRUNKLINE_READ_DATABASE_URL.", nil, nil),
		lag: prometheus.NewDesc("trunkline_replica_lag_seconds", "How far the replica was behind at least when it was last looked at.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *replicaCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	ch <- c.lag
}

// Collect implements prometheus.Collector.
func (c *replicaCollector) Collect(ch chan<- prometheus.Metric) {
	s, there := c.state()
	if !there {
		return
	}
	up := 0.0
	if s.Trouble == "" {
		up = 1
	}
	ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, s.Lag.Seconds())
}

// replicaState tells how the replica stands, where there is one.
func (d *daemon) replicaState() (store.ReplicaState, bool) {
	if d.db.replica == nil {
		return store.ReplicaState{}, false
	}
	return d.db.replica.State(), true
}

// readsDone counts what became of a read that might go to the replica.
func (m *metrics) readsDone(outcome string) { m.reads.WithLabelValues(outcome).Inc() }
