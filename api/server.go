package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/api/console"
	"github.com/trunkline/trunkline/sync/tracing"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Limits of requests (interface.md section 4).
const (
	headerTimeout      = 5 * time.Second
	defaultBodyTimeout = 10 * time.Second
	writeTimeout       = 30 * time.Second
	idleTimeout        = 60 * time.Second
	maxHeaderBytes     = 64 << 10
	maxReceiverBody    = 256 << 10
	maxAPIBody         = 1 << 20
	// queryTimeout lies above the database's own limit on a statement (25 s) and below writeTimeout.
	queryTimeout = 27 * time.Second
)

// Config is what the server needs. Without a mark a field is required.
type Config struct {
	Log *slog.Logger
	Now func() time.Time
	// Version of the program, for trunkline_build_info; optional.
	Version string
	// Zone is where "today" begins; optional, UTC.
	Zone *time.Location

	// AdminToken opens the ops routes from anywhere (TRUNKLINE_ADMIN_TOKEN); optional.
	AdminToken vendorapi.Secret
	// APIKey is a full key without a tier (TRUNKLINE_API_KEY), any text; optional.
	APIKey vendorapi.Secret
	// DefaultOrg is the organisation of APIKey; required with it.
	DefaultOrg uuid.UUID
	// FixedTokens are the hashes of receiver tokens that are not in the database (CONVOSO_ORG_TOKEN); optional. See
	// store.HashReceiverToken.
	FixedTokens map[[sha256.Size]byte]uuid.UUID

	// Reads is what requests that only read are answered from: see Server.read.
	Reads   Reads
	Keys    KeyChecker
	Tokens  TokenReader
	Intake  Intake
	Convoso Parser
	// ConvosoFrom are the networks whose addresses may post as Convoso (CONVOSO_ALLOW_CIDRS); optional, any may.
	ConvosoFrom []netip.Prefix
	// Writes is what writes to leads and calls work on; optional, there are no such routes without it.
	Writes Writer
	// Rates is where requests of keys are counted; optional, no key has a limit without it.
	Rates RateLeaser
	// Quotas is where the requests of a month are counted of keys that have a quota; optional, no key has one without it.
	Quotas QuotaLeaser
	// Region is where phones without country code are at home (ISO 3166); optional.
	Region string
	// LendWorksSecret is what LendWorks signs its webhooks with (LENDWORKS_WEBHOOK_SECRET); optional, without it none is taken.
	LendWorksSecret vendorapi.Secret
	// Backfills is what /v1/sync works on; optional, there are no such routes without it.
	Backfills Backfiller
	// Webhooks is what /v1/app-webhooks works on; optional, there are no such routes without it.
	Webhooks *Webhooks
	// Page is the status page; optional, there is none without it.
	Page *console.Site
	// Checks are what readyz asks, beside whether the server is draining.
	Checks []Check
	// Metrics is where ours are registered and what /metrics shows.
	Metrics *prometheus.Registry
	// BodyTimeout limits how long a body may take; optional, 10 s.
	BodyTimeout time.Duration
	// Trace is told of every request, but not of those that ask how the server is; optional.
	Trace *tracing.Tracer
}

func (c *Config) missing() error {
	var faults []error
	for name, absent := range map[string]bool{
		"Log": c.Log == nil, "Now": c.Now == nil, "Reads": c.Reads == nil, "Keys": c.Keys == nil,
		"Tokens": c.Tokens == nil, "Intake": c.Intake == nil, "Convoso": c.Convoso == nil, "Metrics": c.Metrics == nil,
		"DefaultOrg": c.APIKey != "" && c.DefaultOrg == uuid.Nil,
	} {
		if absent {
			faults = append(faults, fmt.Errorf("api config has no %s", name))
		}
	}
	return errors.Join(faults...)
}

// Server is the HTTP API. Build it with New; Start (or Serve) and Stop it once.
type Server struct {
	cfg Config
	// wall tells socket deadlines and durations, which belong to this machine's clock whatever clock the domain has.
	wall    func() time.Time
	metrics *metrics
	keys    *keyring
	limiter *limiter
	quotas  *quotas
	tokens  *tokenRing
	health  *health
	mux     *http.ServeMux
	// patterns are those of all routes; docs is the reference page.
	patterns []string
	docs     *docsPage
	handler  http.Handler

	draining atomic.Bool
	http     *http.Server
	failed   chan error
	stopOnce sync.Once
	stop     chan struct{}
	wg       sync.WaitGroup
}

// New makes the server and registers its metrics. It fails when the configuration lacks something, or when the registry
// has metrics of ours already.
func New(cfg Config) (*Server, error) {
	if err := cfg.missing(); err != nil {
		return nil, err
	}
	cfg.Zone = cmp.Or(cfg.Zone, time.UTC)
	cfg.BodyTimeout = cmp.Or(cfg.BodyTimeout, defaultBodyTimeout)
	m, err := newMetrics(cfg.Metrics, cfg.Version)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	s := &Server{
		cfg:     cfg,
		wall:    time.Now, //nolint:forbidigo // see the field
		metrics: m,
		mux:     http.NewServeMux(),
		failed:  make(chan error, 1),
		stop:    make(chan struct{}),
	}
	s.keys = newKeyring(&cfg)
	gone := &absence{}
	if cfg.Rates != nil {
		s.limiter = newLimiter(&cfg, gone)
	}
	if cfg.Quotas != nil {
		s.quotas = newQuotas(&cfg, gone)
	}
	s.tokens = newTokenRing(&cfg)
	s.health = newHealth(cfg.Checks, cfg.Log)
	if s.docs, err = newDocsPage(openapiDocument); err != nil {
		return nil, err
	}
	s.routes()
	s.handler = s.identify(s.recovered(s.observed(http.HandlerFunc(s.dispatch))))
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// routes is every route there is.
func (s *Server) routes() {
	s.handle("GET /v1/leads", keyed, s.listLeads)
	s.handle("GET /v1/leads/{id}", keyed, s.getLead)
	s.handle("GET /v1/dialer/agents", keyed, s.listAgents)
	s.handle("GET /v1/leads/{id}/timeline", keyed, s.leadTimeline)
	s.handle("GET /v1/dialer/events", keyed, s.listEvents)
	if s.cfg.Writes != nil {
		s.handle("POST /v1/leads", keyed, s.createLead)
		s.handle("PATCH /v1/leads/{id}", keyed, s.patchLead)
		s.handle("POST /v1/leads/{id}/stage", keyed, s.setStage)
		s.handle("POST /v1/dialer/events", keyed, s.postEvent)
		s.handle("POST /v1/dialer/presence", keyed, s.postPresence)
		s.handle("POST /v1/dialer/disposition", keyed, s.postDisposition)
	}
	s.handle("GET /v1/status", public, s.status)

	convosoPosts, convoloPosts := s.convosoReceiver(), s.convoloReceiver()
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		s.handle(method+" /v1/dialer/convoso/{orgToken}", receiving, convosoPosts)
		s.handle(method+" /v1/dialer/convoso/{orgToken}/{$}", receiving, convosoPosts)
		s.handle(method+" /v1/dialer/convoso/{orgToken}/{event}", receiving, convosoPosts)
	}
	s.handle("POST /v1/dialer/convolo/{orgToken}", receiving, convoloPosts)
	s.handle("POST /v1/dialer/convolo/{orgToken}/{$}", receiving, convoloPosts)
	s.handle("POST /v1/webhooks/lendworks/{orgToken}", receiving, s.lendworksReceiver())

	if s.cfg.Backfills != nil {
		s.syncRoutes()
	}
	s.handle("GET /v1/webhooks/catalog", public, s.webhookCatalogue)
	if s.cfg.Webhooks != nil {
		s.webhookRoutes()
	}
	s.handle("GET /v1/deliveries", operating, s.listDeliveries)

	if s.cfg.Page != nil {
		s.pageRoutes()
	}
	s.handle("GET /v1/openapi.json", public, s.openapi)
	s.handle("GET /docs", public, s.docsPage)
	s.handle("GET /healthz", public, s.healthz).quiet = true
	s.handle("GET /readyz", public, s.readyz).quiet = true
	s.handle("GET /metrics", ops, s.metricsPage).quiet = true
}

// Handler returns the whole chain, for a listener of the caller's own.
func (s *Server) Handler() http.Handler { return s.handler }

// Start listens on addr (host:port; port 0 takes a free one) and serves until Stop. It returns the address it got.
func (s *Server) Start(addr string) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listening for HTTP: %w", err)
	}
	return s.Serve(listener), nil
}

// Serve serves on a listener, which becomes the server's own, until Stop. It returns the listener's address.
func (s *Server) Serve(listener net.Listener) string {
	s.wg.Go(func() { s.keys.touchLoop(s.stop) })
	if s.limiter != nil {
		s.wg.Go(func() { s.limiter.loop(s.stop) })
	}
	if s.quotas != nil {
		s.wg.Go(func() { s.quotas.loop(s.stop) })
	}
	s.wg.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serving HTTP: %w", err)
		}
	})
	return listener.Addr().String()
}

// Failed yields the error with which a started server ended by itself; Stop sends nothing.
func (s *Server) Failed() <-chan error { return s.failed }

// SetDraining makes readyz answer 503, so that a load balancer sends no more. Requests are served as before.
func (s *Server) SetDraining() { s.draining.Store(true) }

// Stop takes no new connections, lets requests under way end until ctx does, then cuts them. It returns ctx's error when
// some had to be cut.
func (s *Server) Stop(ctx context.Context) error {
	s.SetDraining()
	s.stopOnce.Do(func() { close(s.stop) })
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("draining HTTP: %w", err), s.http.Close())
	}
	s.wg.Wait()
	s.giveBack(ctx)
	return err
}

// giveBackTimeout bounds how long a stop takes to give back what was leased and not used.
const giveBackTimeout = time.Second

// giveBack returns what keys have left here, when no request is served any more.
func (s *Server) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
	defer cancel()
	if s.quotas != nil {
		s.quotas.sweep(ctx, true)
	}
	if s.limiter != nil {
		s.limiter.giveBack(ctx, true)
	}
}

// query returns a context for reading the database: it outlives a client that goes away, because a cancelled statement
// costs its connection, and ends after the database's own limit.
func query(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), queryTimeout)
}
