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

	"github.com/google/uuid"
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
		db := c.Leads.(*store.DB)
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

// TestPagesHoldWhatTheyShow walks through every page there is, following every link, over no, few and many rows: none fails, none
// lets a vendor's text be markup, none names a person, and none sends the browser anywhere else.
func TestPagesHoldWhatTheyShow(t *testing.T) {
	t.Parallel()
	for _, rows := range []string{"0", "10", "300"} {
		t.Run(rows, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tokenless, withPage(t)).start()
			if rows != "0" {
				w.fill(rows)
			}
			b := &browser{w: w}
			todo, seen, kinds := []string{"/"}, map[string]bool{"/": true}, map[string]int{}
			all := ""
			for len(todo) > 0 {
				path := todo[0]
				todo = todo[1:]
				got := b.get(path)
				text := string(got.body)
				if got.status != http.StatusOK {
					t.Fatalf("%s: %d\n%.2000s", path, got.status, text)
				}
				if strings.HasPrefix(path, "/assets/") || path == "/docs" {
					continue
				}
				all += text
				if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: policy %q, cache %q", path, policy, got.header.Get("Cache-Control"))
				}
				for _, bad := range []string{"<script>alert", "<b>", "Canaria", "Canary Holdings", "@canary.example", "5550123", "+1305555", "style=", "://", "ZgotmplZ", "NaN", "%!", "0001-01-01", "token=secret"} {
					if strings.Contains(text, bad) {
						t.Errorf("%s holds %q", path, bad)
					}
				}
				for _, l := range links.FindAllStringSubmatch(text, -1) {
					next, _, _ := strings.Cut(html.UnescapeString(l[1]), "#")
					kind := regexp.MustCompile(`[0-9a-f-]{36}|=[^&]*`).ReplaceAllString(next, "*")
					if next == "" || seen[next] || kinds[kind] >= 4 {
						continue
					}
					seen[next] = true
					kinds[kind]++
					todo = append(todo, next)
				}
			}
			if rows == "0" {
				return
			}
			for _, want := range []string{"&lt;script&gt;alert(&#34;campaign&#34;)", "&lt;script&gt;alert(&#34;shape&#34;)", "not understood", "&#43;*********", "Xxxxxxx", "trunkline deliveries resolve", "<progress", `class="hole"`, `class="covered"`, "duplicate_phone"} {
				if !strings.Contains(all, want) {
					t.Errorf("no page holds %q", want)
				}
			}
			for _, kind := range []string{"/ui/deliveries/*", "/ui/inbox/*", "/ui/quarantine/*", "/ui/backfills/*", "/ui/streams/*/default/ipscape/activities", "/ui/speed?from*&step*&to*", "/ui/jobs?kind*&state*", "/ui/webhooks?state*", "/ui/webhooks?endpoint*"} {
				if kinds[kind] == 0 {
					t.Errorf("no link of the kind %s was found", kind)
				}
			}
			if rows == "300" && (kinds["/ui/deliveries?before*&before_id*"] == 0 || kinds["/ui/webhooks?before*&before_id*"] == 0) {
				t.Errorf("no list leads to older rows: %v", kinds)
			}
		})
	}
}

// TestPageAdmission: the admin token, and who has signed in with it; without any token the machine itself; nobody else, and nothing is
// told to others.
func TestPageAdmission(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPage(t)).start()
	proxied := []string{"X-Forwarded-For", "192.0.2.7"}
	outside := &browser{w: w, headers: proxied}
	for _, path := range []string{"/", "/ui/deliveries?state=unknown", "/ui/jobs"} {
		// A proxy on this machine that sets no header looks like this.
		if got := (&browser{w: w}).get(path); got.status != http.StatusSeeOther {
			t.Errorf("%s on the machine itself, where there is a token: %d", path, got.status)
		}
		got := outside.get(path)
		if to := got.header.Get("Location"); got.status != http.StatusSeeOther || to != "/ui/login?next="+url.QueryEscape(path) || strings.Contains(string(got.body), "Deliveries") {
			t.Errorf("%s from outside: %d to %q", path, got.status, to)
		}
		if got := outside.get(path, "Authorization", "Bearer "+adminToken); got.status != http.StatusOK {
			t.Errorf("%s with the token: %d", path, got.status)
		}
		for _, wrong := range []string{"Bearer " + adminToken + "x", "Bearer " + w.key, "Bearer"} {
			if got := outside.get(path, "Authorization", wrong); got.status != http.StatusForbidden || !strings.Contains(string(got.body), "TRUNKLINE_ADMIN_TOKEN") {
				t.Errorf("%s with another token: %d", path, got.status)
			}
		}
	}
	login := "/ui/login?next=%2Fui%2Fjobs"
	if got := outside.press(login, "/ui/login", "token", "wrong", "next", "/ui/jobs"); got.status != http.StatusForbidden || outside.cookies != nil {
		t.Errorf("a wrong token: %d, cookies %v", got.status, outside.cookies)
	}
	for _, next := range []string{"//evil.example/", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""} {
		if got := outside.press(login, "/ui/login", "token", adminToken, "next", next); got.status != http.StatusSeeOther || got.header.Get("Location") != "/" {
			t.Errorf("signing in leads to %q instead of %q", got.header.Get("Location"), next)
		}
	}
	got := outside.press(login, "/ui/login", "token", adminToken, "next", "/ui/jobs")
	cookie := got.header.Get("Set-Cookie")
	if got.header.Get("Location") != "/ui/jobs" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || strings.Contains(cookie, adminToken) {
		t.Errorf("signing in leads to %q with cookie %q", got.header.Get("Location"), cookie)
	}
	if got := outside.get("/"); got.status != http.StatusOK || !strings.Contains(string(got.body), "Sign out") {
		t.Errorf("signed in: %d", got.status)
	}
	// The word of a form is for one purpose and one session: what everybody may read lets nobody act.
	stranger := &browser{w: w, headers: proxied}
	if got := outside.do(http.MethodPost, "/ui/logout", stranger.form(login, "/ui/login"), "Sec-Fetch-Site", "same-origin"); got.status != http.StatusForbidden {
		t.Errorf("the word to sign in, to sign out: %d", got.status)
	}
	mine := outside.form("/", "/ui/logout")
	other := &browser{w: w, headers: proxied, cookies: map[string]string{"trunkline_session": outside.cookies["trunkline_session"] + "x"}}
	if got := other.do(http.MethodPost, "/ui/logout", mine, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusForbidden {
		t.Errorf("a word of one session in another: %d", got.status)
	}
	for _, forged := range []string{"", "99999999999.", "99999999999." + strings.Split(outside.cookies["trunkline_session"], ".")[1]} {
		if got := (&browser{w: w, headers: proxied, cookies: map[string]string{"trunkline_session": forged}}).get("/"); got.status != http.StatusSeeOther {
			t.Errorf("a forged cookie: %d", got.status)
		}
	}
	if got := outside.press("/", "/ui/logout"); got.status != http.StatusSeeOther || outside.get("/").status != http.StatusSeeOther {
		t.Errorf("signing out: %d", got.status)
	}
	for name, guess := range map[string]func() answer{
		"by form":   func() answer { return outside.press(login, "/ui/login", "token", "guess") },
		"by header": func() answer { return outside.get("/", "Authorization", "Bearer guess") },
	} {
		for range 200 {
			if got = guess(); got.status == http.StatusTooManyRequests {
				break
			}
		}
		if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
			t.Errorf("many guesses %s: %d", name, got.status)
		}
	}
	if strings.Contains(w.log.String(), adminToken) {
		t.Error("the log holds the token")
	}

	if got := (&browser{w: w}).do(http.MethodPost, "/ui/deliveries/"+uuid.NewString()+"/retry", url.Values{"sure": {"yes"}}); got.status != http.StatusForbidden {
		t.Errorf("a button on the machine itself, where there is a token: %d", got.status)
	}

	closed := newWorld(t, tokenless, withPage(t)).start()
	for _, header := range []string{"X-Forwarded-For", "X-Forwarded", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-Ip"} {
		if got := (&browser{w: closed}).get("/", header, "192.0.2.7"); got.status != http.StatusForbidden {
			t.Errorf("with %s, without any token: %d", header, got.status)
		}
	}
	if got := (&browser{w: closed}).get("/"); got.status != http.StatusOK {
		t.Errorf("on the machine, without any token: %d", got.status)
	}
}

// TestPageActions presses every button: each acts once, on what it says, and not for another site's page.
func TestPageActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tokenless, withPage(t)).start()
	w.fill("200")
	b := &browser{w: w}
	state := func(table string, id uuid.UUID) (s string) {
		t.Helper()
		if err := w.db.Pool.QueryRow(t.Context(), `select state from ops.`+table+` where id = $1`, id).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := func(sql string) (id uuid.UUID) {
		t.Helper()
		if err := w.db.Pool.QueryRow(t.Context(), sql).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	step := func(kind, table string, id uuid.UUID, action, want, said string, fields ...string) {
		t.Helper()
		path := "/ui/" + kind + "/" + id.String()
		got := b.press(path, path+"/"+action, fields...)
		if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), path+"?done=") {
			t.Errorf("%s of %s: %d to %q", action, kind, got.status, got.header.Get("Location"))
			return
		}
		if s := state(table, id); s != want {
			t.Errorf("%s of %s: state %s, want %s", action, kind, s, want)
		}
		if after := b.get(got.header.Get("Location")); after.status != http.StatusOK || !strings.Contains(string(after.body), said) {
			t.Errorf("%s of %s: the page does not say %q", action, kind, said)
		}
	}
	unknown := one(`select id from ops.deliveries where state = 'unknown' and class = 'rings' order by id limit 1`)
	path := "/ui/deliveries/" + unknown.String()
	for name, try := range map[string]func() answer{
		"no word": func() answer { return b.do(http.MethodPost, path+"/confirmed", url.Values{"sure": {"yes"}}) },
		"another word": func() answer {
			return b.do(http.MethodPost, path+"/confirmed", url.Values{"sure": {"yes"}, "form": {"99999999999.x"}})
		},
		"another site": func() answer {
			b.headers = []string{"Sec-Fetch-Site", "cross-site"}
			defer func() { b.headers = nil }()
			return b.do(http.MethodPost, path+"/confirmed", url.Values{"sure": {"yes"}})
		},
		"another site's token": func() answer {
			return b.do(http.MethodPost, path+"/confirmed", url.Values{"sure": {"yes"}}, "Origin", "https://evil.example", "Authorization", "Bearer "+adminToken)
		},
	} {
		if got := try(); got.status != http.StatusForbidden || state("deliveries", unknown) != "unknown" {
			t.Errorf("%s: %d, state %s", name, got.status, state("deliveries", unknown))
		}
	}
	step("deliveries", "deliveries", unknown, "retry", "unknown", "tick the box")
	twice := b.form(path, path+"/retry", "sure", "yes")
	step("deliveries", "deliveries", unknown, "retry", "ready", "ready again", "sure", "yes")
	// A page that was drawn before, or a second click, rings nobody: not from another state, nor from the same one after another try.
	settle := `update ops.deliveries set state = 'unknown', attempts = attempts + 1, settled_at = null where id = $1`
	for _, since := range []string{"", settle} {
		if since != "" {
			w.exec(since, unknown)
		}
		was := state("deliveries", unknown)
		if got := b.do(http.MethodPost, path+"/retry", twice); got.header.Get("Location") != path+"?done=moved" || state("deliveries", unknown) != was {
			t.Errorf("a stale page, state %s: %d to %q, state %s", was, got.status, got.header.Get("Location"), state("deliveries", unknown))
		}
	}
	if n := w.count(`select count(*) from river.river_job where kind = 'deliver' and state = 'available'`); n != 1 {
		t.Errorf("%d jobs wake the destination", n)
	}
	step("deliveries", "deliveries", unknown, "cancel", "cancelled", "is cancelled", "sure", "yes")
	step("deliveries", "deliveries", one(`select id from ops.deliveries where state = 'unknown' order by id limit 1`), "confirmed", "confirmed", "settled", "sure", "yes")
	step("deliveries", "deliveries", one(`select id from ops.deliveries where state = 'unknown' order by id limit 1`), "rejected", "rejected", "settled", "sure", "yes")
	step("deliveries", "deliveries", one(`select id from ops.deliveries where state = 'rejected' and class = 'keyed' and reason <> 'operator' order by id limit 1`), "retry", "ready", "ready again")
	if got := b.do(http.MethodPost, path+"/explode", b.form(path, path+"/retry")); got.status != http.StatusNotFound {
		t.Errorf("an action that there is not: %d", got.status)
	}

	running := one(`select id from ops.backfills where state = 'running' order by id limit 1`)
	step("backfills", "backfills", running, "pause", "paused", "It is paused")
	step("backfills", "backfills", running, "resume", "running", "It goes on")
	step("backfills", "backfills", running, "cancel", "running", "tick the box")
	step("backfills", "backfills", running, "cancel", "cancelled", "is cancelled", "sure", "yes")

	post := one(`select id from ops.inbox where state = 'unclassified' and source = 'convoso' order by id limit 1`)
	w.exec(`update ops.inbox set body = $2 where id = $1`, post, []byte(`{"call_log_id": "77", "status": "CB", "lead_id": "5", "phone_number": "3055550199"}`))
	// No daemon works here: the order is kept with its wake-up, and nobody waits for it.
	step("inbox", "inbox", post, "replay", "new", "handed over")
	if n := w.count(`select count(*) from river.river_job where kind = 'inbox' and state = 'available'`); n == 0 {
		t.Error("no job wakes the inbox")
	}
	bad := one(`select id from ops.quarantine where source = 'convoso' order by id limit 1`)
	step("quarantine", "quarantine", bad, "replay", "open", "Tried again: 0 fixed")

	item := one(`select id from ops.quarantine where source = 'ipscape' order by id limit 1`)
	step("quarantine", "quarantine", item, "replay", "open", "0 fixed, 1 left")
	step("quarantine", "quarantine", item, "replay-alike", "open", "0 fixed, ")
	if !strings.Contains(w.log.String(), "a person acted on the status page") {
		t.Error("the log does not tell of what was done")
	}
}

// TestPageWithoutADatabase says so, and nothing of how.
func TestPageWithoutADatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tokenless, withPage(t)).start()
	b := &browser{w: w}
	if got := b.get("/ui/deliveries/" + uuid.NewString()); got.status != http.StatusNotFound || !strings.Contains(string(got.body), "<h1>Not Found</h1>") {
		t.Errorf("what there is not: %d", got.status)
	}
	w.db.Pool.Close()
	for _, path := range []string{"/", "/ui/deliveries", "/ui/quarantine"} {
		got := b.get(path)
		text := string(got.body)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(text, "The database cannot be read now") || strings.Contains(text, "goroutine") || strings.Contains(text, "pool") {
			t.Errorf("%s without a database: %d\n%.1500s", path, got.status, text)
		}
	}
}

// TestListsAreBounded: a list that cannot be found in time, and one that waits for its turn in vain, are refused with a page that says
// so; the page itself goes on.
func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tokenless)
	hasty, err := store.OpenPool(t.Context(), w.db.Pool.Config().ConnString(), store.PoolOptions{MaxConns: console.ListConns, Name: "lists", Statement: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hasty.Close)
	w = newWorldOn(t, w.db.Pool, tokenless, withLists(t, &store.DB{Pool: hasty, Log: w.db.Log, Clock: time.Now})).start()
	b := &browser{w: w}
	if got := b.get("/ui/deliveries"); got.status != http.StatusOK {
		t.Fatalf("a list: %d", got.status)
	}
	tx, err := w.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `lock table ops.inbox in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	got := b.get("/ui/inbox")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(string(got.body), "took too long to find") {
		t.Errorf("a list that takes too long: %d\n%.1500s", got.status, got.body)
	}
	if got := b.get("/ui/deliveries"); got.status != http.StatusOK {
		t.Errorf("another list after it: %d", got.status)
	}
}

// TestCommandsNameTheOrganisation where there are several, and only then.
func TestCommandsNameTheOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tokenless, withPage(t)).start()
	b := &browser{w: w}
	holds := func(path, want string) {
		t.Helper()
		if got := b.get(path); !strings.Contains(string(got.body), ">"+want+"</code>") {
			t.Errorf("%s lacks the command %q", path, want)
		}
	}
	holds("/ui/deliveries?state=unknown", "trunkline deliveries list --state unknown")
	if _, err := w.db.CreateOrganisation(t.Context(), "another"); err != nil {
		t.Fatal(err)
	}
	holds("/ui/deliveries?state=unknown", "trunkline deliveries list --state unknown --org ORG")
	holds("/ui/inbox", "trunkline inbox list --org ORG")
	holds("/ui/jobs", "trunkline status --json")
	holds("/", "trunkline dnc list --org ORG")
}
