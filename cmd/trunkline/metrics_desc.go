package main

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

var errUnknownSeries = errors.New("a series without a description")

// stateDescs are the series that stateCollector makes, by name.
type stateDescs map[string]*prometheus.Desc

func newStateDescs() stateDescs {
	d := stateDescs{}
	for _, s := range []struct {
		name, help string
		labels     []string
	}{
		{"database_up", "1 while the database answers, 0 while it does not.", nil},
		{"daemons", "Daemons with workers that were heard of in the last quarter of a minute.", nil},
		{"attention_open", "Open rows of ops.attention: what a person has to look at.", nil},

		{"stream_lag_seconds", "Age of the time through which a stream is covered.", []string{"source", "stream"}},
		{"stream_last_success_timestamp_seconds", "When a walk of the stream last ended well.", []string{"source", "stream"}},
		{"stream_overdue_seconds", "For how much longer than its schedule's step no walk of the stream has ended well.", []string{"source", "stream"}},
		{"stream_holes", "Gaps in a stream's coverage.", []string{"source", "stream"}},
		{"stream_failures", "Failed walks of a stream in a row; while it is above 0 the stream rests between tries.", []string{"source", "stream"}},
		{"stream_vanished_refused", "Accounts whose latest whole read lacked too many rows to be believed, so that nothing was marked.", []string{"source", "stream"}},

		{"vendor_breaker_state", "Accounts of a vendor by whether requests may go out: closed = they may, paused = it asked us to wait, denied = it refused our credentials.", []string{"vendor", "state"}},
		{"vendor_paused_seconds", "For how much longer a vendor's account is paused.", []string{"vendor"}},

		{"jobs", "Jobs by kind and state, but for completed ones.", []string{"kind", "state"}},
		{"job_oldest_available_seconds", "Age of the oldest job that waits for a worker.", nil},
		{"inbox_backlog", "Posts that nobody has read yet.", nil},
		{"inbox_oldest_seconds", "Age of the oldest post that nobody has read yet.", nil},
		{"inbox_bad", "Posts that nobody could make use of, by state.", []string{"state"}},
		{"reconcile_backlog", "Records that wait to be folded.", nil},
		{"reconcile_oldest_seconds", "For how long the record that waits longest has waited to be folded.", nil},
		{"quarantine_open", "Open items in quarantine.", []string{"source", "stream"}},
		{"unknown_names", "Fields, types of objects and columns with values that cannot be read, which a source sent and nobody here knows of.", []string{"source", "stream", "kind"}},
		{"unknown_seen_total", "How often they were read.", []string{"source", "stream", "kind"}},
		{"gaps_missing", "Posts that seem to be lost: what an hour without any usually has, or calls without a disposition.", []string{"source", "kind"}},
		{"dispositions_unmapped", "Codes of the last week's calls that no rule maps.", []string{"source"}},
		{"dispositions_unmapped_calls", "Calls of the last week whose code no rule maps.", []string{"source"}},

		{"deliveries", "Open deliveries by destination and state.", []string{"destination", "state"}},
		{"delivery_due_oldest_seconds", "For how long the delivery that waits longest has been due without being sent.", []string{"destination"}},
		{"delivery_unknown_oldest_seconds", "For how long the oldest delivery with an unknown outcome has had none.", []string{"destination"}},
		{"dnc_obligations", "Opt-outs that a dialler has not been told of, or has not confirmed.", []string{"destination"}},
		{"dnc_obligation_oldest_seconds", "Age of the oldest opt-out that a dialler has not confirmed.", []string{"destination"}},
		{"dnc_suppressed_total", "Deliveries that an opt-out has stopped before they were sent.", []string{"destination", "operation"}},
		{"dnc_phones", "Phones on the do-not-call list.", nil},

		{"erasure_kept_out", "Records that named an erased person and were not kept.", nil},
		{"erasures_unfinished", "Erasures that were cut off and wait to be ordered again.", nil},

		{"webhook_endpoints", "Webhook endpoints by state.", []string{"state"}},
		{"webhook_deliveries", "Webhooks that have not arrived, by state.", []string{"state"}},
		{"webhook_oldest_due_seconds", "For how long the webhook that waits longest has been due.", nil},
	} {
		name := "trunkline_" + s.name
		d[name] = prometheus.NewDesc(name, s.help, s.labels, nil)
	}
	return d
}

// stateOut is where a reading goes. A name that newStateDescs lacks is a fault that any scrape shows.
type stateOut struct {
	ch    chan<- prometheus.Metric
	descs stateDescs
}

func (o stateOut) gauge(name string, v float64, labels ...string) {
	o.send(name, prometheus.GaugeValue, v, labels)
}

func (o stateOut) counter(name string, v float64, labels ...string) {
	o.send(name, prometheus.CounterValue, v, labels)
}

func (o stateOut) send(name string, kind prometheus.ValueType, v float64, labels []string) {
	desc := o.descs[name]
	if desc == nil {
		desc = prometheus.NewInvalidDesc(errUnknownSeries)
	}
	m, err := prometheus.NewConstMetric(desc, kind, v, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(desc, err)
	}
	o.ch <- m
}
