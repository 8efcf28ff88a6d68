package api

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestConvoloReceiver(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	base := "/v1/dialer/convolo/" + w.token
	const form = "application/x-www-form-urlencoded"
	const start = `{"type":"start_call","call_id":"c1","called_lead_phone":"+15034251234","lead":{"lead_phone":"+15034251234","custom_params":{"lc_param_ref":"x"}}}`
	for _, c := range []struct {
		name, method, path, kind, body string
		status                         int
		state                          string
	}{
		{"json", "POST", base, "application/json", start, 200, "new"},
		{"slash", "POST", base + "/", "application/json", start, 200, "new"},
		{"form", "POST", base, form, "type=end_call&call_id=c1&lead%5Blead_phone%5D=%2B15034251234", 200, "new"},
		{"form under a JSON header", "POST", base, "application/json", "type=end_call&call_id=c1", 200, "new"},
		{"JSON under a form header", "POST", base, form, start, 200, "new"},
		{"nulls", "POST", base, "application/json", `{"type":"end_call","call_id":"c1","agent":null,"lead":null,"talk_duration_sec":null}`, 200, "new"},
		{"wrong types", "POST", base, "application/json", `{"type":"end_call","call_id":7,"agent":"x","lead":[1],"talk_duration_sec":{}}`, 200, "new"},
		{"unknown type", "POST", base, "application/json", `{"type":"brand_new"}`, 200, "new"},
		{"list", "POST", base, "application/json", "[" + start + "," + start + "]", 200, "new"},
		{"no type", "POST", base, "application/json", `{"call_id":"c1"}`, 422, "unclassified"},
		{"broken", "POST", base, "application/json", `{"type":`, 400, "unparsable"},
		{"empty", "POST", base, "application/json", "", 400, "unparsable"},
		{"get", "GET", base + "?type=x", "", "", 405, ""},
		{"wrong token", "POST", base + "x", "application/json", start, 403, ""},
		{"too large", "POST", base, "application/json", strings.Repeat(" ", maxReceiverBody+1), 413, ""},
	} {
		before := w.count("select count(*) from ops.inbox")
		got := w.call(c.method, c.path, c.body, "Content-Type", c.kind)
		if got.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.status)
		}
		kept := w.count("select count(*) from ops.inbox") - before
		if c.state == "" {
			if kept != 0 {
				t.Errorf("%s: kept", c.name)
			}
			continue
		}
		if n := w.count(`select count(*) from (select * from ops.inbox order by received_at desc limit 1) i where source = 'convolo' and state = $1
			and body = convert_to($2, 'UTF8') and org_id = $3`, c.state, c.body, w.org); kept != 1 || n != 1 {
			t.Errorf("%s: %d kept, %d of them as %s", c.name, kept, n, c.state)
		}
	}
	if log := w.log.String(); strings.Contains(log, w.token) || strings.Contains(log, "5034251234") {
		t.Error("the log shows the token or a phone")
	}
}

// Who may not post as Convoso is told the same as who has a wrong token; the other receivers know no such list.
func TestConvosoAllowList(t *testing.T) {
	t.Parallel()
	outside := newWorld(t, func(c *Config) { c.ConvosoFrom = []netip.Prefix{netip.MustParsePrefix("66.85.240.0/21")} }).start()
	wrong := outside.call(http.MethodPost, "/v1/dialer/convoso/wrong", disposition)
	right := outside.call(http.MethodPost, "/v1/dialer/convoso/"+outside.token, disposition, "X-Forwarded-For", "66.85.240.7", "Forwarded", "for=66.85.240.7")
	if right.status != 403 || string(right.body) != string(wrong.body) {
		t.Errorf("from outside: %d %s", right.status, right.body)
	}
	if n := outside.count("select count(*) from ops.inbox"); n != 0 {
		t.Errorf("%d posts from outside were kept", n)
	}
	if got := outside.call(http.MethodPost, "/v1/dialer/convolo/"+outside.token, `{"type":"x"}`); got.status != 200 {
		t.Errorf("convolo: %d", got.status)
	}
	inside := newWorld(t, func(c *Config) {
		c.ConvosoFrom = []netip.Prefix{netip.MustParsePrefix("66.85.240.0/21"), netip.MustParsePrefix("127.0.0.0/8")}
	}).start()
	if got := inside.post("", disposition); got.status != 200 {
		t.Errorf("from inside: %d %s", got.status, got.body)
	}
}
