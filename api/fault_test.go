package api

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/embedded"
	"github.com/trunkline/trunkline/sync/convoso"
)

type panickingParser struct{}

func (panickingParser) Parse(post *store.Post) (Reading, error) {
	switch string(post.Body) {
	case "panic":
		panic("phone 5035550142")
	case "error":
		return Reading{}, errors.New("some fault of ours")
	}
	return Reading{}, fmt.Errorf("reading: %w", convoso.ErrUnparsable)
}

func TestParserFaultLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Convoso = panickingParser{} }).start()
	for _, body := range []string{"panic", "error"} {
		if got := w.post("", body); got.status != 200 {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
		if n := w.count("select count(*) from ops.inbox where state = 'new' and error is not null and convert_from(body, 'UTF8') = $1", body); n != 1 {
			t.Errorf("%s: %d rows as new with its error", body, n)
		}
	}
	if log := w.log.String(); strings.Contains(log, "5035550142") || !strings.Contains(log, "parser panicked: string") {
		t.Errorf("log of the panic: %s", log)
	}
}

// Secrets, phones and names of a request show up in no log and no metric, whatever happens to it.
func TestCanaries(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	const wrong = "wrong-token-canary-55"
	w.post("?event=disposition&note=query-canary-56", `{"call_log_id":"1","status":"CB","phone_number":"5035550142","first_name":"Anacanary"}`)
	w.post("/event-canary-57", "{broken 5035550142")
	w.post("", `{"odd":"5035550142"}`)
	w.post("/x/y/z", "no such route")
	w.call("PUT", "/v1/dialer/convoso/"+w.token, "")
	w.call("POST", "/v1/dialer/convoso/"+wrong+"/x", "{}", "User-Agent", "agent-canary-58", "Referer", "http://referer-canary-59/")
	w.call("POST", "//v1//dialer/convoso/"+w.token, "{}")
	w.call("GET", "/v1/leads?search=5035550142", "", "Authorization", "Bearer "+w.key)
	w.call("GET", "/v1/leads/5035550142", "", "Authorization", "Bearer "+envKey)
	w.call("GET", "/v1/leads", "", "Authorization", "Bearer lw_wrong_secret-canary-60")
	w.call("GET", "/metrics", "", "Host", "host-canary-61.example", "Authorization", "Bearer "+adminToken)
	w.exec("alter table ops.inbox rename to inbox_away")
	if got := w.post("", disposition); got.status != 503 {
		t.Errorf("without the table: %d", got.status)
	}
	w.exec("alter table pipeline.leads rename to leads_away")
	if got := w.get("/v1/leads?search=5035550142"); got.status != 500 || got.code() != codeInternal {
		t.Errorf("without the table: %d", got.status)
	}
	metrics := string(w.call("GET", "/metrics", "").body)
	for name, text := range map[string]string{"log": w.log.String(), "metrics": metrics} {
		if len(text) < 500 {
			t.Errorf("the %s is nearly empty: %s", name, text)
		}
		secret := strings.TrimPrefix(w.key, "lw_"+strings.Split(w.key, "_")[1]+"_")
		for _, canary := range []string{
			w.token, url.PathEscape(w.token), wrong, secret, envKey, adminToken, "5035550142", "Anacanary", "query-canary-56",
			"event-canary-57", "agent-canary-58", "referer-canary-59", "secret-canary-60", "host-canary-61", "leads_away",
		} {
			if strings.Contains(text, canary) {
				t.Errorf("the %s shows %q", name, canary)
			}
		}
	}
}

func TestDatabaseStopped(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	pool, err := store.OpenPool(t.Context(), pg.DSN("trunkline"), store.PoolOptions{MaxConns: 8, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := newWorldOn(t, pool).start()
	if got := w.post("", disposition); got.status != 200 {
		t.Fatalf("before: %d", got.status)
	}
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(tokenCacheTime) // so that neither token nor key comes from memory
	for _, c := range []struct {
		name string
		call func() answer
	}{
		{"post", func() answer { return w.post("", disposition) }},
		{"post with unknown token", func() answer { return w.call("POST", "/v1/dialer/convoso/x", disposition) }},
		{"read", func() answer { return w.get("/v1/leads") }},
		{"read with the environment's key", func() answer { return w.call("GET", "/v1/leads", "", "Authorization", "Bearer "+envKey) }},
	} {
		started := time.Now()
		got := c.call()
		if got.status != 503 || got.code() != codeUnavailable || got.header.Get("Retry-After") == "" || time.Since(started) > time.Minute {
			t.Errorf("%s: %d %s after %s", c.name, got.status, got.body, time.Since(started))
		}
	}
	if got := w.call("GET", "/readyz", ""); got.status != 503 {
		t.Errorf("readyz: %d", got.status)
	}
	if got := w.call("GET", "/healthz", ""); got.status != 200 {
		t.Errorf("healthz: %d", got.status)
	}
	restarted := startPostgresIn(t, pg.Dir())
	t.Cleanup(func() { _ = restarted.Stop(t.Context()) })
	deadline := time.Now().Add(time.Minute)
	for w.post("", disposition).status != 200 {
		if time.Now().After(deadline) {
			t.Fatal("no post is taken a minute after the database came back")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := w.count("select count(*) from ops.inbox"); n != 2 {
		t.Errorf("%d posts in the inbox, want the 2 that were answered 200", n)
	}
}

// startPostgres gives a server of the test's own, which it may stop.
func startPostgres(t *testing.T) *embedded.Server {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "trunkline-api-") // short enough for a socket, and open to the server's user
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's user passes through
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	pg := startPostgresIn(t, dir)
	pool, err := store.OpenPool(t.Context(), pg.DSN("trunkline"), store.PoolOptions{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := migrations.Up(t.Context(), pool, newWorldLog()); err != nil {
		t.Fatal(err)
	}
	return pg
}

func startPostgresIn(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	pg, err := embedded.Start(t.Context(), embedded.Config{
		Dir: dir, BinDir: os.Getenv("TRUNKLINE_PG_BIN"), Settings: map[string]string{"fsync": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pg
}
