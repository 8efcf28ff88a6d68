package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

const disposition = `{"call_log_id":"2073617401","lead_id":"48213377","phone_number":"5035550142","phone_code":"1","status":"CB",` +
	`"user_id":"66318","call_date":"2025-06-03 10:17:42"}`

func TestReceiverKeepsEveryState(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	base := "/v1/dialer/convoso/" + w.token
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, method, path, kind, body string
		status                         int
		state, event                   string
	}{
		{"json", "POST", base + "?event=disposition", "application/json", disposition, 200, "new", ""},
		{"event in the path", "POST", base + "/disposition", "application/json", disposition, 200, "new", "disposition"},
		{"trailing slash", "POST", base + "/", "application/json", disposition, 200, "new", ""},
		{"form", "POST", base, form, "call_log_id=2073617401&status=CB&agent_comment=3+pm+%26+docs", 200, "new", ""},
		{"get", "GET", base + "?call_log_id=2073617401&status=CB&phone_number=5035550142", "", "", 200, "new", ""},
		{"odd content type", "POST", base, "text/plain; \xff", disposition, 200, "new", ""},
		{"empty", "POST", base, "application/json", "", 400, "unparsable", ""},
		{"broken", "POST", base, "application/json", `{"call_log_id":`, 400, "unparsable", ""},
		{"nobody knows", "POST", base, "application/json", `{"foo":"bar"}`, 422, "unclassified", ""},
		{"NUL in the path", "POST", base + "/%00%ff", "application/json", disposition, 200, "new", "\uFFFD\uFFFD"},
	} {
		got := w.call(c.method, c.path, c.body, "Content-Type", c.kind)
		if got.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.status)
			continue
		}
		var ok received
		var f failure
		if c.status == 200 {
			got.decode(t, &ok)
			if !ok.Success || ok.Facts < 1 || ok.Meta.RequestID == "" {
				t.Errorf("%s: %s", c.name, got.body)
			}
		} else if got.decode(t, &f); f.Success == nil || *f.Success || f.Meta == nil {
			t.Errorf("%s: %s", c.name, got.body)
		}
		var id uuid.UUID
		var state, method, event, source, query string
		var body []byte
		err := w.db.Pool.QueryRow(t.Context(), `select id, state, method, event_path, source, query, body from ops.inbox
			where org_id = $1 order by received_at desc limit 1`, w.org).Scan(&id, &state, &method, &event, &source, &query, &body)
		if err != nil {
			t.Fatal(err)
		}
		if state != c.state || method != c.method || string(body) != c.body || event != c.event || source != "convoso" ||
			c.status == 200 && id.String() != ok.ID || strings.Contains(query, w.token) {
			t.Errorf("%s: kept as %s %s %q %q of %s, id %s", c.name, state, method, event, body, source, id)
		}
	}
	if n := w.count("select count(*) from ops.inbox where body = convert_to($1, 'UTF8')", disposition); n != 5 {
		t.Errorf("the same post sent five times is kept %d times", n)
	}
	for result, want := range map[string]string{"accepted": "7", "unparsable": "2", "unclassified": "1"} {
		line := fmt.Sprintf("trunkline_ingest_posts_total{result=%q} %s\n", result, want)
		if !strings.Contains(string(w.call("GET", "/metrics", "").body), line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}

func TestReceiverTokens(t *testing.T) {
	t.Parallel()
	fixedOrg := uuid.New()
	w := newWorld(t, func(c *Config) {
		c.FixedTokens = map[[32]byte]uuid.UUID{store.HashReceiverToken("token-of-the-environment"): fixedOrg}
	}).start()
	bodies := map[string]bool{}
	for i := range 200 { // far past what one address may guess
		got := w.call("POST", fmt.Sprintf("/v1/dialer/convoso/%s%d", w.token[:20], i), disposition)
		if got.status != 403 {
			t.Fatalf("wrong token %d: %d", i, got.status)
		}
		bodies[string(got.body)] = true
	}
	for _, odd := range []string{"%00", "%FF", "'%20or%201=1", strings.Repeat("a", 5000), w.token + "%20"} {
		got := w.call("POST", "/v1/dialer/convoso/"+odd, disposition)
		if got.status != 403 {
			t.Errorf("odd token: %d", got.status)
		}
		bodies[string(got.body)] = true
	}
	if len(bodies) != 1 {
		t.Errorf("wrong tokens get %d different answers", len(bodies))
	}
	if n := w.count("select count(*) from ops.inbox"); n != 0 {
		t.Errorf("%d posts with a wrong token were kept", n)
	}
	// Guessing must not shut out who is in the right.
	if got := w.post("", disposition); got.status != 200 {
		t.Errorf("right token after wrong ones: %d", got.status)
	}
	if got := w.call("POST", "/v1/dialer/convoso/token-of-the-environment", disposition); got.status != 200 {
		t.Errorf("environment's token: %d", got.status)
	}
	if n := w.count("select count(*) from ops.inbox where org_id = $1", fixedOrg); n != 1 {
		t.Errorf("%d posts of the environment's organisation", n)
	}
	// A replaced token stops soon, the new one works at once.
	fresh, err := w.db.MakeReceiverToken(t.Context(), w.org, true)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for w.post("", disposition).status != 403 {
		if time.Now().After(deadline) {
			t.Fatal("the old token still works")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got := w.call("POST", "/v1/dialer/convoso/"+fresh, disposition); got.status != 200 {
		t.Errorf("new token: %d", got.status)
	}
}

func TestNewTokenWorksAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	if got := w.call("POST", "/v1/dialer/convoso/wrong", disposition); got.status != 403 { // the tokens are in memory now
		t.Fatalf("%d", got.status)
	}
	org, err := w.db.CreateOrganisation(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.db.MakeReceiverToken(t.Context(), org.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.call("POST", "/v1/dialer/convoso/"+token, disposition); got.status != 200 {
		t.Errorf("a token made a moment ago: %d", got.status)
	}
}

func TestGuessLimit(t *testing.T) {
	t.Parallel()
	now := time.Now()
	counted := &countingTokens{}
	ring := newTokenRing(&Config{Now: func() time.Time { return now }, Tokens: counted})
	r := &http.Request{RemoteAddr: "192.0.2.7:1234"}
	for range 1000 {
		if _, ok, err := ring.organisation(r.WithContext(t.Context()), "wrong"); ok || err != nil {
			t.Fatalf("wrong token: %t, %v", ok, err)
		}
	}
	if n := counted.n; n < guessBurst || n > guessBurst+2 {
		t.Errorf("1,000 guesses read the tokens %d times", n)
	}
	before := counted.n
	other := &http.Request{RemoteAddr: "192.0.2.8:1234"}
	if _, _, err := ring.organisation(other.WithContext(t.Context()), "wrong"); err != nil || counted.n != before+1 {
		t.Errorf("another address is limited too: %v", err)
	}
	limit := newGuessLimit(func() time.Time { return now })
	for i := range 3 * guessPeers {
		limit.allow(addr(t, fmt.Sprintf("2001:db8:%x:%x::1", i/65536, i%65536)))
	}
	if len(limit.buckets) > guessPeers {
		t.Errorf("%d addresses are remembered", len(limit.buckets))
	}
	for range guessBurst {
		limit.allow(addr(t, "2001:db9::1"))
	}
	if limit.allow(addr(t, "2001:db9::ffff")) {
		t.Error("addresses of one IPv6 network are counted apart")
	}
	now = now.Add(time.Minute)
	if !limit.allow(addr(t, "2001:db9::1")) {
		t.Error("a minute later the address is still limited")
	}
}

// A suppression must be there at the very moment of the 200, and what was ready to ring must not be.
func TestDNCPostSuppressesBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	delivery := func(phone string) uuid.UUID {
		id := uuid.New()
		w.exec(`insert into ops.deliveries (id, org_id, account_id, destination, operation, class, phone, state, source_time, not_before,
			created_at, dedupe) values ($1, $2, 'default', 'convolo', 'start_call', 'rings', $3, 'ready', now(), now(), now(), $4)`,
			id, w.org, phone, id.String())
		return id
	}
	hit, miss := delivery("+15035550142"), delivery("+15035550143")
	got := w.post("?event=dnc", `{"lead_id":"48213377","phone_number":"5035550142","phone_code":"1","status":"DNC","call_log_id":"1"}`)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if n := w.count(`select count(*) from ops.suppressions where org_id = $1 and kind = 'phone' and value = '+15035550142'
		and source = 'convoso' and stream = 'dnc' and folded_at is null and reason = 'DNC'`, w.org); n != 1 {
		t.Errorf("%d suppressions of the phone", n)
	}
	for id, want := range map[uuid.UUID]string{hit: "cancelled", miss: "ready"} {
		if n := w.count("select count(*) from ops.deliveries where id = $1 and state = $2", id, want); n != 1 {
			t.Errorf("delivery to %s is not %s", id, want)
		}
	}
	// Without a usable phone the vendor's key of the lead stands for it.
	if got := w.post("?event=dnc", `{"lead_id":"48213378","status":"DNC","call_log_id":"2"}`); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if n := w.count(`select count(*) from ops.suppressions where kind = $1 and account_id = 'default' and value = '48213378'`,
		string(pipeline.KeyConvosoLead)); n != 1 {
		t.Errorf("%d suppressions of the lead key", n)
	}
	// And where nothing but the call is told, the call.
	if got := w.post("?event=dnc", `{"call_log_id":"3"}`); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if n := w.count(`select count(*) from ops.suppressions where kind = 'call:convoso' and account_id = 'default' and value = '3'`); n != 1 {
		t.Errorf("%d suppressions of the call", n)
	}
	if got := w.post("?event=dnc", `{"email":"ana@birchhill.example"}`); got.status != 422 {
		t.Errorf("an opt-out of nobody: %d %s", got.status, got.body)
	}
}

// openingIntake opens once so many posts have come.
type openingIntake struct {
	Intake
	come atomic.Int64
	at   int64
	open func()
}

func (i *openingIntake) Accept(ctx context.Context, post store.Post) error {
	if i.come.Add(1) == i.at {
		i.open()
	}
	return i.Intake.Accept(ctx, post)
}

// The database takes its time for the first posts until half of them have come: those that came meanwhile go together.
func TestConcurrentPostsShareCommits(t *testing.T) {
	t.Parallel()
	const posts = 200
	hold := make(chan struct{})
	open := sync.OnceFunc(func() { close(hold) })
	w := newWorld(t, func(c *Config) { c.Intake = &openingIntake{Intake: c.Intake, at: posts / 2, open: open} })
	w.hold = hold
	w.start()
	defer time.AfterFunc(2*time.Second, open).Stop() // or the first of them would be told that it takes too long
	var wg sync.WaitGroup
	for i := range posts {
		wg.Go(func() {
			got := w.post("", fmt.Sprintf(`{"call_log_id":"%d","status":"CB","phone_number":"5035550142"}`, i))
			if got.status != 200 {
				t.Errorf("post %d: %d %s", i, got.status, got.body)
			}
		})
	}
	wg.Wait()
	if n := w.count("select count(distinct body) from ops.inbox where org_id = $1", w.org); n != posts {
		t.Errorf("%d of %d posts are in the inbox", n, posts)
	}
	if groups := w.groups.Load(); groups < 1 || groups > posts*3/4 {
		t.Errorf("%d transactions for %d posts", groups, posts)
	}
}
