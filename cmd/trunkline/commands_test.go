package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// run is one command line in this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	p := &program{stdout: &out, stderr: &talk}
	code = p.main(t.Context(), args)
	return code, out.String(), talk.String()
}

// leaves returns every command that is run and not only leads to others.
func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

// TestEveryCommandHasAnExample: help shows how each command is called, in words that the program takes.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	root := (&program{}).root()
	all := leaves(root)
	if len(all) < 50 {
		t.Fatalf("the tree has %d commands", len(all))
	}
	for _, cmd := range all {
		found := false
		for line := range strings.Lines(cmd.Example) {
			path, rest, ok := strings.Cut(strings.TrimSpace(line)+" ", cmd.CommandPath()+" ")
			if !ok || path != "" {
				continue
			}
			found = true
			words, _, _ := strings.Cut(rest, "|")
			words, _, _ = strings.Cut(words, ">")
			for _, word := range strings.Fields(words) {
				if name, isFlag := strings.CutPrefix(word, "--"); isFlag && name != "help" && cmd.Flags().Lookup(name) == nil {
					t.Errorf("%s: the example %q has --%s, which is no flag", cmd.CommandPath(), strings.TrimSpace(line), name)
				}
			}
		}
		if !found && cmd.Name() != "help" {
			t.Errorf("%s has no example that calls it", cmd.CommandPath())
		}
	}
}

// TestCompletion: a script for each of four shells, and what it asks for.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, mark := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef trunkline", "fish": "complete -c trunkline", "powershell": "Register-ArgumentCompleter",
	} {
		if code, out, talk := run(t, "completion", shell); code != exitDone || !strings.Contains(out, mark) {
			t.Errorf("%s: exit %d, %s, %d bytes of script without %q", shell, code, talk, len(out), mark)
		}
	}
	if code, _, talk := run(t, "completion", "tcsh"); code != exitUsage || talk == "" {
		t.Errorf("tcsh: exit %d %q, want %d", code, talk, exitUsage)
	}
	// :4 tells the shell to offer no files beside the commands.
	if code, out, _ := run(t, "__complete", "backfill", ""); code != exitDone || !strings.Contains(out, "\npause\t") || !strings.HasSuffix(out, ":4\n") {
		t.Errorf("backfill completes to %q", out)
	}
	if _, out, _ := run(t, "__complete", "backfill", "show", ""); !strings.HasPrefix(out, ":4\n") {
		t.Errorf("backfill show completes to %q: files are no ids", out)
	}
}

// TestManual: the page has every command, variable and exit code, and groff reads it without a complaint where there is one.
func TestManual(t *testing.T) {
	t.Parallel()
	code, page, talk := run(t, "man")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, talk)
	}
	for _, cmd := range leaves((&program{}).root()) {
		if cmd.Name() != "help" && !strings.Contains(page, "\n.SS \""+escaped(cmd.CommandPath())) {
			t.Errorf("the page lacks %s", cmd.CommandPath())
		}
	}
	for _, v := range variables(&config{}) {
		if !strings.Contains(page, "\n.B "+escaped(v.name)+"\n") {
			t.Errorf("the page lacks %s", v.name)
		}
	}
	for _, c := range []string{"0", "1", "2", "3", "4", "5", "6", "130"} {
		if _, status, _ := strings.Cut(page, ".SH \"EXIT STATUS\""); !strings.Contains(status, "\n.B "+c+"\n") {
			t.Errorf("the page lacks exit code %s", c)
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("no groff here: the page is not typeset")
	}
	typeset := exec.Command(groff, "-ww", "-man", "-Tascii") //nolint:gosec // found in PATH
	typeset.Stdin = strings.NewReader(page)
	var complaints bytes.Buffer
	typeset.Stderr = &complaints
	if out, err := typeset.Output(); err != nil || complaints.Len() > 0 || len(out) < 20_000 {
		t.Errorf("groff: %v, %d bytes: %s", err, len(out), complaints.String())
	}
}

// TestVersion tells of the commit, and of files that differ from it.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--version"}, {"version"}} {
		if code, out, _ := run(t, args...); code != exitDone || out != thisBuild().String()+"\n" {
			t.Errorf("%q: exit %d, %q", args, code, out)
		}
	}
	var shown map[string]any
	if _, out, _ := run(t, "version", "--json"); json.Unmarshal([]byte(out), &shown) != nil || shown["version"] != versionText() || shown["go"] == nil || shown["platform"] == nil {
		t.Errorf("version --json: %q", out)
	}
	b := build{Version: "v1.2.0", Go: "go1.26.8", Platform: "linux/amd64"}
	b.stamped([]debug.BuildSetting{
		{Key: "vcs.revision", Value: "46f4b9188e0c2f6fbb1a3cd1d1d3dd2d1f9a2b3c"}, {Key: "vcs.time", Value: "2026-11-22T17:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	})
	if diff := cmp.Diff("trunkline v1.2.0 (commit 46f4b9188e0c, modified, of 2026-11-22T17:00:00Z, go1.26.8, linux/amd64)", b.String()); diff != "" {
		t.Error(diff)
	}
	if got := (build{Version: "v1.2.0", Go: "go1.26.8", Platform: "linux/arm64"}).String(); got != "trunkline v1.2.0 (go1.26.8, linux/arm64)" {
		t.Error(got)
	}
}
