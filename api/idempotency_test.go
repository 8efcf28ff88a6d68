package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/store"
)

func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	const key = "lead-0123_ABC"
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	ids := map[string]bool{}
	replays := 0
	for range 50 {
		wg.Go(func() {
			a := w.send("POST", "/v1/leads", wholeLead, "Idempotency-Key", key)
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
			switch a.status {
			case http.StatusCreated:
				var s sent
				if json.Unmarshal(a.body, &s) == nil {
					ids[s.Data.ID] = true
				}
				if a.header.Get("Idempotency-Key-Replay") == "true" {
					replays++
				}
			case http.StatusConflict:
				if a.code() != codeIdempotencyConflict || a.header.Get("Retry-After") == "" {
					t.Errorf("conflict: %s", a.body)
				}
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || seen[http.StatusCreated]-replays != 1 {
		t.Errorf("fifty requests: statuses %v, leads %v, %d replays", seen, ids, replays)
	}
	if n := w.count("select count(*) from pipeline.leads"); n != 1 {
		t.Errorf("%d leads", n)
	}
	first := w.send("POST", "/v1/leads", wholeLead, "Idempotency-Key", key)
	if again := w.send("POST", "/v1/leads", strings.Replace(wholeLead, ",", " ,\n", 1), "Idempotency-Key", key); !cmp.Equal(again.body, first.body) ||
		again.header.Get("Idempotency-Key-Replay") != "true" || again.status != http.StatusCreated {
		t.Errorf("replay %d %s", again.status, again.body)
	}
	if a := w.send("POST", "/v1/leads", `{}`, "Idempotency-Key", key); a.status != http.StatusUnprocessableEntity || a.code() != codeIdempotencyReused {
		t.Errorf("another body: %d %s", a.status, a.body)
	}
	for _, bad := range []string{"", "a b", "a/b", "a:b", "a.b", strings.Repeat("a", 257), "é"} {
		if a := w.send("POST", "/v1/leads", `{}`, "Idempotency-Key", bad); a.status != http.StatusUnprocessableEntity || a.code() != codeIdempotencyInvalid {
			t.Errorf("key %q: %d %s", bad, a.status, a.body)
		}
	}
	// An error is not kept: the key may be tried again. It is ignored on GET.
	if a := w.send("POST", "/v1/leads", `{"priority": 1}`, "Idempotency-Key", "later"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", a.status)
	}
	if a := w.send("POST", "/v1/leads", `{"priority": "low"}`, "Idempotency-Key", "later"); a.status != http.StatusCreated || a.header.Get("Idempotency-Key-Replay") != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.send("GET", "/v1/leads", "", "Idempotency-Key", "a b"); a.status != http.StatusOK {
		t.Errorf("GET: %d", a.status)
	}
	// A day later it is another request.
	w.exec("update ops.idempotency set expires_at = now() where key = $1", "later")
	if a := w.send("POST", "/v1/leads", `{"priority": "low"}`, "Idempotency-Key", "later"); a.header.Get("Idempotency-Key-Replay") != "" {
		t.Error("an answer was repeated after its time")
	}
	w.exec("update ops.idempotency set expires_at = now()")
	if err := (&store.Upkeeper{DB: w.db, Retention: store.Retention{History: time.Hour, Inbox: time.Hour}}).Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count("select count(*) from ops.idempotency"); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}
