// Package console is the status page: what an operator looks at all day, as HTML made here. It needs no script and asks no other host
// for anything. Who may see it is the server's business; what a form needs beside that, see forms.go.
package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

//go:embed templates/*.html
var templateFiles embed.FS

// Actions is what the page's buttons do.
type Actions interface {
	// Delivery does retry, cancel, confirmed or rejected to one that is still as it was seen; it fails with store.ErrNotFound,
	// ErrInFlight or ErrWrongState.
	Delivery(ctx context.Context, id uuid.UUID, action string, seen store.DeliverySeen) error
	// Backfill does pause, resume or cancel; it fails with store.ErrNotFound or ErrBackfillEnded.
	Backfill(ctx context.Context, id uuid.UUID, action string) error
	// ReplayPost hands a post over, and tells whether it has been read; it fails with store.ErrNotFound.
	ReplayPost(ctx context.Context, id uuid.UUID) (read bool, err error)
	// ReplayItems hands items over, and returns how many are fixed, how many are left, and how many nobody has come to yet.
	ReplayItems(ctx context.Context, ids []uuid.UUID) (fixed, left, waiting int, err error)
}

// Config is what the page needs. All fields but AdminToken and Version are required.
type Config struct {
	DB *store.DB
	// Lists is what pages of rows are read from, ListConns of them at once: the same database, whose statements should end after
	// ListStatement.
	Lists   *store.DB
	Log     *slog.Logger
	Actions Actions
	// Lookback is how far the hourly second look reaches, Rules are those of every organisation: see status.Read.
	Lookback time.Duration
	Rules    pipeline.Rules
	// Replica tells how the replica stands, false where there is none; optional.
	Replica func() (store.ReplicaState, bool)
	// AdminToken is what a person signs in with; empty where nobody can.
	AdminToken vendorapi.Secret
	Version    string
}

// Site is the page and all pages below it. It is safe for concurrent use.
type Site struct {
	cfg       Config
	templates map[string]*template.Template
	assets    map[string]asset
	// formKey is this process's own.
	formKey, sessionKey []byte
	cross               *http.CrossOriginProtection
	failures            failures
	// turns are those of lists.
	turns chan struct{}
	// several tells whether there are several organisations.
	several atomic.Bool

	flight singleflight.Group
	mu     sync.Mutex
	last   reading
	// generation counts what was changed by the page.
	generation int
}

// New reads the templates, which are part of the program, and fails where one of them is at fault.
func New(cfg Config) (*Site, error) {
	if cfg.DB == nil || cfg.Lists == nil || cfg.Log == nil || cfg.Actions == nil {
		return nil, errors.New("console config lacks DB, Lists, Log or Actions")
	}
	s := &Site{cfg: cfg, templates: map[string]*template.Template{}, cross: http.NewCrossOriginProtection(), turns: make(chan struct{}, ListConns)}
	var err error
	if s.assets, err = readAssets(); err != nil {
		return nil, err
	}
	for _, name := range []string{"overview", "list", "detail", "login", "problem"} {
		t, err := template.New("layout.html").Funcs(s.functions()).ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("reading the template of page %s: %w", name, err)
		}
		s.templates[name] = t
	}
	if s.formKey, err = randomKey(); err != nil {
		return nil, err
	}
	s.sessionKey = sessionKey(cfg.AdminToken)
	return s, nil
}

// Route is one route of the site. Handle answers, or returns the error to answer with: the caller answers with Fail.
type Route struct {
	// Pattern is ServeMux's, with a method.
	Pattern string
	// Open routes show nothing of anybody, and need no admission.
	Open   bool
	Handle func(w http.ResponseWriter, r *http.Request) error
}

// Routes are all routes there are.
func (s *Site) Routes() []Route {
	routes := []Route{
		{Pattern: "GET /{$}", Handle: s.overview},
		{Pattern: "GET /ui/deliveries", Handle: s.deliveries},
		{Pattern: "GET /ui/deliveries/{id}", Handle: s.delivery},
		{Pattern: "POST /ui/deliveries/{id}/{action}", Handle: s.moveDelivery},
		{Pattern: "GET /ui/quarantine", Handle: s.quarantine},
		{Pattern: "GET /ui/quarantine/{id}", Handle: s.quarantined},
		{Pattern: "POST /ui/quarantine/{id}/{action}", Handle: s.replayQuarantined},
		{Pattern: "GET /ui/inbox", Handle: s.inbox},
		{Pattern: "GET /ui/inbox/{id}", Handle: s.post},
		{Pattern: "POST /ui/inbox/{id}/{action}", Handle: s.replayPost},
		{Pattern: "GET /ui/backfills", Handle: s.backfills},
		{Pattern: "GET /ui/backfills/{id}", Handle: s.backfill},
		{Pattern: "POST /ui/backfills/{id}/{action}", Handle: s.steerBackfill},
		{Pattern: "GET /ui/streams/{org}/{account}/{source}/{stream}", Handle: s.stream},
		{Pattern: "GET /ui/jobs", Handle: s.jobs},
		{Pattern: "GET /ui/speed", Handle: s.speed},
		{Pattern: "GET /ui/webhooks", Handle: s.webhooks},
		{Pattern: "GET /ui/login", Open: true, Handle: s.login},
		{Pattern: "POST /ui/login", Open: true, Handle: s.signIn},
		{Pattern: "POST /ui/logout", Open: true, Handle: s.signOut},
		{Pattern: "GET /assets/{name}", Open: true, Handle: s.asset},
		{Pattern: "GET /ui/", Handle: func(http.ResponseWriter, *http.Request) error { return store.ErrNotFound }},
	}
	for i := range routes {
		if pr := &routes[i]; !pr.Open && strings.HasPrefix(pr.Pattern, "GET /ui/") {
			pr.Handle = s.bounded(pr.Handle)
		}
	}
	return routes
}

// policy lets the browser load nothing but what this server has, and send forms nowhere else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// layout is what every page has.
type layout struct {
	Title string
	// Here is the entry of the menu that the page belongs to.
	Here string
	// Done says what came of a form that led here.
	Done string
	// Failed tells that Done is bad news.
	Failed bool
	// SignedIn offers to sign out.
	SignedIn bool
	// Form is the word that goes with what the page's buttons send.
	Form string
	// Bare leaves the menu out.
	Bare    bool
	Version string
	// Read is when what the page shows was read (UTC).
	Read time.Time
}

func (s *Site) layout(r *http.Request, title, here string) layout {
	return layout{
		Title: title, Here: here, Version: s.cfg.Version, Read: s.cfg.DB.Now(), SignedIn: s.SignedIn(r), Form: s.signed(forAction, session(r), formLife),
	}
}

// render writes a whole page, or returns an error before the first byte of it.
func (s *Site) render(w http.ResponseWriter, code int, name string, data any) error {
	var html bytes.Buffer
	if err := s.templates[name].Execute(&html, data); err != nil {
		return fmt.Errorf("rendering page %s: %w", name, err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.WriteHeader(code)
	_, _ = w.Write(html.Bytes()) // a browser that has gone is no error
	return nil
}

// problemView is a page that says why there is no other.
type problemView struct {
	layout
	Code    int
	Text    string
	Request string
	Retry   bool
}

// Fail answers with a page that says what went wrong. text is for the reader, request the id under which the log has more.
func (s *Site) Fail(w http.ResponseWriter, r *http.Request, code int, text, request string) {
	view := problemView{layout: s.layout(r, http.StatusText(code), ""), Code: code, Text: text, Request: request, Retry: code >= http.StatusInternalServerError}
	if err := s.render(w, code, "problem", view); err != nil {
		s.cfg.Log.ErrorContext(r.Context(), "the page of a problem cannot be made", "request_id", request, "error", store.Loggable(err))
		http.Error(w, text, code)
	}
}

// fresh is for how long one reading of the status serves everybody who looks: it costs a dozen queries.
const fresh = 2 * time.Second

// readTimeout is above the database's own limit on a statement, below the server's on an answer.
const readTimeout = 27 * time.Second

// reading is the last one; generation is how often something was changed before it began.
type reading struct {
	status     *status.Status
	until      time.Time
	generation int
}

// status returns the state of everything, read at most fresh ago, or as long ago as the reading took: a database that is slow is not
// asked all the time. Readers at the same moment share one reading, but not one that began before something was changed.
func (s *Site) status(ctx context.Context) (*status.Status, error) {
	s.mu.Lock()
	last, generation := s.last, s.generation
	s.mu.Unlock()
	if last.status != nil && last.generation == generation && s.cfg.DB.Now().Before(last.until) {
		return last.status, nil
	}
	// Whoever asked first may go away; the others still wait for it.
	ctx = context.WithoutCancel(ctx)
	read, err, _ := s.flight.Do(strconv.Itoa(generation), func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		began := s.cfg.DB.Now()
		s.countOrgs(ctx)
		st, err := status.Read(ctx, s.cfg.DB, s.cfg.Lookback, &s.cfg.Rules)
		if err == nil {
			if s.cfg.Replica != nil {
				if state, there := s.cfg.Replica(); there {
					st.AddReplica(state)
				}
			}
			ended := s.cfg.DB.Now()
			s.mu.Lock()
			if generation >= s.last.generation {
				s.last = reading{st, ended.Add(max(fresh, ended.Sub(began))), generation}
			}
			s.mu.Unlock()
		}
		return st, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	st, _ := read.(*status.Status)
	return st, nil
}

// stale lets nobody see a reading again that began before now, since something was changed.
func (s *Site) stale() {
	s.mu.Lock()
	s.generation++
	s.mu.Unlock()
}

// query returns a context for the database: it outlives a browser that goes away, because a cancelled statement costs its
// connection.
func query(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), readTimeout)
}

func randomKey() ([]byte, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making a key for forms: %w", err)
	}
	return key, nil
}
