package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestLendWorksReceiver(t *testing.T) {
	t.Parallel()
	const secret = vendorapi.Secret("whsec_canary-88")
	w := newWorld(t, func(c *Config) { c.LendWorksSecret = secret }).start()
	without := newWorld(t).start()
	const event = `{"id":"evt_1","event":"lead.created","timestamp":"2025-06-03T17:20:11Z","data":{"leadId":"L1"}}`
	now := func(age time.Duration) string { return fmt.Sprint(time.Now().Add(-age).Unix()) }
	for _, c := range []struct {
		name        string
		w           *world
		path, body  string
		age         time.Duration
		secret      vendorapi.Secret
		bytes       string // signed instead of the body
		status      int
		state, code string
	}{
		{name: "good", w: w, body: event, secret: secret, status: 200, state: "new"},
		{name: "once more", w: w, body: event, secret: secret, status: 200, state: "new"},
		{name: "unknown event", w: w, body: `{"event":"brand.new"}`, secret: secret, status: 200, state: "new"},
		{name: "no event", w: w, body: `{"id":"x"}`, secret: secret, status: 422, state: "unclassified"},
		{name: "no JSON", w: w, body: `id=x`, secret: secret, status: 400, state: "unparsable"},
		{name: "another secret", w: w, body: event, secret: "x", status: 401, code: "INVALID_SIGNATURE"},
		{name: "another body", w: w, body: event, secret: secret, bytes: event + " ", status: 401, code: "INVALID_SIGNATURE"},
		{name: "replayed", w: w, body: event, age: time.Hour, secret: secret, status: 401, code: "INVALID_SIGNATURE"},
		{name: "no secret here", w: without, body: event, secret: "", status: 401, code: "INVALID_SIGNATURE"},
		{name: "wrong token", w: w, path: "x", body: event, secret: secret, status: 403},
	} {
		at := now(c.age)
		signed := c.body
		if c.bytes != "" {
			signed = c.bytes
		}
		before := c.w.count("select count(*) from ops.inbox")
		got := c.w.call("POST", "/v1/webhooks/lendworks/"+c.w.token+c.path, c.body, "Content-Type", "application/json",
			lendworks.HeaderTimestamp, at, lendworks.HeaderSignature, lendworks.Sign(c.secret, at, []byte(signed)))
		if got.status != c.status || c.code != "" && got.code() != c.code {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.status)
		}
		kept := c.w.count("select count(*) from ops.inbox") - before
		if (kept == 1) != (c.state != "") {
			t.Errorf("%s: %d kept", c.name, kept)
		}
		if c.state != "" && c.w.count(`select count(*) from (select * from ops.inbox order by received_at desc limit 1) i
			where source = 'lendworks' and state = $1 and body = convert_to($2, 'UTF8')`, c.state, c.body) != 1 {
			t.Errorf("%s: not kept as %s", c.name, c.state)
		}
	}
	if got := w.call("POST", "/v1/webhooks/lendworks/"+w.token, event); got.status != 401 {
		t.Errorf("unsigned: %d", got.status)
	}
	if log := w.log.String(); strings.Contains(log, w.token) || strings.Contains(log, "canary-88") {
		t.Error("the log shows a secret")
	}
}
