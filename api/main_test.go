package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/apiwrite"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	envKey     = "any text will do"
	adminToken = "admin-token-canary-77"
)

// world is the API on a real listener over a real database.
type world struct {
	t      *testing.T
	db     *store.DB
	org    uuid.UUID
	intake *store.Intake
	fold   *store.Reconciler
	drain  *store.InboxDrain
	server *Server
	base   string
	client *http.Client
	// key is a full key of the default organisation, token its receiver token.
	key, token string
	log        *logBuffer
	// groups counts the transactions of the intake, hold holds them up until it is closed.
	groups atomic.Int64
	hold   chan struct{}
}

// logBuffer collects a log that several goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newWorld(t *testing.T, edit ...func(*Config)) *world {
	t.Helper()
	return newWorldOn(t, storetest.DB(t), edit...)
}

func newWorldOn(t *testing.T, pool *pgxpool.Pool, edit ...func(*Config)) *world {
	t.Helper()
	logs := &logBuffer{}
	log := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db := &store.DB{Pool: pool, Log: log, Clock: time.Now}
	org, err := db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: org.ID, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := db.MakeReceiverToken(t.Context(), org.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := convoso.NewSettings(convoso.Config{Account: store.DefaultAccount})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, org: org.ID, key: key, token: token, log: logs}
	w.fold = &store.Reconciler{DB: db, MaxAge: 24 * time.Hour, Blockers: []string{"dialedin"}, Facts: func(r *pipeline.Record) (pipeline.Facts, error) {
		if r.Source == pipeline.SourceAPI {
			return apiwrite.Settings{Region: "US"}.Facts(r)
		}
		return settings.Facts(*r)
	}}
	w.drain = &store.InboxDrain{DB: db, Read: jobs.ReadConvoso(settings), Wake: func(context.Context, pgx.Tx) error { return nil }}
	w.intake = store.NewIntake(db, store.IntakeConfig{Enqueue: func(context.Context, pgx.Tx, []store.Post) error {
		w.groups.Add(1)
		if w.hold != nil {
			<-w.hold
		}
		return nil
	}})
	cfg := Config{
		Log: log, Now: time.Now, Version: "test", AdminToken: adminToken, APIKey: vendorapi.Secret(envKey), DefaultOrg: org.ID,
		Reads: twice{&store.Reads{Primary: db}}, Keys: db, Tokens: db, Intake: w.intake, Rates: db, Quotas: db,
		Writes: store.NewWriter(db, w.fold), Region: "US",
		Convoso: ConvosoSettings(func(uuid.UUID) convoso.Settings { return settings }),
		Checks:  []Check{{Name: "database", Run: db.Writable}},
		Metrics: prometheus.NewRegistry(),
	}
	for _, e := range edit {
		e(&cfg)
	}
	if w.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

// start serves on a free port until the test ends.
func (w *world) start() *world {
	w.t.Helper()
	w.intake.Start()
	addr, err := w.server.Start("127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	w.base, w.client = "http://"+addr, &http.Client{Transport: transport, Timeout: 20 * time.Second}
	w.t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.server.Stop(ctx); err != nil {
			w.t.Errorf("stopping the server: %v", err)
		}
		if err := w.intake.Stop(ctx); err != nil {
			w.t.Errorf("stopping the intake: %v", err)
		}
	})
	return w
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code returns the code of the first error.
func (a answer) code() string {
	var f failure
	if json.Unmarshal(a.body, &f) != nil || len(f.Errors) == 0 {
		return ""
	}
	return f.Errors[0].Code
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
}

// call makes a request; headers come as name, value, name, value.
func (w *world) call(method, path, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatalf("%s: %v", method, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s: %v", method, err)
	}
	got := answer{resp.StatusCode, resp.Header, text}
	c, err := theContract()
	if err != nil {
		w.t.Fatal(err)
	}
	// Every answer that a test gets is held against the OpenAPI document.
	if err := c.check(method, path, got); err != nil {
		w.t.Errorf("not as documented: %v\n%.500s", err, text)
	}
	return got
}

// get calls with the world's key.
func (w *world) get(path string) answer {
	w.t.Helper()
	return w.call(http.MethodGet, path, "", "Authorization", "Bearer "+w.key)
}

// post sends JSON to the Convoso receiver, under the world's token followed by suffix.
func (w *world) post(suffix, body string) answer {
	w.t.Helper()
	return w.call(http.MethodPost, "/v1/dialer/convoso/"+w.token+suffix, body, "Content-Type", "application/json")
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// lead inserts a lead and returns its id.
func (w *world) lead(org uuid.UUID, business string, created time.Time) uuid.UUID {
	w.t.Helper()
	id := uuid.New()
	w.exec(`insert into pipeline.leads (org_id, lead_id, business_name, source, priority, stage_key, content_hash,
		first_source_time, created_at, updated_at) values ($1, $2, $3, 'dialer', 'normal', 'new_lead', '', $4, $4, $4)`,
		org, id, business, created)
	return id
}

// page is a collection as a client reads it.
type page struct {
	Data []struct {
		ID         string         `json:"id"`
		Type       string         `json:"type"`
		Attributes map[string]any `json:"attributes"`
	} `json:"data"`
	Meta pageMeta `json:"meta"`
}

// twice reads everything twice, as happens where a replica fails a request at its end.
type twice struct{ Reads }

func (t twice) Read(ctx context.Context, who store.Caller, work func(ctx context.Context, from store.Reader) error) error {
	_ = t.Reads.Read(ctx, who, work)
	return t.Reads.Read(ctx, who, work)
}

func newWorldLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// countingTokens has no tokens and counts how often it was asked.
type countingTokens struct{ n int }

func (c *countingTokens) ReceiverTokens(context.Context) (map[[32]byte]uuid.UUID, error) {
	c.n++
	return nil, nil
}

func addr(t *testing.T, text string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
