package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

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
