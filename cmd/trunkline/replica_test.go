package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store/storetest"
)

// TestReplica runs a daemon that reads from a standby: it answers from there, shows a key what the key wrote while the standby's replay
// stands still, and goes on answering, ready, when the standby is gone.
func TestReplica(t *testing.T) {
	t.Parallel()
	pair := storetest.NewPair(t)
	env := map[string]string{
		"DATABASE_URL": pair.Primary, "TRUNKLINE_READ_DATABASE_URL": pair.Standby, "TRUNKLINE_HTTP_ADDR": "127.0.0.1:0",
		"TRUNKLINE_API_KEY": "any text", "TRUNKLINE_DATA_DIR": t.TempDir(),
	}
	d := startChild(t, env, "serve")
	d.waitUp()
	get := func(path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer any text")
		resp, err := poster.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("GET %s: %d %s %v", path, resp.StatusCode, text, err)
		}
		return string(text)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s\n%s", what, d.err.String())
			}
		}
	}
	served := func() bool {
		get("/v1/leads")
		return strings.Contains(get("/metrics"), `trunkline_replica_reads_total{outcome="served"}`)
	}
	until("a list from the standby", served)
	if text := get("/readyz"); !strings.Contains(text, `"replica":"ok"`) {
		t.Errorf("readyz: %s", text)
	}

	conn, err := pgx.Connect(t.Context(), pair.Standby)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "select pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	until("replay stands still", func() bool {
		var state string
		return conn.QueryRow(t.Context(), "select pg_get_wal_replay_pause_state()").Scan(&state) == nil && state == "paused"
	})
	status, _ := call[any](t, "POST", d.url()+"/v1/leads", "Bearer any text", "application/json", `{"businessName":"Alder"}`)
	if text := get("/v1/leads"); status != http.StatusCreated || !strings.Contains(text, "Alder") {
		t.Errorf("after a write (%d): %s", status, text)
	}
	if _, err := conn.Exec(t.Context(), "select pg_wal_replay_resume()"); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())

	out := runChild(t, env, "export", "leads", "--format", "csv", "--columns", "business_name")
	if !strings.Contains(out.stdout, "Alder") || strings.Contains(out.stderr, "not read from") {
		t.Errorf("an export just after a write: %s", out)
	}
	if out := runChild(t, env, "status"); !strings.Contains(out.stdout, "replica: read from") || strings.Contains(out.stderr, "not read from") {
		t.Errorf("status: %s", out)
	}

	pair.StopStandby()
	for range 3 {
		if text := get("/v1/leads"); !strings.Contains(text, "Alder") {
			t.Errorf("without the standby: %s", text)
		}
	}
	until("the daemon knows", func() bool { return strings.Contains(get("/readyz"), `"replica":"failed"`) })
	if text := get("/metrics"); !strings.Contains(text, "trunkline_replica_up 0") {
		t.Errorf("metrics: %s", text)
	}
	if out := runChild(t, env, "status"); !strings.Contains(out.stdout, "the replica is not read from (away)") || out.code != exitDone {
		t.Errorf("status without the standby: %s", out)
	}
	if out := runChild(t, env, "export", "leads", "--format", "csv"); !strings.Contains(out.stdout, "Alder") || out.code != exitDone {
		t.Errorf("an export without the standby: %s", out)
	}
	pair.StartStandby()
	until("the standby serves again", func() bool { return strings.Contains(get("/readyz"), `"replica":"ok"`) })
	if n := strings.Count(d.err.String(), "the replica is not read from"); n != 1 {
		t.Errorf("told %d times: %s", n, d.err.String())
	}
}
