package embedded

import (
	"path/filepath"
	"testing"
)

func TestFirstStartAndRestart(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	server := start(t, config(dir))
	if got := server.Dir(); got != dir {
		t.Errorf("dir %s, want %s", got, dir)
	}
	for query, want := range map[string]string{
		"show server_encoding": "UTF8", "show timezone": "UTC", "show listen_addresses": "", "show data_checksums": "on",
		"show log_parameter_max_length_on_error": "0", "show max_connections": "100", "show max_wal_size": "4GB",
		"select datcollate from pg_database where datname = current_database()": "C",
	} {
		if got := ask(t, server, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	run(t, server, "create table kept (n int); insert into kept values (42)")
	stop(t, server)
	stop(t, server) // twice is harmless
	if exists(filepath.Join(server.cluster(), "postmaster.pid")) {
		t.Error("still running after its last user stopped it")
	}
	if err := server.Ensure(t.Context()); err == nil {
		t.Error("ensure after stop succeeded")
	}
	again := start(t, config(dir))
	if got := ask(t, again, "select n::text from kept"); got != "42" {
		t.Errorf("kept row: %s, want 42", got)
	}
}
