package gate_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// A 429 pauses the account in the database for as long as the vendor says, in whatever way it says so, within bounds; a client of
// another daemon is told how long that is.
func TestRetryAfterPausesTheAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"seconds":         {http.Header{"Retry-After": {"45"}}, 45 * time.Second},
		"a date":          {http.Header{"Retry-After": {"Mon, 02 Mar 2026 09:00:50 GMT"}, "Date": {"Mon, 02 Mar 2026 09:00:00 GMT"}}, 50 * time.Second},
		"none":            {nil, time.Minute},
		"no number":       {http.Header{"Retry-After": {"soon"}}, time.Minute},
		"below zero":      {http.Header{"Retry-After": {"-5"}}, time.Minute},
		"absurdly long":   {http.Header{"Retry-After": {"99999999999999999999"}}, time.Hour},
		"a date far away": {http.Header{"Retry-After": {"Mon, 02 Mar 2099 09:00:00 GMT"}}, time.Hour},
		"nothing to wait": {http.Header{"Retry-After": {"0"}}, time.Second},
		"a date gone by":  {http.Header{"Retry-After": {"Mon, 02 Mar 2020 09:00:00 GMT"}}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, 0)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for name, values := range c.header {
					w.Header()[name] = values
				}
				w.WriteHeader(http.StatusTooManyRequests)
			}))
			t.Cleanup(server.Close)
			base, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			client := vendorapi.Client{
				Vendor: "ipscape", Base: base, HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler), Timeout: 5 * time.Second, Gate: a.gate(),
			}
			before := time.Now()
			if _, err := client.Do(t.Context(), vendorapi.Request{Op: "list", Method: http.MethodGet, Path: "/", Lane: vendorapi.Backfill}); vendorapi.KindOf(err) != vendorapi.Limited {
				t.Fatal(err)
			}
			b, err := a.db.LookBudget(t.Context(), a.cfg.Key)
			if err != nil || b.Paused > c.want || b.Paused < c.want-time.Since(before) {
				t.Errorf("the account is paused for %s, want %s: %v", b.Paused, c.want, err)
			}
		})
	}
}
