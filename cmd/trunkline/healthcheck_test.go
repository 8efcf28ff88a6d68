package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealthcheckSaysWhatTheDaemonSays asks servers that answer as a daemon does in each state, and others.
func TestHealthcheckSaysWhatTheDaemonSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   int
		body   string
		args   []string
		exit   int
		stdout string
		stderr string
	}{
		"ready":   {200, `{"status":"ready","checks":{"database":"ok"}}`, nil, exitDone, "ready\n", ""},
		"unready": {503, `{"status":"unready","checks":{"database":"failed","schema":"timed_out","serving":"ok"}}`, nil, exitFailed, "", "unready: database failed, schema timed_out"},
		"alive":   {200, `{"status":"ok"}`, []string{"--live"}, exitDone, "ok\n", ""},
		"another": {200, `<html>`, nil, exitFailed, "", "not as trunkline does"},
		"moved":   {302, ``, nil, exitFailed, "", "not as trunkline does"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if want := map[bool]string{false: "/readyz", true: "/healthz"}[len(c.args) > 0]; r.URL.Path != want {
					t.Errorf("asked %s, want %s", r.URL.Path, want)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.body)
			}))
			t.Cleanup(server.Close)
			_, port, err := net.SplitHostPort(server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			// As in a container: it listens everywhere, and a proxy is set that must not be asked.
			env := map[string]string{"TRUNKLINE_HTTP_ADDR": "0.0.0.0:" + port, "HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
			got := runChild(t, env, append([]string{"healthcheck"}, c.args...)...)
			if got.code != c.exit || got.stdout != c.stdout || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("%s", got)
			}
		})
	}
	nobody := runChild(t, map[string]string{"TRUNKLINE_HTTP_ADDR": "127.0.0.1:1"}, "healthcheck")
	if nobody.code != exitFailed || !strings.Contains(nobody.stderr, "refused") {
		t.Errorf("nobody there: %s", nobody)
	}
	anyPort := runChild(t, map[string]string{"TRUNKLINE_HTTP_ADDR": "127.0.0.1:0"}, "healthcheck")
	if anyPort.code != exitFailed || !strings.Contains(anyPort.stderr, "any free port") {
		t.Errorf("any port: %s", anyPort)
	}
}
