package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/webhook"
)

// newHookWorld is a started world with webhooks; 127.0.0.0/8 is allowed.
func newHookWorld(t *testing.T, edit ...func(*Config)) (*world, *webhook.Keyring) {
	t.Helper()
	keys := webhook.NewKeyring(filepath.Join(t.TempDir(), "webhook.key"))
	w := newWorld(t, append(edit, func(c *Config) {
		c.Webhooks = &Webhooks{
			Store: c.Keys.(*store.DB), Keys: keys, Guard: &webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		}
	})...)
	return w.start(), keys
}

type subscribed struct {
	Data map[string]any `json:"data"`
	Meta map[string]any `json:"meta"`
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	w, keys := newHookWorld(t)
	made := w.send("POST", "/v1/app-webhooks", `{"url": "http://127.0.0.1:9/hook", "events": ["lead.status_changed", "lead.created", "deal.funded", "lead.created"], "secret": "their own secret", "description": "x"}`)
	var got subscribed
	made.decode(t, &got)
	if made.status != 201 || got.Data["secret"] != "their own secret" || got.Data["isActive"] != true || got.Data["createdAt"] == nil ||
		fmt.Sprint(got.Data["events"]) != "[deal.funded lead.created lead.status_changed]" || got.Data["type"] != nil || got.Meta["requestId"] == nil {
		t.Fatalf("%d %s", made.status, made.body)
	}
	id, _ := got.Data["id"].(string)
	if !strings.HasPrefix(id, "whsub_") {
		t.Fatalf("id %q", id)
	}
	bare := w.send("POST", "/v1/app-webhooks", `{"url": "https://127.0.0.1/", "events": ["lead.stage_changed"]}`)
	var generated subscribed
	bare.decode(t, &generated)
	secret, _ := generated.Data["secret"].(string)
	if bare.status != 201 || !strings.HasPrefix(secret, "whsec_") {
		t.Fatalf("%d %s", bare.status, bare.body)
	}

	// A secret is shown once, and lies nowhere in the database.
	list := w.get("/v1/app-webhooks")
	var all struct {
		Data []map[string]any
		Meta map[string]any
	}
	list.decode(t, &all)
	if list.status != 200 || len(all.Data) != 2 || all.Data[0]["id"] != id || all.Meta["total"] != float64(2) || strings.Contains(string(list.body), "secret") {
		t.Errorf("list %d %s", list.status, list.body)
	}
	hash := sha256.Sum256([]byte(secret))
	for _, text := range []string{secret, "their own secret", hex.EncodeToString([]byte(secret)), hex.EncodeToString([]byte("their own secret")), hex.EncodeToString(hash[:])} {
		if n := w.count(`select count(*) from ops.webhook_endpoints e where e::text like '%' || $1 || '%'`, text); n != 0 {
			t.Errorf("the database holds %q", text)
		}
	}
	open := func() string {
		var sealed []byte
		endpoint := uuid.MustParse(strings.TrimPrefix(id, "whsub_"))
		if err := w.db.Pool.QueryRow(t.Context(), `select secret_sealed from ops.webhook_endpoints where endpoint_id = $1`, endpoint).Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		plain, err := keys.Open(sealed, endpoint[:])
		if err != nil {
			t.Fatal(err)
		}
		return plain.Reveal()
	}

	for _, c := range []struct{ body, field, want string }{
		{`{"isActive": false}`, "isActive", "false"},
		{`{"url": "https://127.0.0.1/other", "isActive": true}`, "url", "https://127.0.0.1/other"},
		{`{"events": ["call.ended"]}`, "events", "[call.ended]"},
		{`{"secret": "another"}`, "secret", "<nil>"},
		{`{}`, "url", "https://127.0.0.1/other"},
	} {
		changed := w.send("PATCH", "/v1/app-webhooks/"+id, c.body)
		var got subscribed
		changed.decode(t, &got)
		if changed.status != 200 || fmt.Sprint(got.Data[c.field]) != c.want {
			t.Errorf("%s: %d %s", c.body, changed.status, changed.body)
		}
	}
	if open() != "another" {
		t.Errorf("the secret is %q", open())
	}
	renewed := w.send("PATCH", "/v1/app-webhooks/"+id, `{"secret": null}`)
	renewed.decode(t, &got)
	if got.Data["secret"] != open() {
		t.Errorf("a new secret: %s, kept %q", renewed.body, open())
	}

	if gone := w.send("DELETE", "/v1/app-webhooks/"+id, ""); gone.status != 204 || len(gone.body) != 0 {
		t.Errorf("delete %d %s", gone.status, gone.body)
	}
	if again := w.send("DELETE", "/v1/app-webhooks/"+id, ""); again.status != 404 {
		t.Errorf("second delete %d", again.status)
	}
}

func TestSubscriptionFaults(t *testing.T) {
	t.Parallel()
	w, _ := newHookWorld(t)
	for body, fields := range map[string]string{
		`{}`:                          "events url",
		`{"url": 1, "events": "x"}`:   "events url",
		`{"url": null, "events": []}`: "events url",
		`{"url": "https://10.0.0.1/", "events": ["lead.created"]}`:                             "url",
		`{"url": "http://hooks.example.com/", "events": ["lead.created"]}`:                     "url",
		`{"url": "https://hooks.example.com/", "events": ["lead.deleted"]}`:                    "events",
		`{"url": "https://hooks.example.com/", "events": ["lead.created"], "secret": ""}`:      "secret",
		`{"url": "https://hooks.example.com/", "events": ["lead.created"], "secret": "a\nb"}`:  "secret",
		`{"url": "https://hooks.example.com/\u0000", "events": ["lead.created"], "secret": 1}`: "secret url",
	} {
		got := w.send("POST", "/v1/app-webhooks", body)
		var f failure
		got.decode(t, &f)
		var named []string
		for _, item := range f.Errors {
			named = append(named, fmt.Sprint(item.Detail["field"]))
		}
		if got.status != 422 || strings.Join(named, " ") != fields {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	for body, status := range map[string]int{"": 400, "{": 400, strings.Repeat("[", 100_000): 400, "null": 422, "[]": 422, `"x"`: 422} {
		if got := w.send("POST", "/v1/app-webhooks", body); got.status != status {
			t.Errorf("%.20q: %d %s", body, got.status, got.body)
		}
	}
	if n := w.count(`select count(*) from ops.webhook_endpoints`); n != 0 {
		t.Errorf("%d endpoints were made", n)
	}

	made := w.send("POST", "/v1/app-webhooks", `{"url": "https://127.0.0.1/", "events": ["lead.created"]}`)
	var got subscribed
	made.decode(t, &got)
	path := "/v1/app-webhooks/" + got.Data["id"].(string)
	for body, status := range map[string]int{
		`{"description": "x"}`: 422, `{"isActive": "yes"}`: 422, `{"url": "https://[::1]/"}`: 422, `{"events": null}`: 422, `x`: 400,
	} {
		if got := w.send("PATCH", path, body); got.status != status {
			t.Errorf("PATCH %s: %d %s", body, got.status, got.body)
		}
	}
	for _, id := range []string{"whsub_" + uuid.NewString(), uuid.NewString(), "whsub_x", strings.TrimPrefix(got.Data["id"].(string), "whsub_")} {
		if got := w.send("PATCH", "/v1/app-webhooks/"+id, `{}`); got.status != 404 {
			t.Errorf("PATCH %s: %d", id, got.status)
		}
	}

	// Other organisations have endpoints of their own, and a level says what may be done.
	other, err := w.db.CreateOrganisation(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	foreign := w.keyOf(other.ID, store.LevelFull)
	for _, c := range []struct {
		method, path, key string
		status            int
	}{
		{"GET", "/v1/app-webhooks", foreign, 200},
		{"PATCH", path, foreign, 404},
		{"DELETE", path, foreign, 404},
		{"POST", "/v1/app-webhooks", w.keyOf(w.org, store.LevelRead), 403},
		{"DELETE", path, w.keyOf(w.org, store.LevelReadWrite), 403},
		{"GET", path, "Bearer " + w.key, 405},
	} {
		got := w.call(c.method, c.path, `{"isActive": false}`, "Authorization", c.key)
		if got.status != c.status || c.status == 200 && !strings.Contains(string(got.body), `"total":0`) {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
	}
}

func TestWebhookCatalogue(t *testing.T) {
	t.Parallel()
	w, _ := newHookWorld(t)
	got := w.call("GET", "/v1/webhooks/catalog", "")
	var p page
	got.decode(t, &p)
	seen := map[string]bool{}
	for _, d := range p.Data {
		seen[d.ID] = true
		if d.Attributes["description"] == "" || len(d.Attributes["data"].(map[string]any)) == 0 {
			t.Errorf("%s says nothing: %v", d.ID, d.Attributes)
		}
	}
	if got.status != 200 || !seen["lead.created"] || !seen["lead.status_changed"] || p.Meta.Total != int64(len(p.Data)) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestSubscribedOnce repeats a subscription under its key: one endpoint, the same answer but for the secret, which lies nowhere, nor
// anything by which it could be tried out.
func TestSubscribedOnce(t *testing.T) {
	t.Parallel()
	w, _ := newHookWorld(t)
	const body = `{"url": "https://127.0.0.1/hook", "events": ["lead.created"], "secret": "their own secret"}`
	post := func(key, body string) (answer, subscribed) {
		got := w.send("POST", "/v1/app-webhooks", body, "Idempotency-Key", key)
		var s subscribed
		got.decode(t, &s)
		return got, s
	}
	made, first := post("hook-1", body)
	if made.status != 201 || first.Data["secret"] != "their own secret" || made.header.Get("Idempotency-Key-Replay") != "" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	delete(first.Data, "secret")
	for range 2 {
		again, s := post("hook-1", strings.Replace(body, `"url": `, `"url":`, 1))
		if diff := cmp.Diff(first, s); again.status != 201 || again.header.Get("Idempotency-Key-Replay") != "true" || diff != "" {
			t.Errorf("again: %d %v (-want +got):\n%s", again.status, again.header, diff)
		}
	}
	for _, other := range []string{strings.Replace(body, "their", "another's", 1), strings.Replace(body, "/hook", "/other", 1)} {
		if got, _ := post("hook-1", other); got.status != 422 || got.code() != codeIdempotencyReused {
			t.Errorf("%s: %d %s", other, got.status, got.body)
		}
	}
	if got, _ := post("hook 1", body); got.code() != codeIdempotencyInvalid {
		t.Errorf("a key that is none: %d %s", got.status, got.body)
	}
	bare, s := post("hook-2", `{"url": "https://127.0.0.1/", "events": ["lead.created"]}`)
	secret, _ := s.Data["secret"].(string)
	if bare.status != 201 || secret == "" {
		t.Fatalf("%d %s", bare.status, bare.body)
	}
	if n := w.count(`select count(*) from ops.webhook_endpoints`); n != 2 {
		t.Errorf("%d endpoints", n)
	}
	for _, text := range []string{"their own secret", secret} {
		if n := w.count(`select count(*) from ops.idempotency where position(convert_to($1, 'UTF8') in body) > 0`, text); n != 0 {
			t.Errorf("%q is kept with an answer", text)
		}
	}
	guess := httptest.NewRequest(http.MethodPost, "/v1/app-webhooks", nil)
	plain := fingerprint(guess, []byte(body))
	if n := w.count(`select count(*) from ops.idempotency where request_hash = $1`, plain[:]); n != 0 {
		t.Error("the hash of the request tells whoever guesses the secret that it is right")
	}
}
