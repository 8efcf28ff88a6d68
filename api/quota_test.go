package api

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

// TestMonthlyQuota lets two daemons serve one key: together they let through what it has in a month, and its successor has no other
// month.
func TestMonthlyQuota(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	first := newWorldOn(t, pool).start()
	second := newWorldOn(t, pool).start()
	key, text, err := first.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: first.org, Name: "small plan", Tier: store.TierBasic, MonthlyQuota: 5})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(w *world, key string) answer {
		return w.call("GET", "/v1/leads", "", "Authorization", "Bearer "+key)
	}
	for i := range 5 {
		if a := ask([]*world{first, second}[i%2], text); a.status != http.StatusOK {
			t.Fatalf("request %d: %d %s", i+1, a.status, a.body)
		}
	}
	for _, w := range []*world{first, second} {
		over := ask(w, text)
		var s sent
		over.decode(t, &s)
		if over.status != http.StatusTooManyRequests || over.code() != "MONTHLY_QUOTA_EXCEEDED" || over.header.Get("X-RateLimit-Limit") != "100" {
			t.Fatalf("%d %s %v", over.status, over.body, over.header)
		}
		wait, err := strconv.Atoi(over.header.Get("Retry-After"))
		resets, bad := time.Parse(time.RFC3339, s.Errors[0].Detail["resetAt"].(string))
		if err != nil || wait < 1 || wait > 31*24*3600 || bad != nil || resets.Day() != 1 || resets.Hour() != 0 || !resets.After(time.Now()) || s.Errors[0].Detail["currentPlan"] != "basic" {
			t.Errorf("Retry-After %q, detail %v", over.header.Get("Retry-After"), s.Errors[0].Detail)
		}
	}
	_, next, err := first.db.RotateAPIKey(t.Context(), key.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(first, next); a.code() != "MONTHLY_QUOTA_EXCEEDED" {
		t.Errorf("the key's successor: %d %s", a.status, a.body)
	}
	// The month before is another one.
	first.exec(`update ops.api_usage set month = month - interval '1 month' where key_id = $1`, key.ID)
	deadline := time.Now().Add(time.Minute)
	for ask(second, text).status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("nothing was let through in the next month")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestQuotaGivesBack charges a key for what it used.
func TestQuotaGivesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	key, text, err := w.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: w.org, Name: "large plan", Tier: store.TierNone, MonthlyQuota: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.call("GET", "/v1/leads", "", "Authorization", "Bearer "+text); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	deadline := time.Now().Add(time.Minute)
	for w.count("select coalesce(sum(requests), 0) from ops.api_usage where key_id = $1", key.ID) != 1 {
		if time.Now().After(deadline) {
			t.Fatal("what was leased and not used was not given back")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
