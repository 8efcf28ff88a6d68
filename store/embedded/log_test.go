package embedded

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestNoDataInTheServerLog(t *testing.T) {
	t.Parallel()
	server := start(t, config(reachable(t)))
	run(t, server, "create table leads (phone text primary key); insert into leads values ('+15550100999')")
	conn, err := pgx.Connect(t.Context(), server.DSN("trunkline"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, statement := range []string{
		"insert into leads values ('+15550100999')", "select '+15550100999'::int", "select nothing('+15550100999')",
	} {
		if _, err := conn.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s: no error to log", statement)
		}
	}
	if _, err := conn.Exec(t.Context(), "select $1::text::int", "+15550100999x"); err == nil {
		t.Error("no error to log for a parameter")
	}
	text, err := os.ReadFile(server.logPath())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "5550100") || !strings.Contains(string(text), "ready to accept connections") {
		t.Errorf("server log:\n%s", text)
	}
}

func TestFailedStartShowsTheLog(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	cfg.Settings["shared_buffers"] = "lots"
	_, err := Start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "shared_buffers"`) {
		t.Errorf("error %v, want the server's own words", err)
	}
	delete(cfg.Settings, "shared_buffers")
	start(t, cfg) // and the failure left nothing in the way
}

func TestBigLogIsPutAside(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	makeDir(t, dir)
	log := filepath.Join(dir, "postgres.log")
	if err := os.WriteFile(log, make([]byte, maxLog+1), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, config(dir))
	if info, err := os.Stat(log); err != nil || info.Size() > maxLog {
		t.Errorf("log: %v, %v", info, err)
	}
	if info, err := os.Stat(log + ".1"); err != nil || info.Size() != maxLog+1 {
		t.Errorf("old log: %v, %v", info, err)
	}
}
