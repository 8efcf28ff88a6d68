package api

import (
	"context"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/api/console"
	"github.com/trunkline/trunkline/store"
)

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
				for _, bad := range []string{"<script>alert", "<b>", "Canaria", "Canary Holdings", "@canary.example", "5550123", "+1305555", "style=", "{&#34;age", "://", "ZgotmplZ", "NaN", "%!", "0001-01-01", "token=secret"} {
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
			for _, want := range []string{"&lt;script&gt;alert(&#34;campaign&#34;)", "&lt;script&gt;alert(&#34;shape&#34;)", "not understood", "&#43;*********", "Xxxxxxx", "trunkline deliveries resolve", "Checks before request 1", "nobody opted out", "Refused by", "<progress", `class="hole"`, `class="covered"`, "duplicate_phone"} {
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
