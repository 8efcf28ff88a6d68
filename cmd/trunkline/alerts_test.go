package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// deployed reads a file below deploy/.
func deployed(t *testing.T, name ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "deploy"}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	seriesName = regexp.MustCompile(`\btrunkline_[a-z_]+`)
	alertLine  = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	runbookURL = regexp.MustCompile(`(?m)^ +runbook_url: (\S+)$`)
	severity   = regexp.MustCompile(`(?m)^ +severity: (\w+)$`)
	storyFires = regexp.MustCompile(`(?m)^        alertname: (\w+)\n        exp_alerts:\n          - exp_labels:`)
	storyRests = regexp.MustCompile(`(?m)^      - \{eval_time: \w+, alertname: (\w+)\}$`)
	inlineCode = regexp.MustCompile("`([^`]+)`")
)

// unknownSeries are the names in PromQL that no daemon has. A histogram has three series.
func unknownSeries(text string, known map[string]string) []string {
	var bad []string
	for _, name := range seriesName.FindAllString(text, -1) {
		name = strings.TrimPrefix(name, "trunkline_")
		if _, ok := known[name]; ok {
			continue
		}
		base := name
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, part)
		}
		if _, ok := known[base]; !ok || !strings.HasSuffix(base, "_seconds") {
			bad = append(bad, name)
		}
	}
	return bad
}

// runbook is docs/operations.md's section of each alert, by heading.
func runbook(t *testing.T) map[string]string {
	t.Helper()
	_, page, found := strings.Cut(operations(t), "\n## When an alert fires\n")
	if !found {
		t.Fatal("docs/operations.md says nothing of alerts")
	}
	page, _, _ = strings.Cut(page, "\n## ")
	sections := map[string]string{}
	for _, part := range strings.Split(page, "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		sections[name] = text
	}
	return sections
}

// TestAlerts holds deploy/prometheus/alerts.yml together with the series there are, with its own tests, and with the runbook:
// one heading an alert, which names a command that exists. What PromQL makes of the file is promtool's to say, in `make test-tools`.
func TestAlerts(t *testing.T) {
	t.Parallel()
	text, stories := deployed(t, "prometheus", "alerts.yml"), map[string]bool{}
	if bad := unknownSeries(text, daemonSeries(t)); len(bad) > 0 {
		t.Errorf("no daemon has the series %v", bad)
	}
	for kind, story := range map[string]*regexp.Regexp{"fires": storyFires, "rests": storyRests} {
		for _, m := range story.FindAllStringSubmatch(deployed(t, "prometheus", "alerts_test.yml"), -1) {
			stories[m[1]+" "+kind] = true
		}
	}
	sections := runbook(t)
	if len(alertLine.FindAllString(text, -1)) < 30 {
		t.Errorf("the file has hardly any alerts")
	}
	for _, rule := range alertLine.FindAllStringSubmatchIndex(text, -1) {
		name, body := text[rule[2]:rule[3]], text[rule[1]:]
		if next := alertLine.FindStringIndex(body); next != nil {
			body = body[:next[0]]
		}
		url, grade := runbookURL.FindStringSubmatch(body), severity.FindStringSubmatch(body)
		if url == nil || url[1] != "https://github.com/trunkline/trunkline/blob/main/docs/operations.md#"+strings.ToLower(name) {
			t.Errorf("%s points to %q, not to its heading", name, url)
		}
		if grade == nil || !strings.Contains(" critical warning info none ", " "+grade[1]+" ") {
			t.Errorf("%s has no severity", name)
		}
		if !stories[name+" fires"] || !stories[name+" rests"] && name != "TrunklineWatchdog" {
			t.Errorf("%s has no test of when it fires and when not", name)
		}
		section, ok := sections[name]
		if !ok {
			t.Errorf("docs/operations.md has no heading %s", name)
		} else if !strings.Contains(section, "`trunkline ") {
			t.Errorf("the runbook of %s names no command", name)
		}
		delete(sections, name)
	}
	for name := range sections {
		t.Errorf("the runbook has %s, which is no alert", name)
	}
}

// TestRunbookCommandsExist takes every command that docs/operations.md names and looks for it and its flags.
func TestRunbookCommandsExist(t *testing.T) {
	t.Parallel()
	checked := 0
	for name, section := range runbook(t) {
		for _, code := range inlineCode.FindAllStringSubmatch(section, -1) {
			words := strings.Fields(code[1])
			if len(words) < 2 || words[0] != "trunkline" {
				continue
			}
			checked++
			root := (&program{}).root()
			cmd, rest, err := root.Find(words[1:])
			if err != nil || cmd == root || !cmd.Runnable() {
				t.Errorf("%s: there is no command `%s` (%v)", name, code[1], err)
				continue
			}
			for _, word := range rest {
				if flag, ok := strings.CutPrefix(word, "--"); ok && cmd.Flag(flag) == nil {
					t.Errorf("%s: `%s` has no flag --%s", name, code[1], flag)
				}
			}
			if len(rest) > 0 && cmd.HasSubCommands() && cmd.Args == nil {
				t.Errorf("%s: `%s` has no such subcommand", name, code[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d commands were found", checked)
	}
}
