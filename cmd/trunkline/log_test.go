package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestLogQuotesNothing logs what must never be read: a row's values in the words of Postgres, and secrets.
func TestLogQuotesNothing(t *testing.T) {
	t.Parallel()
	c, err := loadConfig([]string{"IPSCAPE_EXTRA_HEADERS=X-Gate=swordfish-9", "CONVOLO_API_KEY=k-hidden", "CONVOLO_WIDGET_KEY=w-hidden"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := newLogger(&out, &c.General, false, c.secrets())
	pg := fmt.Errorf("folding: %w", &pgconn.PgError{Code: "22P02", Message: `invalid input syntax: "+15035550142"`})
	log.Warn("refused", "error", pg, "header", "X-Gate: swordfish-9")
	log.With("error", pg).Warn("again k-hidden", "plain", errors.New("two\nlines"))
	text := out.String()
	for _, hidden := range []string{"5035550142", "swordfish-9", "k-hidden"} {
		if strings.Contains(text, hidden) {
			t.Errorf("the log shows %s:\n%s", hidden, text)
		}
	}
	if strings.Count(text, "22P02") != 2 || strings.Count(text, "\n") != 2 {
		t.Errorf("two lines with the code wanted:\n%s", text)
	}
}

// TestConfigShowsNothingInvalid lists a configuration whose faulty values hold credentials.
func TestConfigShowsNothingInvalid(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		var out, talk bytes.Buffer
		p := &program{stdout: &out, stderr: &talk, environ: []string{
			"IPSCAPE_BASE_URL=https://user:hunter2@x/?token=abcdef", "DATABASE_URL=postgres://u:hunter2@h:port/d", "IPSCAPE_RATE=3",
			"DATABASE_DIRECT_URL=mysql://u:hunter2@h/d?x=y", "IPSCAPE_EXTRA_HEADERS=X-Gate=hunter2", "CONVOLO_AGENTS=hunter2",
			"CONVOSO_ORG_TOKEN=hunter2\n", "TRUNKLINE_READ_DATABASE_URL=postgres://u:hunter2@h/d?sslmode=perhaps",
		}}
		args := []string{"config"}
		if asJSON {
			args = append(args, "--json")
		}
		if code := p.main(t.Context(), args); code != exitConfig {
			t.Errorf("exit %d, want %d", code, exitConfig)
		}
		text := out.String() + talk.String()
		for _, hidden := range []string{"hunter2", "abcdef"} {
			if strings.Contains(text, hidden) {
				t.Errorf("json %t: %s shows:\n%s", asJSON, hidden, text)
			}
		}
		if strings.Count(out.String(), "[invalid]") != 5 {
			t.Errorf("json %t: want five values marked as invalid:\n%s", asJSON, out.String())
		}
		for _, name := range []string{"IPSCAPE_BASE_URL", "DATABASE_URL", "DATABASE_DIRECT_URL", "CONVOLO_AGENTS", "CONVOSO_ORG_TOKEN", "TRUNKLINE_READ_DATABASE_URL"} {
			if !strings.Contains(talk.String(), name+": ") {
				t.Errorf("no fault names %s:\n%s", name, talk.String())
			}
		}
	}
}

func TestDatabaseAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"postgres://u:p@h:5432/d?sslmode=disable": true, "postgresql://h/d": true, "host=/tmp/x user=u password=a://b": true,
		"postgres://u:p@h:port/d": false, "mysql://h/d?x=y": false, "h/d": false, "postgres://h/d?sslmode=maybe": false,
	} {
		if got := isDatabase(text); got != want {
			t.Errorf("isDatabase(%q) = %t", text, got)
		}
	}
}

func TestExpiryInThePastIsWrongUsage(t *testing.T) {
	t.Parallel()
	var out, talk bytes.Buffer
	p := &program{stdout: &out, stderr: &talk}
	if code := p.main(t.Context(), []string{"apikey", "create", "--name", "x", "--expires", "2020-01-01"}); code != exitUsage {
		t.Errorf("exit %d, want %d: %s", code, exitUsage, talk.String())
	}
}
