package api

import (
	"cmp"
	"context"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/api/console"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// withPage serves the status page with buttons that act.
func withPage(t *testing.T) func(*Config) {
	t.Helper()
	return withLists(t, nil)
}

// withLists is withPage with a database of its own for lists; nil is the common one.
func withLists(t *testing.T, lists *store.DB) func(*Config) {
	t.Helper()
	return func(c *Config) {
		db := c.Keys.(*store.DB)
		lists := cmp.Or(lists, db)
		queue, err := jobs.NewQueue(db.Pool, c.Log)
		if err != nil {
			t.Fatal(err)
		}
		settings, err := convoso.NewSettings(convoso.Config{Account: store.DefaultAccount})
		if err != nil {
			t.Fatal(err)
		}
		fold := &store.Reconciler{DB: db, MaxAge: time.Hour, Facts: func(r *pipeline.Record) (pipeline.Facts, error) { return settings.Facts(*r) }}
		drain := &store.InboxDrain{DB: db, Read: jobs.ReadConvoso(settings), Wake: func(context.Context, pgx.Tx) error { return nil }}
		site, err := console.New(console.Config{DB: db, Lists: lists, Log: c.Log, AdminToken: c.AdminToken, Version: "test", Lookback: 48 * time.Hour, Actions: &jobs.Operator{
			DB: db, Queue: queue, Patience: time.Millisecond, Backfills: &jobs.Backfiller{DB: db, Queue: queue, Account: store.DefaultAccount},
			Replayer: &jobs.Replayer{DB: db, Fold: fold, Inbox: drain, Patience: time.Second, Stream: func(pipeline.Source, string) (*walk.Stream, *store.TypedTable, bool) { return nil, nil, false }},
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.Page = site
	}
}

// tokenless has no admin token, so that the page answers on the machine itself.
func tokenless(c *Config) { c.AdminToken = "" }

// browser looks at pages as a browser does: it follows no redirect by itself and keeps its cookies.
type browser struct {
	w       *world
	cookies map[string]string
	// headers go with every request, name, value, name, value.
	headers []string
}

func (b *browser) do(method, path string, form url.Values, headers ...string) answer {
	b.w.t.Helper()
	req, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.w.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	all := slices.Concat(b.headers, headers)
	for i := 0; i+1 < len(all); i += 2 {
		req.Header.Set(all[i], all[i+1])
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // of a request
	}
	resp, err := (&http.Client{Transport: b.w.client.Transport, Timeout: 60 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if b.cookies == nil {
			b.cookies = map[string]string{}
		}
		b.cookies[c.Name] = c.Value
	}
	return answer{resp.StatusCode, resp.Header, body}
}

func (b *browser) get(path string, headers ...string) answer {
	b.w.t.Helper()
	return b.do(http.MethodGet, path, nil, headers...)
}

var hiddenField = regexp.MustCompile(`type="hidden" name="([^"]+)" value="([^"]*)"`)

// form reads the form of a page that goes to an address, and adds fields to those that the page has.
func (b *browser) form(path, action string, fields ...string) url.Values {
	b.w.t.Helper()
	got := b.get(path)
	_, text, ok := strings.Cut(string(got.body), `action="`+action+`"`)
	if !ok {
		b.w.t.Fatalf("%s (%d) has no form for %s", path, got.status, action)
	}
	text, _, _ = strings.Cut(text, "</form>")
	form := url.Values{}
	for _, field := range hiddenField.FindAllStringSubmatch(text, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form
}

// press sends the form of a page.
func (b *browser) press(path, action string, fields ...string) answer {
	b.w.t.Helper()
	form := b.form(path, action, fields...)
	return b.do(http.MethodPost, action, form, "Sec-Fetch-Site", "same-origin")
}

// fill makes n rows of every kind.
func (w *world) fill(n string) {
	w.t.Helper()
	rows, err := os.ReadFile("console/testdata/rows.sql")
	if err != nil {
		w.t.Fatal(err)
	}
	w.exec("set trunkline.rows = " + n + ";" + string(rows) + "; reset trunkline.rows")
}

var links = regexp.MustCompile(`href="(/[^"]*)"`)
