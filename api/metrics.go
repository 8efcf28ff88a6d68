package api

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// ingestResult is what became of a post to a receiver.
type ingestResult string

const (
	ingestAccepted     ingestResult = "accepted"
	ingestUnclassified ingestResult = "unclassified"
	ingestUnparsable   ingestResult = "unparsable"
	ingestForbidden    ingestResult = "forbidden"
	ingestUnread       ingestResult = "unread" // too large, too slow or broken off
	ingestUnavailable  ingestResult = "unavailable"
)

// metrics are the server's own. Every label value comes from a bounded set.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	ingest   *prometheus.CounterVec
	panics   prometheus.Counter
}

func newMetrics(registry *prometheus.Registry, version string) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_http_requests_total",
			Help: "HTTP requests answered, by route pattern, method and status code.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "trunkline_http_request_duration_seconds",
			Help:    "Time from a request's headers to the end of its answer, by route pattern and method.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
		ingest: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_ingest_posts_total",
			Help: "Posts to receivers, by what became of them.",
		}, []string{"result"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trunkline_http_panics_total",
			Help: "Panics recovered from while a request was handled.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "trunkline_build_info",
		Help:        "1, labelled with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.ingest, m.panics, build} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	for _, result := range []ingestResult{
		ingestAccepted, ingestUnclassified, ingestUnparsable, ingestForbidden, ingestUnread, ingestUnavailable,
	} {
		m.ingest.WithLabelValues(string(result)) // so that each series is there from the start, at zero
	}
	return m, nil
}

func (m *metrics) request(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route, method).Observe(took.Seconds())
}

func (m *metrics) post(result ingestResult) { m.ingest.WithLabelValues(string(result)).Inc() }

func (s *Server) metricsPage(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
	return nil
}
