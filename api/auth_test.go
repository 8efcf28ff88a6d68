package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	other, err := w.db.CreateOrganisation(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	make := func(order store.NewAPIKey) (store.APIKey, string) {
		key, text, err := w.db.CreateAPIKey(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		return key, text
	}
	_, expired := make(store.NewAPIKey{Org: w.org, ExpiresAt: time.Now().Add(-time.Second)})
	revoked, revokedText := make(store.NewAPIKey{Org: w.org})
	if err := w.db.RevokeAPIKey(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	inGrace, inGraceText := make(store.NewAPIKey{Org: w.org})
	_, rotatedText, err := w.db.RotateAPIKey(t.Context(), inGrace.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, otherText := make(store.NewAPIKey{Org: other.ID})
	mine := w.lead(w.org, "Mine", time.Now())
	for _, c := range []struct {
		name, key string
		status    int
		code      string
	}{
		{"plain", w.key, 200, ""},
		{"environment's", envKey, 200, ""},
		{"expired", expired, 401, codeKeyExpired},
		{"revoked", revokedText, 401, codeKeyRevoked},
		{"rotated, within grace", inGraceText, 200, ""},
		{"new one", rotatedText, 200, ""},
		{"another organisation's", otherText, 404, codeNotFound},
	} {
		for range 2 { // the second time from the cache
			got := w.call("GET", "/v1/leads/"+mine.String(), "", "Authorization", "bearer "+c.key)
			if got.status != c.status || got.code() != c.code {
				t.Errorf("%s: %d %s, want %d %s", c.name, got.status, got.code(), c.status, c.code)
			}
		}
	}
	if got := w.call("GET", "/v1/leads", "", "Authorization", "Bearer "+otherText); !strings.Contains(string(got.body), `"total":0`) {
		t.Errorf("another organisation sees %s", got.body)
	}
}

func TestRevocationIsSeenSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	key, text, err := w.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: w.org})
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + text
	if got := w.call("GET", "/v1/leads", "", "Authorization", bearer); got.status != 200 {
		t.Fatalf("%d", got.status)
	}
	if err := w.db.RevokeAPIKey(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for w.call("GET", "/v1/leads", "", "Authorization", bearer).code() != codeKeyRevoked {
		if time.Now().After(deadline) {
			t.Fatal("a revoked key still works after a minute")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestKeyLevels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, method := range []string{"GET", "POST", "PATCH", "PUT", "DELETE"} {
		w.server.handle(method+" /thing", keyed, func(rw http.ResponseWriter, _ *http.Request) error {
			return writeJSON(rw, http.StatusOK, "done")
		})
	}
	w.start()
	for level, allowed := range map[store.KeyLevel]string{
		store.LevelRead: "GET", store.LevelReadWrite: "GET POST PATCH PUT", store.LevelFull: "GET POST PATCH PUT DELETE",
	} {
		_, key, err := w.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: w.org, Level: level})
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "POST", "PATCH", "PUT", "DELETE"} {
			got := w.call(method, "/thing", "", "Authorization", "Bearer "+key)
			if strings.Contains(allowed, method) {
				if got.status != 200 {
					t.Errorf("%s with level %s: %d", method, level, got.status)
				}
				continue
			}
			text := string(got.body)
			if got.status != 403 || got.code() != codeForbidden || !strings.Contains(text, string(level)) || !strings.Contains(text, method) {
				t.Errorf("%s with level %s: %d %s", method, level, got.status, text)
			}
		}
	}
}

func TestLastUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	for range 5 {
		w.get("/v1/leads")
	}
	deadline := time.Now().Add(time.Minute)
	for w.count("select count(*) from ops.api_keys where last_used_at is not null") != 1 {
		if time.Now().After(deadline) {
			t.Fatal("the key's use was not noted")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestTouchNeverBlocks(t *testing.T) {
	t.Parallel()
	k := newKeyring(&Config{Now: time.Now})
	for range 10 * cap(k.touches) { // nobody reads
		k.touch(store.APIKey{ID: uuid.New()}, time.Now())
	}
	if len(k.touches) != cap(k.touches) {
		t.Errorf("%d orders wait, want %d", len(k.touches), cap(k.touches))
	}
}
