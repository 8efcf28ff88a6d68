package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/store/storetest"
)

// TestWholeFileBehindLinks: a link named as --out stays one, and what it points to is replaced as a whole, or made; a failure leaves
// both as they were.
func TestWholeFileBehindLinks(t *testing.T) {
	t.Parallel()
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, werr := io.WriteString(w, text)
			return errors.Join(werr, err)
		}
	}
	for _, there := range []bool{true, false} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		target, link, second := filepath.Join(elsewhere, "data.csv"), filepath.Join(dir, "link.csv"), filepath.Join(dir, "second.csv")
		if there {
			if err := os.WriteFile(target, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// One link by its whole path, and one to that, relative.
		if err := errors.Join(os.Symlink(target, link), os.Symlink("link.csv", second)); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken off")
		if err := wholeFile(second, write("half", broken)); !errors.Is(err, broken) {
			t.Errorf("a failure came out as %v", err)
		}
		if text, err := os.ReadFile(target); there && string(text) != "before" || !there && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after a failure the file holds %q, %v", text, err)
		}
		if err := wholeFile(second, write("after", nil)); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(target); err != nil || string(text) != "after" {
			t.Errorf("the file holds %q, %v", text, err)
		}
		for _, l := range []string{link, second} {
			if info, err := os.Lstat(l); err != nil || info.Mode()&os.ModeSymlink == 0 {
				t.Errorf("%s is no link any more, %v", l, err)
			}
		}
		for _, d := range []string{dir, elsewhere} {
			if left, _ := filepath.Glob(filepath.Join(d, ".*.part")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		}
	}
}

// TestWholeFileBehindALinkedDirectory: ".." in a link is the parent of the directory where the link lies, whatever name leads there.
func TestWholeFileBehindALinkedDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	err := errors.Join(os.MkdirAll(at("data", "today"), 0o700), os.Mkdir(at("work"), 0o700),
		os.Symlink(at("data", "today"), at("work", "now")), os.Symlink("../leads.csv", at("data", "today", "link.csv")))
	if err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "rows")
		return err
	}
	if err := wholeFile(at("work", "now", "link.csv"), write); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(at("data", "leads.csv")); err != nil || string(text) != "rows" {
		t.Errorf("what the link points to holds %q, %v", text, err)
	}
	if left, _ := filepath.Glob(at("work", "*.csv")); len(left) > 0 {
		t.Errorf("written beside the link to the directory: %v", left)
	}
}

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
	if got.code != exitDone || got.stdout != whole || !strings.Contains(got.stderr, "exported organisations: 1 rows in ") {
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
		{exitUsage, "--from must be a date", []string{"leads", "--format", "csv", "--from", "yesterday"}},
		{exitUsage, "--to must be later", []string{"leads", "--format", "csv", "--from", "2026-03-02", "--to", "2026-03-02"}},
	} {
		if got := export(c.args...); got.code != c.code || !strings.Contains(got.stderr, c.says) || got.stdout != "" {
			t.Errorf("%q: want exit %d and %q: %s", c.args, c.code, c.says, got)
		}
	}
	onlyFile("before")
	if got := export("organisations", "-o", out); got.code != exitDone || got.stdout != "" {
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
