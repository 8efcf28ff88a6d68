package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

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
