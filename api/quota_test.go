package api

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

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

// TestRotationIsNoSecondQuota spends a month through the old key and the new one at once.
func TestRotationIsNoSecondQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	key, text, err := w.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: w.org, Name: "small plan", Tier: store.TierNone, MonthlyQuota: 6})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{text}
	for range 2 {
		next, text, err := w.db.RotateAPIKey(t.Context(), key.ID, time.Hour)
		if err != nil || next.Family != key.Family {
			t.Fatalf("family %s of %s, %v", next.Family, key.Family, err)
		}
		key, keys = next, append(keys, text)
	}
	let := 0
	for i := range 12 {
		if a := w.call("GET", "/v1/leads", "", "Authorization", "Bearer "+keys[i%len(keys)]); a.status == http.StatusOK {
			let++
		} else if a.code() != codeMonthlyQuota {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if let != 6 {
		t.Errorf("%d requests were let through by a quota of 6", let)
	}
}

// slowKeys looks keys up when it is let.
type slowKeys struct {
	KeyChecker
	asked, let chan struct{}
}

func (s *slowKeys) APIKeyByPrefix(ctx context.Context, prefix string) (store.APIKey, error) {
	close(s.asked)
	<-s.let
	return s.KeyChecker.APIKeyByPrefix(ctx, prefix)
}

// TestStopGivesBack stops a server while a request is served: what is leased for it by then and not used is given back too.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	slow := &slowKeys{asked: make(chan struct{}), let: make(chan struct{})}
	w := newWorld(t, func(c *Config) {
		slow.KeyChecker = c.Keys
		c.Keys = slow
	}).start()
	key, text, err := w.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: w.org, Name: "large plan", Tier: store.TierBasic, MonthlyQuota: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan answer, 1)
	go func() { served <- w.call("GET", "/v1/leads", "", "Authorization", "Bearer "+text) }()
	<-slow.asked
	stopped := make(chan error, 1)
	go func() { stopped <- w.server.Stop(t.Context()) }()
	<-w.server.stop
	time.Sleep(50 * time.Millisecond) // who gives back at once has done so
	close(slow.let)
	if a := <-served; a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if n := w.count("select coalesce(sum(requests), 0) from ops.api_usage where key_id = $1", key.ID); n != 1 {
		t.Errorf("%d requests of the month are counted, want 1", n)
	}
	if n := w.count("select coalesce(sum(l.value::integer), 0) from ops.rate_windows, jsonb_each_text(leases) l where key_id = $1", key.ID); n != 1 {
		t.Errorf("%d requests of the minute are counted, want 1", n)
	}
}

// hungLeaser takes as long as it is told, and has nothing then.
type hungLeaser struct {
	asked   chan struct{}
	release chan error
}

func (h *hungLeaser) ask() error {
	h.asked <- struct{}{}
	return <-h.release
}

func (h *hungLeaser) TakeQuota(context.Context, uuid.UUID, time.Time, int64, int, int) (int, error) {
	return 1, h.ask()
}

func (h *hungLeaser) TakeRate(context.Context, uuid.UUID, int, int, int, int64) (store.RateLease, error) {
	return store.RateLease{}, h.ask()
}

// TestHungCountHoldsNobody: of a database that does not answer one request asks now and then, and no other waits for it.
func TestHungCountHoldsNobody(t *testing.T) {
	t.Parallel()
	for name, taking := range map[string]func(h *hungLeaser, now func() time.Time) func() error{
		"quota": func(h *hungLeaser, now func() time.Time) func() error {
			q := newQuotas(&Config{Quotas: h, Now: now, Log: newWorldLog()}, &absence{})
			return func() error {
				_, err := q.take(t.Context(), uuid.Nil, 1000)
				return err
			}
		},
		"rate": func(h *hungLeaser, now func() time.Time) func() error {
			l := newLimiter(&Config{Rates: h, Now: now, Log: newWorldLog()}, &absence{})
			return func() error {
				_, err := l.take(t.Context(), uuid.Nil, 100)
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := atomic.Int64{}
			h := &hungLeaser{asked: make(chan struct{}), release: make(chan error)}
			take := taking(h, func() time.Time { return time.Unix(0, at.Load()) })
			first := make(chan error, 1)
			for range 2 {
				go func() { first <- take() }()
				<-h.asked
				if at.Load() > 0 {
					// Somebody asks again; nobody else does, and nobody waits.
					if err := take(); !store.Unavailable(err) {
						t.Errorf("beside one that asks again: %v", err)
					}
				}
				h.release <- store.ErrUnavailable
				if err := <-first; !store.Unavailable(err) {
					t.Errorf("who asked: %v", err)
				}
				if err := take(); !store.Unavailable(err) {
					t.Errorf("right after: %v", err)
				}
				at.Add(int64(absenceKept))
			}
			go func() { first <- take() }()
			<-h.asked
			h.release <- nil
			if err := <-first; err != nil {
				t.Errorf("once it answers: %v", err)
			}
		})
	}
}
