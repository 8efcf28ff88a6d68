package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/store/storetest"
)

// TestExport writes views as an analyst, whole or not at all.
func TestExport(t *testing.T) {
	t.Parallel()
	dsn, dir := storetest.DSN(t), t.TempDir()
	execOn(t, dsn, `
insert into ops.organisations (org_id, name, timezone) values ('aaaaaaaa-0000-0000-0000-000000000001', '=North', 'Europe/Riga');
create view analytics.slow as select n, pg_sleep(0.05)::text as waited from generate_series(1, 100000) n;
grant select on analytics.slow to trunkline_analyst`)
	env := map[string]string{"DATABASE_URL": dsn}
	if strings.Contains(dsn, "?") {
		env["DATABASE_URL"] += "&options=-c%20role%3Dtrunkline_analyst"
	} else {
		env["DATABASE_URL"] += "?options=-c%20role%3Dtrunkline_analyst"
	}
	const whole = "org_id,name,timezone\r\naaaaaaaa-0000-0000-0000-000000000001,'=North,Europe/Riga\r\n"
	export := func(args ...string) ended { return runChild(t, env, append([]string{"export"}, args...)...) }
	got := export("organisations", "--format", "csv", "--org", "=North")
	if got.code != exitDone || got.stdout != whole || !strings.Contains(got.stderr, "exported organisations: 1 row in ") {
		t.Errorf("to standard output: %s", got)
	}
	out := filepath.Join(dir, "out.csv")
	if err := os.WriteFile(out, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	onlyFile := func(want string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%v in the directory, %v; want the one file", entries, err)
		}
		if text, err := os.ReadFile(out); err != nil || string(text) != want {
			t.Errorf("the file holds %q, %v; want %q", text, err, want)
		}
	}
	slow := startChild(t, env, "export", "slow", "--out", out)
	eventually(t, time.Minute, func() string {
		if begun, _ := filepath.Glob(filepath.Join(dir, ".out.csv.*.part")); len(begun) == 1 {
			return ""
		}
		return "the export to begin: " + slow.err.String()
	})
	slow.signal(syscall.SIGINT)
	if code := slow.wait(time.Minute); code != exitInterrupted {
		t.Errorf("interrupted: exit %d", code)
	}
	onlyFile("before")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitFailed, "no view or table is called \"lead\"; there are agent_days,", []string{"lead", "--out", out}},
		{exitFailed, "no column of organisations is called \"nome\"; there are org_id, name, timezone", []string{"organisations", "--columns", "name,nome", "--out", out}},
		{exitFailed, "no view or table is called \"ops.deliveries\"", []string{"ops.deliveries", "--out", out}},
		{exitUsage, "--format is missing", []string{"leads"}},
		{exitUsage, "--format must be", []string{"leads", "--format", "xlsx"}},
		{exitUsage, "--no-clobber goes with --out", []string{"leads", "--format", "csv", "--no-clobber"}},
		{exitUsage, "--from must be a date", []string{"leads", "--format", "csv", "--from", "yesterday"}},
		{exitUsage, "--to must be later", []string{"leads", "--format", "csv", "--from", "2026-03-02", "--to", "2026-03-02"}},
	} {
		if got := export(c.args...); got.code != c.code || !strings.Contains(got.stderr, c.says) || got.stdout != "" {
			t.Errorf("%q: want exit %d and %q: %s", c.args, c.code, c.says, got)
		}
	}
	onlyFile("before")
	if got := export("organisations", "-o", out, "--no-clobber"); got.code != exitFailed || !strings.Contains(got.stderr, "is there already") {
		t.Errorf("to a file that has to be kept: %s", got)
	}
	onlyFile("before")
	if got := export("organisations", "-o", out); got.code != exitDone || got.stdout != "" || !strings.Contains(got.stderr, "was there before and is replaced") {
		t.Errorf("to a file: %s", got)
	}
	onlyFile(whole)
	empty := map[string]string{"DATABASE_URL": storetest.EmptyDSN(t)}
	if got := runChild(t, empty, "export", "leads", "--format", "csv"); got.code != exitDatabase || !strings.Contains(got.stderr, "migrate") {
		t.Errorf("without a schema: %s", got)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%s: %q, want %q", fmt.Sprint(n), got, want)
		}
	}
}
